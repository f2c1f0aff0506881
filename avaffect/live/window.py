"""A window with the newest frame, and what is predicted of those on it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.config import MediaConfig
from avaffect.drawing.overlay import Overlay, draw_all
from avaffect.drawing.subjects import COLOURS, Table
from avaffect.errors import UsageError, need
from avaffect.live.session import FramePrediction
from avaffect.media.aspect import SQUARE

TITLE = "avaffect live (q ends)"
_QUIT = (ord("q"), 27)


class Window:
    """Shows frames; q or Escape ends.

    Raises:
        UsageError: no window can be shown here.
        MissingPackageError: matplotlib, whose font the words are in, is not installed.
    """

    def __init__(self) -> None:
        need("plot", "matplotlib")
        hint = "use window=False"
        # OpenCV with Qt would end the process.
        shown = sys.platform in ("win32", "darwin") or any(
            os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
        )
        if not shown:
            raise UsageError("there is no display to show a window on", hint)
        try:
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
        except cv2.error as error:
            raise UsageError(
                "this OpenCV shows no windows", f"{hint}, or install opencv-python for -headless"
            ) from error

    def show(self, image: NDArray[np.uint8], results: Sequence[FramePrediction]) -> bool:
        """Show a frame.

        Args:
            image: uint8 [H, W, 3], RGB; it stays as it is.
            results: those of this frame.

        Returns:
            whether to go on.
        """
        cv2.imshow(TITLE, drawn(image, results)[:, :, ::-1])
        return cv2.waitKey(1) & 0xFF not in _QUIT

    def close(self) -> None:
        """Close it."""
        cv2.destroyWindow(TITLE)
        cv2.waitKey(1)


def drawn(image: NDArray[np.uint8], results: Sequence[FramePrediction]) -> NDArray[np.uint8]:
    """A copy of ``image`` with people's faces and values drawn on it, as by `render`."""
    image = image.copy()
    overlays = []
    for result in results:
        prediction = result.prediction
        table = Table(prediction.subject, prediction.columns(), MediaConfig())
        overlays.append(Overlay(table, COLOURS[(result.track - 1) % len(COLOURS)]))
    draw_all(image, 0, SQUARE, overlays)
    return image
