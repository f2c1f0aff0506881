"""What it costs to run the face net in every n-th frame only: predictions beside every frame's.

    python benchmarks/every_second.py CLIP [CLIP ...] [--every 2 3 5]

The clips are read once, with the face net in every frame. Then what it said is taken away but in
every n-th frame, filled in on a line between those, and the same rules predict from it. Landmarks,
blendshapes and quality stay those of every frame. Minutes.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from looks import differences
from processes import load

from avaffect.config import PredictConfig
from avaffect.files.npy import Array
from avaffect.predicting.run import Result, result_of
from avaffect.predicting.settings import with_features
from avaffect.predictors.build import build_predictor
from avaffect.preprocessing.run import preprocess
from avaffect.store.prepared import Prepared
from avaffect.store.subject import StoredSubject

FACE_NET = "starter-2-face"
COLUMNS = ("va_mean", "va_max", "units_f1", "units_differ", "expr_differ")


class Thinned(StoredSubject):
    """A stored subject whose face net was run in every ``every``-th frame with a face."""

    every = 1

    def _slice(self, name: str, start: int, stop: int) -> Array:
        if name != FACE_NET:
            return super()._slice(name, start, stop)
        whole = super()._slice(name, 0, self.frames)
        seen = np.flatnonzero(~np.isnan(whole).any(axis=1))
        kept = np.union1d(seen[:: self.every], seen[-1:])
        for column in range(whole.shape[1]):
            whole[seen, column] = np.interp(seen, kept, whole[kept, column])
        return whole[start:stop]


def predicted(folder: Path, config: PredictConfig, every: int) -> Result:
    subjects = [Thinned(subject.folder) for subject in Prepared(folder).subjects()]
    for subject in subjects:
        subject.every = every
    return result_of(folder, subjects, config, build_predictor(config, "cpu"), {})


def measure(clip: Path, every: Sequence[int]) -> None:
    """Print the differences of one clip."""
    config = PredictConfig()
    faces = replace(config.analysis.faces, looks="every")
    config = replace(config, analysis=replace(config.analysis, faces=faces))
    config = with_features(config, "auto")
    with tempfile.TemporaryDirectory(prefix="avaffect-benchmark-") as work:
        folder = Path(work) / "prepared"
        preprocess(clip, folder, config.analysis)
        whole = predicted(folder, config, 1)
        for each in every:
            found = differences(whole, predicted(folder, config, each))
            cells = "".join(f"{found[name]:>14.3f}" for name in COLUMNS)
            print(f"{clip.name[:27]:28}{each:>6}{cells}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--every", nargs="+", type=int, default=[2, 3, 5])
    options = parser.parse_args()
    print(load())
    print(f"{'clip':28}{'every':>6}" + "".join(f"{name:>14}" for name in COLUMNS))
    for clip in options.clips:
        measure(clip, options.every)


if __name__ == "__main__":
    main()
