"""Frames without a value: what the challenge's text files hold there.

Predictions and tables keep such frames empty. `fill` makes what is written as text, by a policy of
`files.gaps`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.files.gaps import (
    DEFAULT_POLICY,
    POLICIES,
    Values,
    fill_gaps,
    require_policy,
)
from avaffect.predictions.prediction import Prediction
from avaffect.tasks.registry import VA

__all__ = ["DEFAULT_POLICY", "POLICIES", "fill", "marked", "require_policy"]


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
    return [np.flatnonzero(group == number) for number in range(group.max(initial=-1) + 1)]


def parts(prediction: Prediction, *, intervals: bool = False) -> dict[str, NDArray[np.float32]]:
    """All values of a prediction, by the name that ``Prediction`` takes it by.

    Args:
        prediction: the values of its tasks, and the intensity of action units.
        intervals: with ``va_interval``.
    """
    found: dict[str, NDArray[np.float32] | None] = {**prediction.values}
    found["au_intensity"] = prediction.au_intensity
    if intervals:
        found["va_interval"] = prediction.va_interval
    return {name: values for name, values in found.items() if values is not None}


def fill(prediction: Prediction, policy: str = DEFAULT_POLICY) -> Prediction:
    """Give missing frames a value by ``policy`` and flag them in ``filled``.

    Frames that have a value keep it. Probabilities and scores are filled, not decisions, so
    that under ``linear`` the expression in a gap changes where the probabilities cross. A
    subject without any value stays without, and so does a unit that was never seen. Smooth before
    filling, so that made-up values do not leak into seen ones.

    The interval of a filled value of ``va`` holds the intervals of both its neighbours, under
    every policy. Nothing was seen there, so that it holds what would fit the neighbours, and no
    more: over a long absence it promises nothing.

    Raises:
        UnknownNameError: no such policy.
    """
    changes: dict[str, Any] = {}
    filled = prediction.filled.copy()
    for name, values in parts(prediction).items():
        made = fill_gaps(values, prediction.times, policy)
        new = np.isnan(values) & ~np.isnan(made)
        if new.any():
            changes[name] = made
            filled |= new.any(axis=1)
    if prediction.va_interval is not None and VA.name in changes:
        known = np.flatnonzero(~np.isnan(prediction.va).all(axis=1))  # type: ignore[arg-type]
        intervals = _enclosing(prediction.va_interval, known)
        intervals[np.isnan(changes[VA.name])] = np.nan
        changes["va_interval"] = intervals
    return replace(prediction, filled=filled, **changes)


def marked(prediction: Prediction, policy: str = DEFAULT_POLICY) -> Prediction:
    """``prediction`` as it is, with ``filled`` where `fill` would make up a value.

    Raises:
        UnknownNameError: no such policy.
    """
    return replace(prediction, filled=fill(prediction, policy).filled)


def without_lone_voice(prediction: Prediction) -> Prediction:
    """``prediction`` without what rests on a voice alone while the subject is not seen.

    For videos of several people: a voice that is heard while one of them is away may be anyone's.
    """
    alone = prediction.heard & ~prediction.present
    changes: dict[str, Values | NDArray[np.bool_]] = {"heard": prediction.heard & ~alone}
    for name, values in parts(prediction, intervals=True).items():
        withheld = values.copy()
        withheld[alone] = np.nan
        changes[name] = withheld
    return replace(prediction, **changes)  # type: ignore[arg-type]
