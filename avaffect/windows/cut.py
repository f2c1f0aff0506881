"""Cutting clips into windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.errors import UsageError

Integers = NDArray[np.int64]


def window_starts(frames: int, length: int, overlap: int) -> Integers:
    """First frames of the windows over a clip; together they cover each frame.

    Windows start ``length - overlap`` frames apart. The last one ends with the clip, so it may
    overlap more; only a clip shorter than ``length`` has a window that reaches beyond its end.

    Returns:
        int64 [W], rising from 0; empty for a clip without frames.
    """
    if not 0 <= overlap < length:
        raise UsageError(f"overlap {overlap} must lie between 0 and length {length}")
    if frames <= 0:
        return np.zeros(0, np.int64)
    last = max(0, frames - length)
    starts = np.arange(0, last + 1, length - overlap, dtype=np.int64)
    return starts if starts[-1] == last else np.append(starts, last)


@dataclass(frozen=True, eq=False, repr=False)
class Windows(ArrayRecord):
    """The windows over several clips, in order.

    Attributes:
        length: frames in each.
        clip: int64 [W], index of the clip.
        start: int64 [W], first frame in the clip.
    """

    length: int
    clip: Integers
    start: Integers

    def __len__(self) -> int:
        """W."""
        return len(self.clip)

    def keep(self, which: NDArray[np.bool_]) -> Windows:
        """Those where ``which`` (bool [W]) is True."""
        return Windows(self.length, self.clip[which], self.start[which])


def cut(frames: Sequence[int], length: int, overlap: int) -> Windows:
    """Windows over clips of so many frames each; see :func:`window_starts`."""
    starts = [window_starts(count, length, overlap) for count in frames]
    clip = np.repeat(np.arange(len(frames)), [len(places) for places in starts])
    every = np.concatenate([np.zeros(0, np.int64), *starts])
    return Windows(length, clip.astype(np.int64), every)
