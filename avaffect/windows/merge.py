"""From windows back to frames: the values of overlapping windows are averaged by frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Merger:
    """Collects the values of one clip's windows and averages them frame by frame.

    Args:
        frames: N, of the clip.
        width: values a frame.
    """

    def __init__(self, frames: int, width: int) -> None:
        self._sums = np.zeros((frames, width), np.float64)
        self._counts = np.zeros(frames, np.int64)

    def add(self, start: int, values: NDArray[np.floating]) -> None:
        """Add a window.

        Args:
            start: its first frame.
            values: [T, width]; rows beyond the clip's end are padding and left out.
        """
        stop = min(start + len(values), len(self._sums))
        self._sums[start:stop] += values[: stop - start]
        self._counts[start:stop] += 1

    def result(self) -> NDArray[np.float32]:
        """float32 [N, width], NaN where no window was."""
        with np.errstate(invalid="ignore"):
            return (self._sums / self._counts[:, None]).astype(np.float32)
