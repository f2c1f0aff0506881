"""Measure the scale of starter-1's action unit proxies on pictures.

    python starter_training/action_units.py --fer2013 path/to/fer2013

reads images.zip and manifest.csv (FER2013, Goodfellow et al. 2013) and rewrites
avaffect/predictors/starter/starter1_au.json: where resting faces lie, how strong units get, what
counts as present, and how well each unit's signal separates the expression that shows it from
neutral on the test and validation parts. Three minutes on one core.

No action unit labels are used, and nothing is trained on expression labels: they only say which
pictures are of resting people and which may hold strong examples of a unit. The pictures are not
part of this repository; only quantiles leave them.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from fer2013 import ENLARGE, MARGIN, is_copy, read_pictures
from numpy.typing import NDArray

from avaffect.faces.face_pose import face_pose
from avaffect.faces.landmarks import Landmarker, Roi, roi_from_mesh
from avaffect.faces.shape import ShapeReader
from avaffect.files.atomic import write_json
from avaffect.labels import ACTION_UNITS
from avaffect.predictors.starter import action_units
from avaffect.predictors.starter.action_units import blendshape
from avaffect.predictors.starter.neutral import Population, frontality
from avaffect.predictors.starter.unit_proxies import (
    FIGURES,
    PROXIES,
    Explained,
    UnitProxies,
    pitch,
    signals,
)

Array = NDArray[np.float32]
# A row of the manifest and its picture.
Row = tuple[dict[str, str], NDArray[np.uint8]]

NEUTRAL_PICTURES, OTHER_PICTURES = 1500, 500
# A mesh below this presence is no face, or not a face that the net can read.
MIN_PRESENCE = 0.9
# The range of resting faces; beyond it a subject's neutral level is not believed. Brows and lids
# rest where a person's bones and folds have them; mouths vary less, and many of those labelled
# neutral smile a little.
LOW, MIDDLE, HIGH, HIGH_OF_BROWS_AND_LIDS = 0.05, 0.50, 0.90, 0.95
BROWS_AND_LIDS = ("AU1", "AU2", "AU4", "AU7")
# Signals whose resting range is narrower than this are taken to have this range: the net's noise.
MIN_RANGE = 0.05
FULL = 0.99
# At most this part of resting faces may count as present, ...
FALSE_ALARMS = 0.05
# ... each as if it had been seen for this long and the neutral level had been taken from it.
SEEN_SECONDS = 1.0
# From a "trace" on (1 of 5 intensities, FACS A) a unit may count as present, not below.
MIN_THRESHOLD = 0.2
# The part of resting faces whose lips are closer than what counts as parted.
PARTED = 0.9
# Units that say nothing of parted lips; angry people show them with lips that touch, or shout.
OF_TOUCHING_LIPS = ("AU23", "AU24")


@dataclass(frozen=True)
class Pictures:
    """The readable, frontal faces of a split: labels [N], face pose vectors [N, 263]."""

    labels: NDArray[np.str_]
    poses: Array
    read: int

    def of(self, *labels: str) -> NDArray[np.bool_]:
        return np.isin(self.labels, labels)


class Reader:
    """Face pose vectors of small grey pictures that hold nothing but a face."""

    def __init__(self) -> None:
        self._landmarker, self._shapes = Landmarker(), ShapeReader()

    def __call__(self, picture: NDArray[np.uint8]) -> Array | None:
        """float32 [263], None where there is no face that can be read."""
        large = cv2.resize(picture, None, fx=ENLARGE, fy=ENLARGE, interpolation=cv2.INTER_CUBIC)
        large = cv2.copyMakeBorder(large, *[MARGIN] * 4, cv2.BORDER_REPLICATE)
        image = np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB), np.uint8)
        side = len(image)
        first = self._landmarker(image, Roi((side - 1) / 2, (side - 1) / 2, side, 0.0))
        face = first and self._landmarker(image, roi_from_mesh(first.mesh))
        if face is None or face.confidence < MIN_PRESENCE:
            return None
        return face_pose(face, self._shapes(face))


def choose(rows: Sequence[Row], split: str) -> list[Row]:
    """Some pictures of each label of ``split``, always the same ones; turned copies of none."""
    by_label = defaultdict(list)
    for row in rows:
        if row[0]["split"] == split and not is_copy(row[0]["path"]):
            by_label[row[0]["label"]].append(row)
    chance = np.random.default_rng(0)
    chosen = []
    for label in sorted(by_label):
        count = NEUTRAL_PICTURES if label == "neutral" else OTHER_PICTURES
        order = chance.permutation(len(by_label[label]))[:count]
        chosen += [by_label[label][at] for at in order]
    return chosen


def read_faces(rows: Sequence[Row], reader: Reader) -> Pictures:
    """The faces of pictures, without those that cannot be read or are turned away."""
    labels, poses = [], []
    for row, picture in rows:
        pose = reader(picture)
        if pose is not None and frontality(pose[None])[0] > 0.5:
            labels.append(row["label"])
            poses.append(pose)
    return Pictures(np.array(labels), np.stack(poses), len(rows))


def slopes(y: Array, *xs: Array) -> list[float]:
    """Of ``y`` [N] along each of ``xs`` [N], by least squares with an intercept."""
    design = np.stack([np.ones(len(y)), *xs], axis=1)
    return [round(float(slope), 5) for slope in np.linalg.lstsq(design, y, rcond=None)[0][1:]]


def measure_explained(train: Pictures) -> Explained:
    """How much other movements explain, by least squares with an intercept."""
    raw = action_units.signals(train.poses)
    smile, squint, lip, press, gap = (
        raw[:, ACTION_UNITS.index(name)] for name in ("AU12", "AU7", "AU10", "AU24", "AU25")
    )
    blink = blendshape(train.poses, "eyeBlinkLeft", "eyeBlinkRight")
    rest, smiling = train.of("neutral"), train.of("neutral", "happy")
    parted = np.quantile(gap[rest], PARTED)
    pressing = smiling & (gap < parted / 2)
    by_blink, by_pitch = slopes(squint[rest], blink[rest], pitch(train.poses[rest]))
    return Explained(
        squint_by_blink=by_blink,
        squint_by_pitch=by_pitch,
        upper_lip_by_smile=slopes(lip[smiling], smile[smiling])[0],
        press_by_smile=slopes(press[pressing], smile[pressing])[0],
        parted=round(float(parted), 5),
    )


def activation_at_rest(raw: Array, proxies: UnitProxies) -> Array:
    """[N, 12] activations of resting faces [N, 12], each with a neutral level of its own."""
    seconds = np.array([SEEN_SECONDS])
    levels = np.stack([proxies.neutral_level(row[None], seconds) for row in raw])
    return proxies.activation(raw, levels)


def measure_units(train: Pictures, explained: Explained) -> dict[str, dict[str, float]]:
    """Population, full and threshold of each unit."""
    raw = signals(train.poses, explained)
    rest = raw[train.of("neutral")]
    low, middle = np.quantile(rest, (LOW, MIDDLE), axis=0)
    high, full = np.empty_like(low), np.empty_like(low)
    for at, proxy in enumerate(PROXIES):
        part = HIGH_OF_BROWS_AND_LIDS if proxy.name in BROWS_AND_LIDS else HIGH
        high[at] = max(np.quantile(rest[:, at], part), middle[at] + MIN_RANGE)
        full[at] = np.quantile(raw[train.of(proxy.expression), at], FULL)
    population = Population(low, middle, high)
    draft = UnitProxies(explained, population, full, np.full_like(full, MIN_THRESHOLD))
    reached = np.quantile(activation_at_rest(rest, draft), 1 - FALSE_ALARMS, axis=0)
    threshold = np.maximum(reached, MIN_THRESHOLD)
    columns = {
        "low": population.low,
        "middle": population.middle,
        "high": population.high,
        "full": full,
        "threshold": threshold,
    }
    return {
        name: {key: round(float(values[at]), 4) for key, values in columns.items()}
        for at, name in enumerate(ACTION_UNITS)
    }


def auc(positive: Array, negative: Array) -> tuple[float, float, float]:
    """Area under the ROC curve and its 95 % interval (DeLong et al. 1988)."""
    wins = (positive[:, None] > negative).astype(float) + 0.5 * (positive[:, None] == negative)
    area = wins.mean()
    of_positive, of_negative = wins.mean(axis=1), wins.mean(axis=0)
    error = np.sqrt(
        of_positive.var(ddof=1) / len(positive) + of_negative.var(ddof=1) / len(negative)
    )
    return float(area), float(max(area - 1.96 * error, 0)), float(min(area + 1.96 * error, 1))


def measure_held_out(test: Pictures, proxies: UnitProxies) -> dict[str, dict[str, Any]]:
    """How each unit does on pictures that no figure was taken from."""
    raw = proxies.signals(test.poses)
    rest = test.of("neutral")
    touching = raw[:, ACTION_UNITS.index("AU25")] < proxies.explained.parted / 2
    unknown = proxies.activation(raw, proxies.population.middle)
    known = activation_at_rest(raw[rest], proxies)
    table = {}
    for at, proxy in enumerate(PROXIES):
        among = touching if proxy.name in OF_TOUCHING_LIPS else np.ones(len(raw), bool)
        separates = {
            label: [
                round(value, 3)
                for value in auc(raw[among & test.of(label), at], raw[among & rest, at])
            ]
            for label in sorted(set(test.labels) - {"neutral"})
        }
        area, *interval = separates[proxy.expression]
        present = unknown[:, at] >= proxies.threshold[at]
        table[proxy.name] = {
            "expression": proxy.expression,
            "auc": area,
            "interval": interval,
            "among": "lips that touch" if proxy.name in OF_TOUCHING_LIPS else "all",
            "pictures": [
                int((among & test.of(proxy.expression)).sum()),
                int((among & rest).sum()),
            ],
            "present_in_expression": share(present[among & test.of(proxy.expression)]),
            "present_in_neutral": share(present[among & rest]),
            "false_alarms": share(known[:, at] >= proxies.threshold[at]),
            "all_expressions": separates,
        }
    return table


def share(flags: NDArray[np.bool_]) -> float:
    return round(float(flags.mean()), 3)


def counts(pictures: Pictures) -> dict[str, int]:
    names, numbers = np.unique(pictures.labels, return_counts=True)
    return {str(name): int(number) for name, number in zip(names, numbers, strict=True)}


def measure(train: Pictures, test: Pictures, validation: Pictures) -> dict[str, Any]:
    """All figures, ready for JSON."""
    explained = measure_explained(train)
    figures: dict[str, Any] = {
        "what": "the scale of action unit proxies: no action unit labels were used",
        "explained": {name: getattr(explained, name) for name in explained.__slots__},
        "units": measure_units(train, explained),
    }
    proxies = UnitProxies.from_figures(figures)
    parts = {"train": train, "test": test, "validation": validation}
    return {
        **figures,
        "meaning": f"low, middle, high: quantiles {LOW}, {MIDDLE}, {HIGH} (of brows and lids "
        f"{HIGH_OF_BROWS_AND_LIDS}) of the signal over neutral training pictures (high at least "
        f"{MIN_RANGE} above middle); full: quantile "
        f"{FULL} over pictures of the unit's expression; threshold: the activation that at most "
        f"{FALSE_ALARMS:.0%} of the neutral ones reach, each with a neutral level of its own as "
        f"after {SEEN_SECONDS:g} s, but at least {MIN_THRESHOLD}",
        "test": measure_held_out(test, proxies),
        "validation": measure_held_out(validation, proxies),
        "held_out_meaning": "on parts from which no figure above was taken (the test part was "
        "looked at while the signals were chosen, the validation part only afterwards): AUC of "
        "the signal, expression against neutral, with DeLong's 95 % interval, and how many "
        "pictures of both; the part of them called present with the population's neutral level "
        "(nothing known of the person); false_alarms: the part of neutral pictures called present "
        f"with a level of their own, as after {SEEN_SECONDS:g} s. Expressions are not units: an "
        "angry face need not show each of anger's",
        "pictures": {
            "read": {name: part.read for name, part in parts.items()},
            "used": {name: counts(part) for name, part in parts.items()},
            "used_means": f"mesh presence at least {MIN_PRESENCE}, turned less than 30 degrees",
        },
        "source": "FER2013 (Goodfellow et al. 2013, arXiv 1307.0414), web pictures, research "
        "use; no picture is here",
        "measured_by": "starter_training/action_units.py",
        "date": date.today().isoformat(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--fer2013", type=Path, required=True, help="folder of images.zip and manifest.csv"
    )
    parser.add_argument("--out", type=Path, default=FIGURES, help="default: %(default)s")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    reader = Reader()
    rows = read_pictures(arguments.fer2013)
    splits = ("train", "test", "validation")
    result = measure(*(read_faces(choose(rows, split), reader) for split in splits))
    write_json(arguments.out, result)
    for name, row in result["test"].items():
        print(name, *(f"{key} {row[key]}" for key in row if key != "all_expressions"))
    print(f"written: {arguments.out}")


if __name__ == "__main__":
    main()
