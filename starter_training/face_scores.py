"""Figures of the face net on the parts of the sets that it did not learn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from face_data import Faces
from face_sets import SETS
from face_spoils import upright
from mobile_face_net import FaceNet
from numpy.typing import NDArray

from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.metrics.scores import accuracy, ccc, confusion, f1_per_class
from avaffect.predictors.starter.unit_proxies import PROXIES

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
CHUNK = 32
RESAMPLES = 500
# What FER2013 calls them, as UnitProxy.expression does.
_EXPRESSION = {"surprise": 6, "angry": 1, "happy": 4, "disgust": 2, "sad": 5}


@dataclass(frozen=True)
class Opinions:
    """What the net says of ``N`` pictures: logits [N, 8], values [N, 2], unit logits [N, 12]."""

    expression: Floats
    values: Floats
    units: Floats


def opinions(net: FaceNet, faces: Faces, rows: Ints) -> Opinions:
    """The net's opinions of the pictures ``rows``, cut out as at inference."""
    device = next(net.parameters()).device
    said: list[tuple[Floats, ...]] = []
    with torch.inference_mode():
        for at in range(0, len(rows), CHUNK):
            crops = [
                upright(faces.pictures[row], faces.matrices[row], net.window.side)
                for row in rows[at : at + CHUNK]
            ]
            x = torch.from_numpy(np.stack(crops)).to(device).permute(0, 3, 1, 2).float()
            said.append(tuple(value.cpu().numpy() for value in vars(net(x)).values()))
    return Opinions(*(np.concatenate(column) for column in zip(*said, strict=True)))


def choices(logits: Floats, classes: int) -> Ints:
    """int64 [N], the likeliest of the first ``classes``."""
    return logits[:, :classes].argmax(axis=1)


def figures_of(faces: Faces, rows: Ints, said: Opinions) -> dict[str, float]:
    """Accuracy, macro F1 and what else the set's labels can tell, for one part of it."""
    found: dict[str, float] = {}
    labels, classes = faces.labels.label[rows], SETS[faces.name].classes
    known = labels >= 0
    found |= _of_classes("", said.expression[known], labels[known], classes)
    if classes == 8 and faces.name != "ferplus":
        seven = labels < 7
        found |= _of_classes("seven_", said.expression[seven], labels[seven], 7)
    own = faces.labels.own[rows]
    if (own >= 0).any():
        found |= _of_classes("own_label_", said.expression[own >= 0], own[own >= 0], 7)
    valued = np.isfinite(faces.values[rows]).all(axis=1)
    if valued.any():
        for column, name in enumerate(("valence", "arousal")):
            found[f"{name}_ccc"] = ccc(
                said.values[valued, column], faces.values[rows][valued, column]
            )
    return found


def _of_classes(prefix: str, logits: Floats, labels: Ints, classes: int) -> dict[str, float]:
    counts = confusion(choices(logits, classes), labels, classes)
    return {
        f"{prefix}accuracy": float(accuracy(counts)),
        f"{prefix}macro_f1": float(np.mean(f1_per_class(counts)[counts.sum(axis=1) > 0])),
    }


def with_intervals(faces: Faces, rows: Ints, said: Opinions) -> dict[str, list[float]]:
    """Each figure with its 95 % interval over pictures: value, low, high."""
    chance = np.random.default_rng(0)
    draws: list[dict[str, float]] = []
    for _ in range(RESAMPLES):
        some = chance.integers(0, len(rows), len(rows))
        part = Opinions(*(value[some] for value in vars(said).values()))
        draws.append(figures_of(faces, rows[some], part))
    whole = figures_of(faces, rows, said)
    return {
        name: [round(value, 4), *middle([draw[name] for draw in draws])]
        for name, value in whole.items()
    }


def middle(values: list[float]) -> list[float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return [round(float(low), 4), round(float(high), 4)]


def auc(positive: Floats, negative: Floats) -> float:
    """How often a value of ``positive`` is above one of ``negative``."""
    both = np.concatenate([positive, negative])
    order = both.argsort(kind="stable")
    ranks = np.empty(len(both))
    ranks[order] = np.arange(1, len(both) + 1)
    above = ranks[: len(positive)].sum() - len(positive) * (len(positive) + 1) / 2
    return float(above / (len(positive) * len(negative)))


def unit_aucs(faces: Faces, rows: Ints, units: Floats) -> dict[str, float]:
    """How well each unit tells the expression that shows it from a neutral face.

    Args:
        units: [N, 12], any score that rises with the unit: the net's, or the blendshapes'.
    """
    labels = faces.labels.label[rows]
    rest = labels == EXPRESSIONS.index("Neutral")
    found = {}
    for at, proxy in enumerate(PROXIES):
        shows = labels == _EXPRESSION[proxy.expression]
        if shows.any() and rest.any():
            found[ACTION_UNITS[at]] = round(auc(units[shows, at], units[rest, at]), 3)
    return found


def rates(faces: Faces, rows: Ints, present: NDArray[np.bool_]) -> dict[str, dict[str, float]]:
    """P(unit | expression): how often each unit [N, 12] is present in pictures of each class."""
    labels = faces.labels.label[rows]
    return {
        name: {
            unit: round(float(present[labels == at, column].mean()), 3)
            for column, unit in enumerate(ACTION_UNITS)
        }
        for at, name in enumerate(EXPRESSIONS)
        if (labels == at).any()
    }


def recalls(faces: Faces, rows: Ints, said: Opinions) -> dict[str, float]:
    """How many of the pictures of each class are named so, among the classes the set knows."""
    labels, chosen = faces.labels.label[rows], choices(said.expression, SETS[faces.name].classes)
    return {
        name: round(float((chosen[labels == at] == at).mean()), 3)
        for at, name in enumerate(EXPRESSIONS)
        if (labels == at).any()
    }


def all_figures(
    net: FaceNet,
    sets: Mapping[str, Faces],
    split: str,
    score: Callable[[Faces, Ints, Opinions], Mapping[str, Any]] = figures_of,
) -> dict[str, Mapping[str, Any]]:
    """``score`` of each set that has the part ``split``."""
    found = {}
    for name, faces in sets.items():
        rows = faces.rows(split)
        if len(rows):
            found[name] = score(faces, rows, opinions(net, faces, rows))
    return found
