"""Measure what it costs to move each expression's mean valence and arousal to people's.

    python starter_training/face_shifts.py --faces work/faces --seen work/face/seen --out work/face

As ``starter-2`` does it for valence: the shift of each expression times its probability. On the
validation parts of RAF-DB and AffectNet, of which 25 people rated other pictures of the source
(AffectNet-C25). Shifts are the mean of both sets'. Each way's CCC with the targets (teachers, half
of what a label makes up for) and with the teachers alone, what it has more than without a shift,
with its 95 % interval; and how far the expressions' means lie from people's. Seconds. Writes
``shifts.json``.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from face_data import load_faces
from face_embeddings import load_seen
from face_figures import VALUED
from face_scores import RESAMPLES, Floats, Ints, middle
from face_values import Scale
from numpy.typing import NDArray

from avaffect.files.atomic import write_json
from avaffect.labels import EXPRESSIONS
from avaffect.metrics.calibration import fit_temperature
from avaffect.metrics.scores import ccc
from avaffect.predictors.starter.valence_arousal import DIMENSIONS

Doubles = NDArray[np.float64]
SEVEN = 7


@dataclass(frozen=True)
class Part:
    """One dimension of ``N`` validation pictures of a set.

    Attributes:
        probabilities: float64 [N, 8].
        said: float32 [N], the net's.
        target, teachers: float32 [N], what it learnt; the teachers on people's scale.
        labels: int64 [N].
    """

    probabilities: Doubles
    said: Floats
    target: Floats
    teachers: Floats
    labels: Ints

    def means(self, values: NDArray[np.floating]) -> Doubles:
        """float64 [7], of each expression's pictures."""
        return np.array([values[self.labels == at].mean() for at in range(SEVEN)])

    def moved(self, shift: Doubles) -> Doubles:
        """float64 [N], with the shift [7] of each expression."""
        return np.clip(self.said + self.probabilities[:, :SEVEN] @ shift, -1, 1)


def load_part(folder: Path, seen: Path, name: str, dimension: int) -> Part:
    faces, scale = load_faces(folder, name), Scale.load(folder / "values.json")
    rows = faces.rows("validation")
    said, labels = load_seen(seen, name).of(rows), faces.labels.label[rows]
    logits = said.expression / fit_temperature(said.expression, labels)
    odds = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    teachers = scale(faces.labels.values[rows], np.full(len(rows), -1))
    return Part(
        odds / odds.sum(axis=1, keepdims=True),
        said.values[:, dimension],
        faces.values[rows, dimension],
        teachers[:, dimension],
        labels,
    )


def ways(parts: list[Part], people: Doubles) -> dict[str, Doubles]:
    """Shifts [7]: the mean over the sets of what people's or the targets' means are above."""
    to_people = np.mean([people - part.means(part.said) for part in parts], axis=0)
    to_targets = np.mean([part.means(part.target - part.said) for part in parts], axis=0)
    return {
        "none": np.zeros(SEVEN),
        "to the targets' means": to_targets,
        "a quarter to people's": to_people / 4,
        "half to people's": to_people / 2,
        "to people's": to_people,
    }


def measured(part: Part, shift: Doubles, people: Doubles) -> dict[str, Any]:
    chance = np.random.default_rng(0)
    before, after = part.moved(np.zeros(SEVEN)), part.moved(shift)
    found: dict[str, Any] = {}
    for name, truth in (("targets", part.target), ("teachers", part.teachers)):
        more = []
        for _ in range(RESAMPLES):
            some = chance.integers(0, len(truth), len(truth))
            more.append(ccc(after[some], truth[some]) - ccc(before[some], truth[some]))
        found[f"ccc_{name}"] = round(ccc(after, truth), 3)
        found[f"ccc_{name}_more"] = middle(more)
    means = part.means(after)
    found["from_people"] = round(float(np.abs(means - people).mean()), 3)
    found["means"] = dict(zip(EXPRESSIONS, means.round(2).tolist(), strict=False))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, required=True, help="what face_points.py wrote")
    parser.add_argument("--seen", type=Path, required=True, help="what face_embeddings.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rated = np.array(json.loads((options.faces / "values.json").read_text())["people"])
    made: dict[str, Any] = {}
    for at, dimension in enumerate(DIMENSIONS):
        people = rated[:SEVEN, at]
        parts = [load_part(options.faces, options.seen, name, at) for name in VALUED]
        for way, shift in ways(parts, people).items():
            for name, part in zip(VALUED, parts, strict=True):
                found = measured(part, shift, people)
                made.setdefault(dimension, {}).setdefault(name, {})[way] = found
                print(dimension, name, way, found, flush=True)
    write_json(options.out / "shifts.json", made)


if __name__ == "__main__":
    main()
