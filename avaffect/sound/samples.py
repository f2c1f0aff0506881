"""Samples of sound that a caller has: checked, and as one channel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import UsageError

Floats = NDArray[np.float32]

RATES = (1_000, 384_000)
MOST_CHANNELS = 64
_LOUDEST = 4.0


def as_samples(samples: Any, rate: Any) -> Floats:
    """``samples`` as float32 [channels, n].

    Args:
        samples: float [n], or [channels, n], about -1..1.
        rate: hertz.

    Raises:
        UsageError: another shape or kind, numbers that are none, or a rate beyond 1,000 to
            384,000.
    """
    low, high = RATES
    good = isinstance(rate, int | float | np.number) and math.isfinite(rate)
    if not good or not low <= rate <= high:
        raise UsageError(
            f"the rate of the sound is {rate!r}", f"give hertz, {low} to {high}, such as 48000"
        )
    found = np.asarray(samples)
    if found.dtype.kind != "f" or found.ndim not in (1, 2):
        raise UsageError(
            f"the sound is {found.dtype} {list(found.shape)}, expected float [n] or [channels, n]",
            "divide int16 by 32768",
        )
    found = np.atleast_2d(found)
    if not 1 <= len(found) <= MOST_CHANNELS:
        raise UsageError(
            f"the sound has {len(found)} channels", "give [channels, n]; samples.T turns it"
        )
    if not np.isfinite(found).all() or np.abs(found).max(initial=0) > _LOUDEST:
        raise UsageError("the sound holds values far beyond -1..1", "divide int16 by 32768")
    return found.astype(np.float32)


def mixed(samples: Floats) -> Floats:
    """float32 [n] in -1..1, the mean of the channels [channels, n]."""
    return np.clip(samples.mean(axis=0), -1, 1).astype(np.float32)
