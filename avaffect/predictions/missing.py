"""Frames without a value: what stands in for them.

The challenge wants a row for every frame, with or without a face, and does not say what to
write. Published systems differ: all four rules here have been used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import UnknownNameError
from avaffect.predictions.prediction import Prediction

Values = NDArray[np.float32]
Times = NDArray[np.float64]


def _previous(values: Values, times: Times, known: NDArray[np.int64]) -> Values:
    """The last value before; leading frames stay missing (seed paper 002's rule)."""
    last = np.searchsorted(known, np.arange(len(values)), side="right") - 1
    filled = values[known[np.maximum(last, 0)]]
    filled[last < 0] = np.nan
    return filled


def _nearest(values: Values, times: Times, known: NDArray[np.int64]) -> Values:
    """The value nearest in time, the earlier one when two are equally near."""
    after = np.searchsorted(known, np.arange(len(values)))
    left = known[np.maximum(after - 1, 0)]
    right = known[np.minimum(after, len(known) - 1)]
    # At the ends one side does not exist and the two are the same frame.
    nearer = np.where(np.abs(times - times[left]) <= np.abs(times[right] - times), left, right)
    return values[nearer]


def _linear(values: Values, times: Times, known: NDArray[np.int64]) -> Values:
    """Straight lines over time between known values, the first and last one held at the ends."""
    columns = [np.interp(times, times[known], column[known]) for column in values.T]
    return np.stack(columns, axis=1).astype(np.float32)


def _invalid(values: Values, times: Times, known: NDArray[np.int64]) -> Values:
    """Nothing: the files say -5 (valence, arousal) or -1 (expression, action units)."""
    return values


POLICIES: dict[str, Callable[[Values, Times, NDArray[np.int64]], Values]] = {
    "linear": _linear,
    "nearest": _nearest,
    "previous": _previous,
    "invalid": _invalid,
}
DEFAULT_POLICY = "linear"


def _enclosing(intervals: Values, known: NDArray[np.int64]) -> Values:
    """For each frame an interval that holds that of the known frame before and the one after.

    Args:
        intervals: [N, 2, 2], the last axis low and high.
        known: frames with an interval; before the first and after the last there is one only.
    """
    at = np.arange(len(intervals))
    before = known[np.maximum(np.searchsorted(known, at, side="right") - 1, 0)]
    after = known[np.minimum(np.searchsorted(known, at), len(known) - 1)]
    low = np.minimum(intervals[before, :, 0], intervals[after, :, 0])
    high = np.maximum(intervals[before, :, 1], intervals[after, :, 1])
    return np.stack([low, high], axis=2)


def alike(values: Values) -> list[NDArray[np.int64]]:
    """The columns of ``values`` [N, K], those together that are missing in the same rows."""
    _, group = np.unique(np.isnan(values), axis=1, return_inverse=True)
    group = group.reshape(-1)
    return [np.flatnonzero(group == one) for one in range(group.max(initial=-1) + 1)]


def fill(prediction: Prediction, policy: str = DEFAULT_POLICY) -> Prediction:
    """Give missing frames a value by ``policy`` and flag them in ``filled``.

    Frames that have a value keep it. Probabilities and scores are filled, not decisions, so
    that under ``linear`` the expression in a gap changes where the probabilities cross. A
    subject without any value stays without, and so does a unit that was never seen. Smooth before
    filling, so that made-up values do not leak into seen ones.

    The interval of a filled value of ``va`` holds the intervals of both its neighbours, under
    every policy. Nothing was seen there, so that it says what would fit the neighbours, and no
    more: over a long absence it promises nothing.

    Raises:
        UnknownNameError: no such policy.
    """
    if policy not in POLICIES:
        raise UnknownNameError("missing-frame policy", policy, POLICIES)
    changes: dict[str, Any] = {}
    filled = prediction.filled.copy()
    for name in ("va", "expr", "au", "au_intensity"):
        values = getattr(prediction, name)
        if values is None:
            continue
        made = values.copy()
        for columns in alike(values):
            missing = np.isnan(values[:, columns[0]])
            if missing.any() and not missing.all():
                known = np.flatnonzero(~missing)
                some = POLICIES[policy](values[:, columns], prediction.times, known)
                made[:, columns] = np.where(missing[:, None], some, values[:, columns])
                filled |= missing & ~np.isnan(made[:, columns[0]])
                changes[name] = made
    if prediction.va_interval is not None and "va" in changes:
        known = np.flatnonzero(~np.isnan(prediction.va).all(axis=1))  # type: ignore[arg-type]
        intervals = _enclosing(prediction.va_interval, known)
        intervals[np.isnan(changes["va"])] = np.nan
        changes["va_interval"] = intervals
    return replace(prediction, filled=filled, **changes)
