"""The challenge's scores: CCC, F1 and accuracy, in double precision.

Definitions follow the evaluation functions that the challenge's participants publish: population
moments (no Bessel correction), one concatenation of all valid frames of all videos. F1 is 0 for a
class that is neither predicted nor annotated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avaffect.errors import UsageError

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


def ccc(predicted: ArrayLike, annotated: ArrayLike) -> float:
    """Concordance correlation coefficient (Lin 1989).

    ``2 cov / (var + var + (mean - mean)^2)`` with population moments.

    >>> round(ccc([0.1, 0.2, 0.6], [0.1, 0.2, 0.6]), 6)
    1.0
    >>> round(ccc([-1, 0, 1], [1, 0, -1]), 6)
    -1.0

    Args:
        predicted: [N] values, finite.
        annotated: [N] values, finite.

    Returns:
        -1..1; NaN without frames; where both are constant, 1 if they are equal, else 0.
    """
    x, y = np.asarray(predicted, np.float64), np.asarray(annotated, np.float64)
    _require_same_shape(x, y)
    if not x.size:
        return float("nan")
    dx, dy = x - x.mean(), y - y.mean()
    spread = float((dx * dx).mean() + (dy * dy).mean() + (x.mean() - y.mean()) ** 2)
    if spread == 0:
        return 1.0
    return float(2 * (dx * dy).mean() / spread)


def confusion(predicted: ArrayLike, annotated: ArrayLike, classes: int) -> Counts:
    """Count pairs of classes.

    >>> confusion([0, 1, 1], [0, 1, 0], classes=2).tolist()
    [[1, 1], [0, 1]]

    Args:
        predicted: int [N], each 0..classes-1.
        annotated: int [N], each 0..classes-1.
        classes: how many there are.

    Returns:
        int64 [classes, classes], rows annotated, columns predicted.
    """
    x, y = np.asarray(predicted, np.int64), np.asarray(annotated, np.int64)
    _require_same_shape(x, y)
    if x.size and (min(x.min(), y.min()) < 0 or max(x.max(), y.max()) >= classes):
        raise UsageError(f"classes must lie between 0 and {classes - 1}")
    counts = np.bincount(y * classes + x, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def f1_per_class(counts: Counts) -> Floats:
    """float64 [classes], the F1 of each class of a :func:`confusion`; 0 where it never occurs."""
    hits = np.diag(counts).astype(np.float64)
    occurrences = counts.sum(0) + counts.sum(1)
    return np.divide(2 * hits, occurrences, out=np.zeros_like(hits), where=occurrences > 0)


def macro_f1(counts: Counts) -> float:
    """Mean F1 over all classes, also over those that never occur.

    >>> round(macro_f1(confusion([0, 1, 1], [0, 1, 0], classes=2)), 3)
    0.667
    """
    return float(f1_per_class(counts).mean())


def accuracy(counts: Counts) -> float:
    """Share of hits; NaN without frames."""
    total = counts.sum()
    return float(np.trace(counts) / total) if total else float("nan")


def binary_counts(predicted: ArrayLike, annotated: ArrayLike) -> Counts:
    """Count hits and misses of K units.

    >>> binary_counts([[1], [1], [0]], [[1], [0], [0]]).tolist()
    [[1, 1, 0, 1]]

    Args:
        predicted: [N, K] of 0 and 1.
        annotated: [N, K] of 0 and 1.

    Returns:
        int64 [K, 4]: true positives, false positives, false negatives, true negatives.
    """
    x, y = np.asarray(predicted), np.asarray(annotated)
    _require_same_shape(x, y)
    if not (np.isin(x, (0, 1)).all() and np.isin(y, (0, 1)).all()):
        raise UsageError("action units must be 0 or 1")
    x, y = x.astype(bool), y.astype(bool)
    columns = [(x & y).sum(0), (x & ~y).sum(0), (~x & y).sum(0), (~x & ~y).sum(0)]
    return np.stack(columns, axis=1).astype(np.int64)


def binary_f1(counts: Counts) -> Floats:
    """float64 [K], F1 of the positive class of :func:`binary_counts`; 0 where it never occurs."""
    hits, false, missed = counts[:, 0].astype(np.float64), counts[:, 1], counts[:, 2]
    occurrences = 2 * hits + false + missed
    return np.divide(2 * hits, occurrences, out=np.zeros_like(hits), where=occurrences > 0)


def binary_accuracy(counts: Counts) -> float:
    """Share of right decisions over all frames and units together; NaN without frames."""
    total = counts.sum()
    return float((counts[:, 0].sum() + counts[:, 3].sum()) / total) if total else float("nan")


def mean_known(values: ArrayLike) -> float:
    """The mean of the values that are not NaN; NaN without any."""
    known = np.asarray(values, np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if known.size else float("nan")


def _require_same_shape(x: NDArray[np.generic], y: NDArray[np.generic]) -> None:
    if x.shape != y.shape:
        raise UsageError(f"predictions have shape {x.shape}, annotations {y.shape}")
