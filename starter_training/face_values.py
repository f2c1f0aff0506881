"""Put the value teachers' valence and arousal on the scale of people's ratings.

    python starter_training/face_values.py --faces work/faces --ratings path/to/affectnet_c25

The teachers are nets: on their own they say little, near the middle. 25 people rated each of 800
random AffectNet pictures (AffectNet-C25, set 2). The pictures are others, so the scales are
matched over classes: mean and spread over pictures of eight expressions, each counted alike. The
teachers are too mild on some expressions (fear is -.11 to them and -.53 to people); a picture's
label makes up for half of that, since labels err as well. Writes ``work/faces/values.json``:
people's value = scale x the teachers' mean + shift + the expression's own shift.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from ratings import CODES, read_ratings

from avaffect.files.atomic import write_json
from avaffect.labels import EXPRESSIONS
from avaffect.predictors.starter.valence_arousal import DIMENSIONS

Array = NDArray[np.float64]
# The rated pictures that were chosen at random, and the face set from the same source.
RANDOM, SOURCE = 2, "affectnet8"
# The part of what is left of an expression's mean that its label makes up for.
OF_LABEL = 0.5


@dataclass(frozen=True)
class Scale:
    """From the teachers' values to people's.

    Attributes:
        scale, shift: float64 [2]: valence, arousal.
        own: float64 [8, 2], each expression's own shift.
    """

    scale: Array
    shift: Array
    own: Array

    def __call__(
        self, values: NDArray[np.float32], labels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """float32 [N, 2], held to -1..1; NaN stays. Labels of -1 have no shift of their own."""
        own = np.vstack([self.own, np.zeros(2)])[labels]
        return np.clip(values * self.scale + self.shift + own, -1, 1).astype(np.float32)

    @classmethod
    def load(cls, path: Path) -> Scale:
        """What :func:`main` wrote."""
        figures = json.loads(path.read_text(encoding="utf-8"))
        return cls(*(np.array(figures[name]) for name in ("scale", "shift", "own")))


def by_class(values: Array, labels: NDArray[np.int64]) -> tuple[Array, Array]:
    """Means and variances [K, 2] of ``values`` [N, 2] of each label that occurs."""
    groups = [values[labels == label] for label in np.unique(labels)]
    return np.stack([g.mean(axis=0) for g in groups]), np.stack([g.var(axis=0) for g in groups])


def match(teachers: tuple[Array, Array], people: tuple[Array, Array]) -> Scale:
    """The scale that gives both the same mean and spread when each class counts alike."""
    (theirs, wide), (ours, wider) = (
        (means.mean(axis=0), (means.var(axis=0) + variances.mean(axis=0)) ** 0.5)
        for means, variances in (teachers, people)
    )
    scale = wider / wide
    shift = ours - scale * theirs
    own = OF_LABEL * (people[0] - scale * teachers[0] - shift)
    return Scale(scale, shift, own)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, required=True, help="what face_points.py wrote")
    parser.add_argument("--ratings", type=Path, required=True, help="AffectNet-C25's folder")
    options = parser.parse_args()
    ratings = read_ratings(options.ratings, RANDOM)
    names = [EXPRESSIONS.index("Other" if name == "Contempt" else name) for name in CODES]
    votes = np.stack([(ratings.codes == code).sum(axis=1) for code in range(len(CODES))], axis=1)
    rated = np.array(names)[votes.argmax(axis=1)]
    with np.load(options.faces / SOURCE / "labels.npz") as file:
        values, label = file["values"].astype(np.float64), file["label"]
    teachers, people = by_class(values, label), by_class(ratings.means(), rated)
    scale = match(teachers, people)
    for at, expression in enumerate(EXPRESSIONS):
        print(expression, teachers[0][at].round(2), people[0][at].round(2), end=" ")
        print((teachers[0][at] * scale.scale + scale.shift + scale.own[at]).round(2))
    alike = [np.corrcoef(teachers[0][:, d], people[0][:, d])[0, 1] for d in (0, 1)]
    write_json(
        options.faces / "values.json",
        {
            "meaning": "people's rating = scale x the teachers' mean + shift + own of the label",
            "dimensions": DIMENSIONS,
            "scale": scale.scale.round(4).tolist(),
            "shift": scale.shift.round(4).tolist(),
            "own": scale.own.round(4).tolist(),
            "people": people[0].round(4).tolist(),
            "correlation_of_class_means": np.round(alike, 3).tolist(),
        },
    )
    print(f"scale {scale.scale.round(3)}, shift {scale.shift.round(3)}, means alike {alike}")


if __name__ == "__main__":
    main()
