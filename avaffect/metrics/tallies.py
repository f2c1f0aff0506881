"""Sums that a score is made of.

Everything a score needs of one video is a small array of sums (its *tally*), and tallies add up.
The official score is a function of the sum over all videos, a video's own score of its own tally,
and a bootstrap over videos draws tallies with repetition, so that thousands of draws cost nothing.

Sources: the challenge papers of ABAW1 (arXiv:2001.11409, section 3) to ABAW10: mean CCC; macro F1
over all classes; mean F1 over the action units. ABAW1 and 2 weight F1 and accuracy (expr .67 and
.33, au .5 and .5); the multi-task score is the sum of the three.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import TRACKS, Edition
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.metrics.scores import (
    accuracy,
    binary_accuracy,
    binary_counts,
    binary_f1,
    confusion,
    f1_per_class,
    mean_known,
)
from avaffect.tasks.kinds import Values
from avaffect.tasks.registry import AU, EXPR, VA, task_named

Labels = NDArray[np.float64] | NDArray[np.int64]
Tally = NDArray[np.float64]
Parts = dict[str, float]
MTL = "mtl"
MTL_COLUMNS = 2 + 1 + len(ACTION_UNITS)

_LAST_VA, _LAST_EXPR = 2 * 6, 2 * 6 + len(EXPRESSIONS) ** 2


def join_mtl(va: Labels, expr: Labels, au: Labels) -> NDArray[np.float64]:
    """float64 [N, 15], the labels of the three tasks side by side."""
    return np.column_stack([va, expr, au]).astype(np.float64)


def split_mtl(labels: Labels) -> dict[str, Labels]:
    """By task, the labels that `join_mtl` put side by side."""
    return {
        VA.name: labels[:, :2],
        EXPR.name: labels[:, 2].astype(np.int64),
        AU.name: labels[:, 3:].astype(np.int64),
    }


def tally(predicted: Labels, annotated: Labels, task: str, edition: Edition) -> Tally:
    """The sums of valid frames of one task.

    Args:
        predicted: va [N, 2]; expr [N]; au [N, K]. No value may be invalid.
        annotated: likewise.
        task: ``va``, ``expr`` or ``au``.
        edition: whose classes and units they are.

    Returns:
        float64 [S]: for va of each dimension n and the sums of x, y, xx, yy, xy; for expr the
        confusion by rows; for au of each unit the four `binary_counts`.
    """
    sums = _TALLIES[task_named(task).kind](predicted, annotated, len(edition.targets(task)))
    return sums.astype(np.float64).ravel()


def score(sums: Tally, task: str, edition: Edition) -> tuple[float, Parts]:
    """The official score of a tally, and what it is made of, by name.

    Args:
        sums: float64 [S]; for ``mtl`` the tallies of the three tasks, one behind the other.
        task: ``va``, ``expr``, ``au`` or ``mtl``.
        edition: whose score.

    Returns:
        NaN for a task without a frame.
    """
    if task != MTL:
        value, parts = tally_parts(sums, task, edition.targets(task))
        if edition.name in _EARLY and task in _EARLY_WEIGHTS:
            of_f1, of_accuracy = _EARLY_WEIGHTS[task]
            value = of_f1 * value + of_accuracy * parts["accuracy"]
        return value, parts
    parts = {}
    details: Parts = {}
    for task_name, mine in split_tally(sums).items():
        value, more = score(mine, task_name, edition)
        parts[f"{task_name} {task_named(task_name).measure}"] = value
        details |= {
            (name if name.startswith(("CCC", "F1")) else f"{task_name} {name}"): part
            for name, part in more.items()
            if name not in ("macro F1", "mean F1")
        }
    return sum(parts.values()), parts | details


def tally_parts(sums: Tally, task: str, targets: Sequence[str]) -> tuple[float, Parts]:
    """As :func:`score` of one task, of any targets, by no edition's weights."""
    return _PARTS[task_named(task).kind](sums, targets)


def split_tally(sums: Tally) -> dict[str, Tally]:
    """By task, the parts of a multi-task tally."""
    return dict(zip(TRACKS, np.split(sums, (_LAST_VA, _LAST_EXPR)), strict=True))


def confusion_of(sums: Tally, task: str) -> NDArray[np.int64] | None:
    """int64 [C, C], rows annotated, columns predicted; None for a task without classes."""
    if task == MTL:
        return confusion_of(split_tally(sums)[EXPR.name], EXPR.name)
    return _square(sums).astype(np.int64) if task_named(task).flat else None


def absent_parts(sums: Tally, task: str, edition: Edition) -> tuple[str, ...]:
    """Names of the parts of `score` that the annotations cannot test.

    A class or unit that no frame is annotated with has an F1 of 0 whatever is predicted; valence
    or arousal that is annotated the same in all frames has a CCC of 0 (or 1).
    """
    if task == MTL:
        each = split_tally(sums).items()
        return tuple(
            part for task_name, mine in each for part in absent_parts(mine, task_name, edition)
        )
    ours = task_named(task)
    if ours.flat:
        missing = _square(sums).sum(axis=1) == 0
    elif isinstance(ours, Values):
        n, _, y, _, yy, _ = sums.reshape(-1, 6).T
        n = np.maximum(n, 1)
        missing = yy / n - (y / n) ** 2 < 1e-12
    else:
        hits, _, missed, _ = sums.reshape(-1, 4).T
        missing = hits + missed == 0
    names = edition.targets(task)
    return tuple(f"{ours.part} {name}" for name, no in zip(names, missing, strict=True) if no)


def expr_parts(counts: NDArray[np.int64], names: Sequence[str]) -> Parts:
    """``macro F1``, ``accuracy`` and ``F1 <class>`` of a confusion; NaN without a frame."""
    each = f1_per_class(counts) if counts.any() else np.full(len(names), np.nan)
    parts = {"macro F1": float(each.mean()), "accuracy": accuracy(counts)}
    return parts | {f"F1 {name}": float(f1) for name, f1 in zip(names, each, strict=True)}


def au_parts(counts: NDArray[np.int64], names: Sequence[str]) -> Parts:
    """``mean F1``, ``accuracy`` and ``F1 <unit>`` of binary counts.

    A unit without a frame is NaN and stays out of the mean.
    """
    each = np.where(counts.any(axis=1), binary_f1(counts), np.nan)
    parts = {"mean F1": mean_known(each), "accuracy": binary_accuracy(counts)}
    return parts | {f"F1 {name}": float(f1) for name, f1 in zip(names, each, strict=True)}


def _values_tally(predicted: Labels, annotated: Labels, width: int) -> Tally:
    x, y = predicted.reshape(-1, width).T, annotated.reshape(-1, width).T
    ones = np.full(width, x.shape[1], np.float64)
    sums = (x.sum(1), y.sum(1), (x * x).sum(1), (y * y).sum(1), (x * y).sum(1))
    return np.stack([ones, *sums], axis=1)


def _values_parts(sums: Tally, names: Sequence[str]) -> tuple[float, Parts]:
    n, x, y, xx, yy, xy = sums.reshape(-1, 6).T
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_x, mean_y = x / n, y / n
        apart = (mean_x - mean_y) ** 2
        spread = xx / n - mean_x**2 + yy / n - mean_y**2 + apart
        concordance = np.where(spread > 1e-12, 2 * (xy / n - mean_x * mean_y) / spread, 1.0)
    each = np.where(n > 0, concordance, np.nan)
    return float(each.mean()), {
        f"CCC {name}": float(value) for name, value in zip(names, each, strict=True)
    }


def _classes_parts(sums: Tally, names: Sequence[str]) -> tuple[float, Parts]:
    parts = expr_parts(_square(sums).astype(np.int64), names)
    return parts["macro F1"], parts


def _units_tally(predicted: Labels, annotated: Labels, width: int) -> Labels:
    return binary_counts(predicted.reshape(-1, width), annotated.reshape(-1, width))


def _units_parts(sums: Tally, names: Sequence[str]) -> tuple[float, Parts]:
    parts = au_parts(sums.reshape(-1, 4).astype(np.int64), names)
    return parts["mean F1"], parts


def _square(sums: Tally) -> Tally:
    side = round(len(sums) ** 0.5)
    return sums.reshape(side, side)


# What F1 and accuracy count in the first editions.
_EARLY = ("abaw1", "abaw2")
_EARLY_WEIGHTS = {EXPR.name: (0.67, 0.33), AU.name: (0.5, 0.5)}
_TALLIES: Mapping[str, Callable[[Labels, Labels, int], Labels]] = {
    "values": _values_tally,
    "classes": confusion,
    "units": _units_tally,
}
_PARTS: Mapping[str, Callable[[Tally, Sequence[str]], tuple[float, Parts]]] = {
    "values": _values_parts,
    "classes": _classes_parts,
    "units": _units_parts,
}
