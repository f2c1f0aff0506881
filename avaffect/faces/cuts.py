"""Cuts: where one shot ends and another begins."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_SIZE = (32, 18)
# On a cut nearly everything changes at once: both the picture and its colours.
_PICTURE_CHANGE = 0.13
_COLOUR_CHANGE = 0.35


class CutDetector:
    """Says for each frame whether it begins a new shot.

    Compares a thumbnail (mean absolute change, 0..1) and a colour histogram (half the L1
    distance, 0..1) with those of the frame before; a flash or a fast pan changes only one of them.
    """

    def __init__(self) -> None:
        self._last: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def __call__(self, image: NDArray[np.uint8]) -> bool:
        """Whether ``image`` (uint8 [H, W, 3] RGB) is the first of a shot; False for the first."""
        small = cv2.resize(image, _SIZE, interpolation=cv2.INTER_AREA)
        histogram = cv2.calcHist([small], [0, 1, 2], None, [4, 4, 4], [0, 256] * 3).reshape(-1)
        now = (small.astype(np.float32) / 255.0, histogram / histogram.sum())
        last, self._last = self._last, now
        if last is None:
            return False
        picture = float(np.abs(now[0] - last[0]).mean())
        colour = float(np.abs(now[1] - last[1]).sum()) / 2
        return picture > _PICTURE_CHANGE and colour > _COLOUR_CHANGE

    def state(self) -> dict[str, Any] | None:
        """The frame before, as JSON-able values (see :meth:`restore`)."""
        if self._last is None:
            return None
        return {"picture": self._last[0].tolist(), "colours": self._last[1].tolist()}

    def restore(self, state: dict[str, Any] | None) -> None:
        """Go on after the frame at which :meth:`state` was taken."""
        if state is None:
            self._last = None
            return
        self._last = (
            np.array(state["picture"], np.float32),
            np.array(state["colours"], np.float32),
        )
