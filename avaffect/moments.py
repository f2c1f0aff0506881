"""Mean and standard deviation of columns that come chunk by chunk."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# Below this share of its mean a column's deviation is the rounding of a constant.
_ROUNDING = 1e-14


class Moments:
    """Mean and standard deviation of columns, gathered in double precision.

    Args:
        width: columns.
    """

    def __init__(self, width: int) -> None:
        self._count = np.zeros(width)
        self._mean = np.zeros(width)
        self._squares = np.zeros(width)

    def add(self, values: NDArray[Any], seen: NDArray[np.bool_]) -> None:
        """Add rows [n, width]; what counts are finite cells where ``seen`` (bool [n])."""
        rows = values[seen].astype(np.float64)
        known = np.isfinite(rows)
        count = known.sum(0)
        total = np.maximum(self._count + count, 1)
        mean = np.where(known, rows, 0.0).sum(0) / np.maximum(count, 1)
        step = mean - self._mean
        # Squares around means, joined (Chan, Golub, LeVeque 1983), keep their precision far
        # from zero.
        self._squares += np.square(np.where(known, rows - mean, 0.0)).sum(0)
        self._squares += step * step * self._count * count / total
        self._mean += step * count / total
        self._count += count

    def result(
        self, rounding: float = _ROUNDING, constant: float = 1.0
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The mean and the deviation, float64 [width] each.

        Args:
            rounding: a column is constant if its deviation is below this share of its mean.
            constant: the deviation of such a column. One without values has the mean 0, and is
                constant.
        """
        deviation = np.sqrt(self._squares / np.maximum(self._count, 1))
        deviation[deviation <= rounding * np.abs(self._mean)] = constant
        return self._mean.copy(), np.maximum(deviation, np.finfo(np.float32).tiny)
