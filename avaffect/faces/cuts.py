"""Cuts: where one shot ends and another begins."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_SIZE = (32, 18)
# Correlation below which two frames in a row show different things. Measured: neighbouring frames
# of a talking head 0.99 and of a walking crowd 0.94 at least (0.79 at 5 frames a second); a flash
# of twice the light 0.94; a cut between two men in the same place before one backdrop 0.68,
# between other shots 0.5 and less. A pan of 2 % of the picture a frame is at 0.9, of 4 % at 0.7.
_ALIKE = 0.8
# Pictures with less contrast (standard deviation, 0..1) show nothing that could change.
_FLAT = 0.02


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 [18, 32, 3], ``image`` (uint8 [H, W, 3]) made small by means of areas.

    By halves as far as that goes: several times as fast, and the same to the rounding of each.
    """
    small = image
    height, width = small.shape[:2]
    while min(height // _SIZE[1], width // _SIZE[0]) >= 16 and not (height % 2 or width % 2):
        height, width = height // 2, width // 2
        halved = cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA)
        small = np.asarray(halved, np.uint8)
    return np.asarray(cv2.resize(small, _SIZE, interpolation=cv2.INTER_AREA), np.uint8)


class CutDetector:
    """Says for each frame whether it begins a new shot.

    Correlates a thumbnail with that of the frame before, so that more or less light is no cut. A
    fast pan may be taken for one; that costs a look for faces, which are then known again by their
    appearance. A slow dissolve is not noticed.
    """

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._contrast = 0.0

    def __call__(self, image: NDArray[np.uint8]) -> bool:
        """Whether ``image`` (uint8 [H, W, 3] RGB) is the first of a shot; False for the first."""
        small = thumbnail(image).astype(np.float32) / 255
        now = small - small.mean((0, 1))
        last, self._last = self._last, now
        contrast = _contrast(now), self._contrast
        self._contrast = contrast[0]
        if last is None:
            return False
        if max(contrast) < _FLAT:
            return False
        alike = float(np.vdot(now, last)) / now.size
        return alike <= _ALIKE * contrast[0] * contrast[1]

    def state(self) -> list[Any] | None:
        """The frame before, as JSON-able values (see :meth:`restore`)."""
        return None if self._last is None else self._last.tolist()

    def restore(self, state: list[Any] | None) -> None:
        """Go on after the frame at which :meth:`state` was taken."""
        self._last = None if state is None else np.array(state, np.float32)
        self._contrast = 0.0 if self._last is None else _contrast(self._last)


def _contrast(values: NDArray[np.float32]) -> float:
    """The standard deviation of ``values`` [18, 32, 3], of which each channel has the mean 0."""
    return math.sqrt(float(np.vdot(values, values)) / values.size)
