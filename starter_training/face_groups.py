"""Score the face net by what can be measured of a picture: turn, light, colour, size, detail.

    python starter_training/face_groups.py --faces work/faces --seen work/face/seen --out work/face

On the validation part of each set. Groups hold other expressions: a turned face is more often
angry. So beside a group's accuracy stands its accuracy at the set's mix of expressions: its recall
of each, weighted as the set has them. Age, sex, skin, glasses and beards are not measured: no set
has such labels, and a cheek's colour is as much the light's as the skin's. One minute on one core.
Writes ``groups.json``; reads what ``face_embeddings.py`` wrote.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from face_data import Faces, load_all
from face_embeddings import load_seen
from face_points import Points, load_points
from face_scores import RESAMPLES, Ints, choices, middle
from face_sets import SETS
from face_spoils import upright
from numpy.typing import NDArray

from avaffect.faces.align import AFFWILD2
from avaffect.faces.face_pose import LANDMARK_VALUES
from avaffect.files.atomic import write_json

Doubles = NDArray[np.float64]

# Where a measure is cut; what has no limits of its own is cut into three equal parts.
LIMITS = {"turn": (10.0, 20.0, 35.0), "pitch": (10.0, 20.0), "brightness": (60.0, 90.0, 160.0)}
# Below this mean difference between the colours of a pixel a picture is grey.
GREY = 4.0
# Fewer pictures of a group are not scored, nor fewer of an expression in it.
LEAST, LEAST_OF_CLASS = 40, 5
SIDE = 112
# The face without its surroundings: what the net looks at.
FACE = (slice(16, 112), slice(16, 96))


def measures(faces: Faces, rows: Ints, found: Points) -> dict[str, Doubles]:
    """float64 [n] of the pictures ``rows``.

    Degrees of turn and pitch; brightness 0..255; colour, the mean difference between a pixel's
    channels; distance of the eyes in pixels of the picture; detail, the spread of what a blur by
    1.5 pixels takes off over the spread of what it leaves.
    """
    pose = np.abs(found.pose[rows, LANDMARK_VALUES : LANDMARK_VALUES + 2]) * 90
    scale = np.hypot(faces.matrices[rows, 0, 0], faces.matrices[rows, 1, 0])
    left, right = AFFWILD2.template_px[:2]
    bright, colour, detail = (np.empty(len(rows)) for _ in range(3))
    for at, row in enumerate(rows):
        face = upright(faces.pictures[row], faces.matrices[row], SIDE)[FACE]
        grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
        coarse = cv2.GaussianBlur(grey, (0, 0), 1.5)
        bright[at] = grey.mean()
        colour[at] = (face.max(axis=2).astype(int) - face.min(axis=2)).mean()
        detail[at] = (grey - coarse).std() / (coarse.std() + 1.0)
    made = {"turn": pose[:, 0], "pitch": pose[:, 1], "brightness": bright}
    if not SETS[faces.name].grey:
        made["colour"] = colour
    return made | {"eyes_apart": np.linalg.norm(right - left) / scale, "detail": detail}


def groups(name: str, values: Doubles) -> dict[str, NDArray[np.bool_]]:
    """bool [n] of each group by what it is called."""
    if name == "colour":
        return {"grey": values < GREY, "in colour": values >= GREY}
    limits = LIMITS.get(name, tuple(np.round(np.nanquantile(values, (1 / 3, 2 / 3)), 2)))
    edges = (-np.inf, *limits, np.inf)
    made = {}
    for low, high in itertools.pairwise(edges):
        called = f"{low:g} to {high:g}"
        if low == -np.inf:
            called = f"below {high:g}"
        elif high == np.inf:
            called = f"{low:g} and more"
        made[called] = (values >= low) & (values < high)
    return made


def at_mix(right: NDArray[np.bool_], labels: Ints, mix: Doubles) -> float:
    """The recall of each expression that occurs often enough, weighted by ``mix`` [8]."""
    counts = np.bincount(labels, minlength=len(mix))
    hits = np.bincount(labels, weights=right, minlength=len(mix))
    known = counts >= LEAST_OF_CLASS
    return float((hits[known] / counts[known]) @ mix[known] / mix[known].sum())


def scored(right: NDArray[np.bool_], labels: Ints, mix: Doubles) -> dict[str, Any]:
    """Both accuracies of a group with their 95 % intervals over pictures."""
    chance = np.random.default_rng(0)
    draws = [chance.integers(0, len(right), len(right)) for _ in range(RESAMPLES)]
    plain = [float(right[some].mean()) for some in draws]
    mixed = [at_mix(right[some], labels[some], mix) for some in draws]
    return {
        "pictures": len(right),
        "accuracy": [round(float(right.mean()), 3), *middle(plain)],
        "accuracy_at_the_sets_mix": [round(at_mix(right, labels, mix), 3), *middle(mixed)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, required=True, help="what face_points.py wrote")
    parser.add_argument("--seen", type=Path, required=True, help="what face_embeddings.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    made: dict[str, Any] = {}
    for name, faces in load_all(options.faces).items():
        found = load_points(options.faces / name)
        rows = faces.rows("validation")
        rows = rows[faces.labels.label[rows] >= 0]
        labels = faces.labels.label[rows]
        said = load_seen(options.seen, name).of(rows)
        right = choices(said.expression, SETS[name].classes) == labels
        mix = np.bincount(labels, minlength=8) / len(labels)
        made[name] = {}
        for measure, values in measures(faces, rows, found).items():
            made[name][measure] = {
                called: scored(right[some], labels[some], mix)
                for called, some in groups(measure, values).items()
                if some.sum() >= LEAST
            }
            for called, figures in made[name][measure].items():
                print(name, measure, called, figures, flush=True)
    write_json(options.out / "groups.json", made)


if __name__ == "__main__":
    main()
