"""What stands in a gap of the challenge's text files: rows without a value, and how they get one.

The challenge wants a row for every frame, with or without a face, and does not fix what to write.
Published systems differ: all four rules here have been used. Tables are never filled: they name
the policy of the text files beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import UnknownNameError

Values = NDArray[np.float32]
Times = NDArray[np.float64]


def _previous(values: Values, times: Times, known: NDArray[np.int64]) -> Values:
    """The last value before; leading frames stay missing (the rule of ABAW2, Xie et al.)."""
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
    return np.stack(columns, axis=1).astype(values.dtype)


def _invalid(values: Values, times: Times, known: NDArray[np.int64]) -> Values:
    """No value: the files have -5 (valence, arousal) or -1 (expression, action units)."""
    return values


POLICIES: dict[str, Callable[[Values, Times, NDArray[np.int64]], Values]] = {
    "linear": _linear,
    "nearest": _nearest,
    "previous": _previous,
    "invalid": _invalid,
}
DEFAULT_POLICY = "linear"


def require_policy(policy: str) -> None:
    """Raise UnknownNameError if there is no such policy."""
    if policy not in POLICIES:
        raise UnknownNameError("policy for missing frames", policy, POLICIES)


def fill_gaps(values: Values, times: Times, policy: str) -> Values:
    """``values`` with those made by ``policy`` where there are none.

    Each column is filled from its own known values; one without any stays empty.

    >>> values = np.array([[0.0], [np.nan], [1.0]], np.float32)
    >>> fill_gaps(values, np.array([0.0, 1.0, 2.0]), "linear").tolist()
    [[0.0], [0.5], [1.0]]

    Args:
        values: float [N, K], NaN for none.
        times: float64 [N], seconds, on any clock.
        policy: a key of ``POLICIES``.

    Returns:
        [N, K], a copy.

    Raises:
        UnknownNameError: no such policy.
    """
    require_policy(policy)
    filled = values.copy()
    if not len(times):
        return filled
    elapsed = times - times[0]
    missing = np.isnan(values)
    for at, gaps in enumerate(missing.T):
        if gaps.any() and not gaps.all():
            column = values[:, at : at + 1]
            made = POLICIES[policy](column, elapsed, np.flatnonzero(~gaps))
            filled[gaps, at] = made[gaps, 0]
    return filled


def policy_of(about: Mapping[str, Any]) -> str:
    """The policy of the text files beside a table.

    Args:
        about: the table's metadata, see `files.table.read_table`.

    Returns:
        a key of ``POLICIES``; ``invalid``, which leaves everything as it is, where none is named.
    """
    configuration = about.get("configuration")
    older = configuration.get("missing") if isinstance(configuration, Mapping) else None
    policy = about.get("missing", older)
    return policy if isinstance(policy, str) and policy in POLICIES else "invalid"
