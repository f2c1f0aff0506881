"""Values over time, ready to be drawn: few enough, and of several subjects on one clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.errors import need

MOST_POINTS = 2000
_GRID = 400

Floats = NDArray[np.float64]


def thinned(times: Floats, values: Floats, most: int = MOST_POINTS) -> tuple[Floats, Floats]:
    """Means of so many frames in a row that at most ``most`` points are left.

    Args:
        times: float64 [N], increasing.
        values: float64 [N, K], NaN where unknown.
        most: the number of points.

    Returns:
        float64 [M] and [M, K]; a point of which no frame is known is NaN.
    """
    step = -(-len(times) // most)
    if step <= 1:
        return times, values
    starts = np.arange(0, len(times), step)
    counts = np.diff([*starts, len(times)])
    return np.add.reduceat(times, starts) / counts, _means(values, starts)


def edges_of(times: Floats) -> Floats:
    """float64 [N + 1]: where each of ``times`` begins and the last one ends."""
    if len(times) == 1:
        return np.array([times[0], times[0] + 1])
    middles = (times[1:] + times[:-1]) / 2
    first, last = times[0] - (times[1] - times[0]) / 2, times[-1] + (times[-1] - times[-2]) / 2
    return np.concatenate([[first], middles, [last]])


@dataclass(frozen=True, eq=False, repr=False)
class Band(ArrayRecord):
    """A mean over subjects and how sure it is.

    Attributes:
        times: float64 [M], seconds since each subject's first frame.
        mean: float64 [M, K], NaN where nobody has a value.
        low, high: float64 [M, K], the 95 % confidence interval of the mean (Student's t); NaN
            where fewer than two subjects have a value.
        counts: int64 [M, K], how many have one.
    """

    times: Floats
    mean: Floats
    low: Floats
    high: Floats
    counts: NDArray[np.int64]


def band_of(subjects: Sequence[tuple[Floats, Floats]]) -> Band:
    """The mean of several subjects over time; each counts once, however many frames it has.

    Args:
        subjects: of each the times, float64 [N] from 0, and the values, float64 [N, K].
    """
    need("plot", "scipy")
    from scipy.stats import t

    longest = max(float(times[-1]) for times, _ in subjects)
    # A cell that is narrower than two frames would have gaps where there are none.
    steps = [float(np.median(np.diff(times))) for times, _ in subjects if len(times) > 1]
    width = max(longest / _GRID, 2 * max(steps, default=0.5)) or 1.0
    cells = int(longest / width) + 1
    gathered = np.full((len(subjects), cells, subjects[0][1].shape[1]), np.nan)
    for row, (times, values) in zip(gathered, subjects, strict=True):
        places = np.minimum((times / width).astype(int), cells - 1)
        used, starts = np.unique(places, return_index=True)
        row[used] = _means(values, starts)
    known = np.isfinite(gathered)
    counts = known.sum(0)
    mean = _share(np.where(known, gathered, 0).sum(0), counts)
    spread = _share(np.where(known, (gathered - mean) ** 2, 0).sum(0), counts - 1)
    half = t.ppf(0.975, np.maximum(counts - 1, 1)) * np.sqrt(_share(spread, counts))
    centres = (np.arange(cells, dtype=np.float64) + 0.5) * np.float64(width)
    return Band(centres, mean, mean - half, mean + half, counts.astype(np.int64))


def _means(values: Floats, starts: NDArray[np.int64]) -> Floats:
    """Means of the known values of the rows from each start to the next."""
    known = np.isfinite(values)
    sums = np.add.reduceat(np.where(known, values, 0), starts, axis=0)
    return _share(sums, np.add.reduceat(known.astype(np.int64), starts, axis=0))


def _share(sums: Floats, counts: NDArray[np.int64]) -> Floats:
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
