"""What holding faces changes: `--fast` and the default beside `--every-frame`, on any clips.

    python benchmarks/looks.py CLIP [CLIP ...] [--json figures.json]

Every figure of a clip is of all its subjects. CPU times are of the whole process but its start, on
whatever else the machine does; only their ratio means something.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from processes import load

from avaffect.config import PredictConfig
from avaffect.faces.align import AFFWILD2, similarity_transform
from avaffect.files.atomic import write_json
from avaffect.media.source import open_source
from avaffect.predicting.run import Result, predict_video
from avaffect.predicting.settings import with_features
from avaffect.predictors.build import build_predictor
from avaffect.preprocessing.run import NetsLoader
from avaffect.store.subject import GEOMETRY

LOOKS = ("every", "changed", "few")
POINTS = [at for at, name in enumerate(GEOMETRY) if name.endswith(("_x", "_y"))]
COLUMNS = (
    ("looked at", "looked", "{:.2f}"), ("CPU ms", "cpu_ms", "{:.1f}"),
    ("ratio", "ratio", "{:.2f}"),
    ("VA mean", "va_mean", "{:.4f}"), ("max", "va_max", "{:.3f}"),
    ("units F1", "units_f1", "{:.3f}"), ("differ %", "units_differ", "{:.2f}"),
    ("expr. differ %", "expr_differ", "{:.1f}"),
    ("px mean", "px_mean", "{:.3f}"), ("p99", "px_p99", "{:.2f}"), ("max", "px_max", "{:.2f}"),
)  # fmt: skip


def run(clips: Sequence[Path], looks: Any) -> dict[str, tuple[Result, float]]:
    """The prediction of each clip, and CPU milliseconds a frame."""
    config = PredictConfig()
    faces = replace(config.analysis.faces, looks=looks)
    config = with_features(replace(config, analysis=replace(config.analysis, faces=faces)), "auto")
    predictor, nets = build_predictor(config, "cpu"), NetsLoader(config.analysis, "cpu")
    nets()
    found = {}
    for clip in clips:
        with tempfile.TemporaryDirectory(prefix="avaffect-benchmark-") as work:
            begin = time.process_time()
            source = open_source(clip, config.analysis.media)
            result = predict_video(source, config, predictor, nets, Path(work))
            cpu = time.process_time() - begin
        found[clip.name] = result, 1e3 * cpu / result.frames
    return found


def differences(every: Result, other: Result) -> dict[str, float]:
    """How far ``other`` is from ``every``, over frames in which both have a face."""
    va, units, expressions, pixels = [], [], [], []
    for first, second in zip(every, other, strict=True):
        both = first.present & second.present
        assert first.va is not None
        assert second.va is not None
        va.append(np.abs(first.va - second.va)[both])
        pair = np.stack([first.au_presence()[both], second.au_presence()[both]])
        units.append(pair[:, (pair >= 0).all(0)] > 0)
        expressions.append((first.expression_ids() != second.expression_ids())[both])
        assert first.geometry is not None
        assert second.geometry is not None
        pixels.append(_apart(first.geometry[both], second.geometry[both]))
    a, b = np.concatenate(units, axis=1)
    moved, values = np.concatenate(pixels), np.concatenate(va)
    wrong = (a != b).sum()
    return {
        "va_mean": float(values.mean()),
        "va_max": float(values.max()),
        "units_f1": float(2 * (a & b).sum() / max(1, 2 * (a & b).sum() + wrong)),
        "units_differ": 100 * float(wrong) / max(1, a.size),
        "expr_differ": 100 * float(np.concatenate(expressions).mean()),
        "px_mean": float(moved.mean()),
        "px_p99": float(np.quantile(moved, 0.99)),
        "px_max": float(moved.max()),
    }


def _apart(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """float64 [N, 5], how far points are from each other, in pixels of a face of 112."""
    found = []
    for row, other in zip(first[:, POINTS], second[:, POINTS], strict=True):
        points = row.reshape(5, 2)
        matrix = similarity_transform(points, AFFWILD2.template_px)
        scale = np.hypot(matrix[0, 0], matrix[1, 0])
        found.append(np.linalg.norm(points - other.reshape(5, 2), axis=1) * scale)
    return np.array(found).reshape(-1, 5)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--json", type=Path, help="write all figures here too")
    options = parser.parse_args()
    print(load())
    done = {looks: run(options.clips, looks) for looks in LOOKS}
    print(f"{'clip':28}{'looks':9}" + "".join(f"{name:>15}" for name, *_ in COLUMNS))
    rows = []
    for name, (every, _) in done["every"].items():
        for looks in LOOKS:
            result, cpu = done[looks][name]
            counts = result.about["people"]["looks"]  # type: ignore[index]
            row = {
                "clip": name,
                "looks": looks,
                "cpu_ms": cpu,
                "ratio": cpu / done["every"][name][1],
            }
            row["looked"] = 1 - counts["held"] / max(1, counts["faces"])
            row |= differences(every, result) if every.found else {}
            rows.append(row)
            cells = [form.format(row[key]) if key in row else "-" for _, key, form in COLUMNS]
            print(f"{name[:27]:28}{looks:9}" + "".join(f"{cell:>15}" for cell in cells))
    if options.json:
        write_json(options.json, rows)


if __name__ == "__main__":
    main()
