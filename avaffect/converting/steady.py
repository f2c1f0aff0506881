"""Samples at a steady rate, for forms that have no times of their own.

Nothing is interpolated: each sample is the values of the frame nearest in time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.converting.rows import Rows, numbers
from avaffect.errors import UsageError
from avaffect.predictions.durations import LONGEST_STEP_S

MOST_RATE = 10_000.0
_MOST_SAMPLES = 10_000_000
_AT_ONCE = 1 << 14
_DECIMALS = 6


@dataclass(frozen=True, eq=False, repr=False)
class Steady(ArrayRecord):
    """Which frame each sample shows.

    Attributes:
        rate: samples a second.
        start: time of the first one in seconds.
        frames: int64 [M], the frame (from 0) nearest to each sample, never falling; of two as
            near the earlier.
        known: bool [M], whether that one is nearer than half a second.
    """

    rate: float
    start: float
    frames: NDArray[np.int64]
    known: NDArray[np.bool_]

    @classmethod
    def of(
        cls, times: NDArray[np.float64], rate: float | None = None, start: float | None = None
    ) -> Steady:
        """Samples from ``start`` to the last frame.

        Args:
            times: float64 [N], of the frames in seconds, rising.
            rate: samples a second; None takes the frames' own mean rate, pauses of more than a
                second left out, to six decimals. A video with a constant rate has a sample a
                frame then.
            start: time of the first sample; None takes the first frame's.

        Raises:
            UsageError: a rate that is none, or one that makes too many samples.
        """
        if rate is None:
            steps = np.diff(times)
            steps = steps[steps <= LONGEST_STEP_S]
            rate = min(round(1 / steps.mean(), _DECIMALS), MOST_RATE) if len(steps) else 25.0
        if not 0 < rate <= MOST_RATE:
            raise UsageError(
                f"{rate:g} samples a second are none",
                f"choose more than 0 and at most {MOST_RATE:g}",
            )
        start = float(times[0]) if start is None else start
        count = max(1, round((float(times[-1]) - start) * rate) + 1)
        if count > _MOST_SAMPLES:
            raise UsageError(
                f"{count:,} samples are too many", f"choose fewer than rate={rate:g} a second"
            )
        moments = start + np.arange(count) / rate
        after = np.clip(np.searchsorted(times, moments), 1, max(1, len(times) - 1))
        before = after - 1
        after = np.minimum(after, len(times) - 1)
        nearer = np.abs(times[after] - moments) < np.abs(times[before] - moments)
        frames = np.where(nearer, after, before).astype(np.int64)
        known = np.abs(times[frames] - moments) < LONGEST_STEP_S / 2
        return cls(rate, start, frames, known)

    def __len__(self) -> int:
        """M, the number of samples."""
        return len(self.frames)

    def samples(self, rows: Rows, names: Sequence[str]) -> Iterator[NDArray[np.float64]]:
        """float64 [m, len(names)], columns at all samples, some at a time; NaN where unknown."""
        at = done = 0
        for block in rows.blocks(names):
            values = numbers(block, names)
            end = int(np.searchsorted(self.frames, at + len(values)))
            # Before the first frame, and in a pause, there may be any number of them.
            for first in range(done, end, _AT_ONCE):
                part = slice(first, min(first + _AT_ONCE, end))
                found = values[self.frames[part] - at]
                found[~self.known[part]] = np.nan
                yield found
            at, done = at + len(values), end
