"""Faces that never move: portraits on the wall, posters.

What counts is the shape of a face and what it does, not where it is, so that it does not matter
whether the camera moves. Single frames shake by noise: means over a fifth of a second hardly do.
Measured by how much these change within two seconds, in the liveliest tenth of the time: printed
faces 0.0002 to 0.0027 (with film noise, small, panned), people who speak or listen 0.007 and more.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.floating]

BLOCK_S = 0.2
WINDOW = 10  # blocks
# Mean standard deviation within a window of the landmarks (in distances between the eyes' outer
# corners) and of the blendshapes below which nothing moved, for a face of LARGE pixels and more.
LANDMARKS, BLENDSHAPES = 0.0035, 0.012
LARGE = 60.0
LIVELIEST = 0.1  # part of the windows
# Who was seen for less than this many seconds may have had no reason to move.
LONG_ENOUGH_S = 2.0
_BINS = 64
_RANGE = (1e-4, 1.0)


class Stillness:
    """How much one face moves; grows with each frame, in constant memory."""

    def __init__(self) -> None:
        self._block = -1
        self._sum: NDArray[np.float64] | float = 0.0
        self._count = 0
        self._means: list[NDArray[np.float64]] = []
        self._windows = np.zeros((2, _BINS), np.int64)
        self._landmarks = 0
        self._span = [np.inf, -np.inf]

    def add(self, times: Values, landmarks: Values, blendshapes: Values) -> None:
        """Count the next frames.

        Args:
            times: [N], seconds, rising.
            landmarks: [N, L], without place, turn and size, in distances between the eyes.
            blendshapes: [N, B], 0..1.
        """
        if not len(times):
            return
        self._landmarks = landmarks.shape[1]
        self._span = [min(self._span[0], float(times[0])), max(self._span[1], float(times[-1]))]
        both = np.concatenate([landmarks, blendshapes], axis=1).astype(np.float64)
        blocks = np.floor(np.asarray(times) / BLOCK_S).astype(np.int64)
        starts = np.flatnonzero(np.diff(blocks, prepend=blocks[0] - 1))
        sums = np.add.reduceat(both, starts)
        counts = np.diff(np.append(starts, len(blocks)))
        for block, total, count in zip(blocks[starts], sums, counts, strict=True):
            if block != self._block:
                self._close()
                self._block, self._sum, self._count = int(block), 0.0, 0
            self._sum, self._count = self._sum + total, self._count + int(count)

    def _close(self) -> None:
        """The block is complete."""
        if self._count:
            self._means.append(np.asarray(self._sum) / self._count)
        if len(self._means) == WINDOW:
            self._windows += self._window()
            self._means = []

    def _window(self) -> NDArray[np.int64]:
        """int64 [2, bins], one more in the bins of how much landmarks and blendshapes moved."""
        spread = np.array(self._means).std(0)
        moved = [spread[: self._landmarks].mean(), spread[self._landmarks :].mean()]
        low, high = np.log(_RANGE)
        place = (np.log(np.maximum(moved, _RANGE[0])) - low) / (high - low) * _BINS
        out = np.zeros((2, _BINS), np.int64)
        out[[0, 1], np.clip(place.astype(int), 0, _BINS - 1)] = 1
        return out

    @property
    def moved(self) -> tuple[float, float]:
        """Standard deviation of landmarks and blendshapes within the liveliest windows."""
        windows = self._windows
        if len(self._means) > WINDOW // 2 or not windows.any():
            windows = windows + self._window() if len(self._means) > 1 else windows
        if not windows.any():
            return np.inf, np.inf
        part = np.cumsum(windows, axis=1) / windows.sum(1, keepdims=True)
        place = (part >= 1 - LIVELIEST).argmax(axis=1) + 0.5
        low, high = np.log(_RANGE)
        landmarks, blendshapes = np.exp(low + place / _BINS * (high - low))
        return float(landmarks), float(blendshapes)

    def is_still(self, size: float) -> bool:
        """Whether this is the picture of a face, whose mean longer side is ``size`` pixels."""
        if self._span[1] - self._span[0] < LONG_ENOUGH_S:
            return False
        landmarks, blendshapes = self.moved
        larger = max(1.0, LARGE / max(size, 1.0))
        return landmarks < LANDMARKS * larger and blendshapes < BLENDSHAPES * larger
