"""What is drawn on a frame of a video: a subject's face and values."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.drawing.canvas import (
    BLACK,
    WHITE,
    Area,
    Colour,
    Image,
    Size,
    freest,
    shade,
    sides_of,
    width_of,
    write,
)
from avaffect.drawing.subjects import Table
from avaffect.drawing.words import plain
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.media.aspect import PixelScale

_BOX = ("box_left", "box_top", "box_right", "box_bottom")
_POINTS = tuple(
    f"{point}_{axis}"
    for point in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
    for axis in "xy"
)
_UNITS_A_LINE = 4


class Overlay:
    """Draws one subject.

    Args:
        table: the subject's.
        colour: RGB.
    """

    def __init__(self, table: Table, colour: Colour) -> None:
        self._name = plain(table.subject)
        self._colour = colour
        self._ink = BLACK if np.dot(colour, (0.3, 0.59, 0.11)) > 110 else WHITE
        self._box = table.numbers(*_BOX)
        self._seen: NDArray[np.bool_] = np.all(np.isfinite(self._box), axis=1)
        if "present" in table.columns:
            self._seen = self._seen & table.columns["present"].astype(bool)
        self._points = table.numbers(*_POINTS).reshape(-1, 5, 2)
        self._va = table.numbers("valence", "arousal")
        self._classes = table.numbers(*(f"p_{name}" for name in EXPRESSIONS))
        self._units = table.numbers(*ACTION_UNITS)
        known = (self._va, self._classes, self._units)
        # What the model does not predict gets no room; what it does, the same in every frame.
        self._has_va, self._has_classes, self._has_units = (
            bool(np.isfinite(each).any()) for each in known
        )
        self._side: int | None = None

    def __len__(self) -> int:
        return len(self._seen)

    def face(self, image: Image, row: int, scale: PixelScale) -> Area | None:
        """Draw box and points on ``image``.

        Args:
            image: uint8 [H, W, 3], RGB, square pixels; changed in place.
            row: of the table, from 0.
            scale: how the file's own pixels became those of ``image``.

        Returns:
            where the face lies; None if it is not seen, and nothing is drawn.
        """
        if not self._seen[row]:
            return None
        size = Size.of(image)
        most = np.array(image.shape[1::-1], np.float32)
        corners = scale.to_picture(self._box[row].reshape(2, 2))
        # A face may reach beyond the picture, a hostile table as far as it likes.
        corners = np.clip(corners, -most, 2 * most).round()
        left, top, right, bottom = (int(each) for each in corners.ravel())
        cv2.rectangle(image, (left, top), (right, bottom), self._colour, size.line, cv2.LINE_AA)
        points = scale.to_picture(self._points[row])
        dot = max(1, round(size.letters / 7))
        for point in points[np.isfinite(points).all(axis=1)]:
            x, y = (int(each) for each in np.clip(point, -1, most).round())
            cv2.circle(image, (x, y), dot + 1, BLACK, -1, cv2.LINE_AA)
            cv2.circle(image, (x, y), dot, self._colour, -1, cv2.LINE_AA)
        return Area(left, top, right, bottom)

    def panel(self, image: Image, row: int, box: Area, taken: Sequence[Area]) -> Area:
        """Write name, expression, values and units beside the face.

        Args:
            image: as in `face`.
            row: likewise.
            box: what that returned.
            taken: where it should not be, if that can be.

        Returns:
            where it is.
        """
        size = Size.of(image)
        lines = 1 + self._has_classes + 2 * self._has_va + 2 * self._has_units
        wide = max(11 * size.letters, width_of(self._name, size) + 2 * size.margin)
        wide = min(wide, image.shape[1])
        high = lines * size.row + 2 * size.margin
        places = sides_of(box, wide, high, size.margin + size.line, image)
        self._side = freest(places, taken, self._side)
        area = places[self._side]
        shade(image, area)
        x, y = area.left, area.top
        cv2.rectangle(image, (x, y), (area.right - 1, y + size.row - 1), self._colour, -1)
        write(image, self._name, size, x + size.margin, y, self._ink)
        y += size.row + size.margin
        if self._has_classes:
            write(image, self._expression(row), size, x + size.margin, y, WHITE)
            y += size.row
        for label, value in zip("VA", self._va[row], strict=True) if self._has_va else ():
            self._bar(image, size, Area(x, y, area.right, y + size.row), label, float(value))
            y += size.row
        for text in self._unit_lines(row) if self._has_units else ():
            write(image, text, size, x + size.margin, y, self._colour)
            y += size.row
        return area

    def _expression(self, row: int) -> str:
        known = self._classes[row]
        if not np.isfinite(known).any():
            return "–"
        best = int(np.nanargmax(known))
        return f"{EXPRESSIONS[best]} {100 * float(np.clip(known[best], 0, 1)):.0f} %"

    def _unit_lines(self, row: int) -> tuple[str, str]:
        on = [
            name.removeprefix("AU")
            for name, value in zip(ACTION_UNITS, self._units[row], strict=True)
            if value > 0
        ]
        if not np.isfinite(self._units[row]).any():
            return "AU –", ""
        first, second = on[:_UNITS_A_LINE], on[_UNITS_A_LINE:]
        # Two lines hold all twelve in small numbers, and none is left out in silence.
        return f"AU {' '.join(first) or 'none'}", " ".join(second)

    def _bar(self, image: Image, size: Size, area: Area, label: str, value: float) -> None:
        """A bar from 0 in the middle to the value, which stands behind it."""
        write(image, label, size, area.left + size.margin, area.top, WHITE)
        text = f"{value:+.2f}".replace("-", "−") if np.isfinite(value) else "–"
        end = area.right - size.margin
        write(image, text, size, end - width_of(text, size), area.top, WHITE)
        left = area.left + size.margin + round(1.2 * size.letters)
        right = end - width_of("+0.00", size) - size.letters // 2
        middle, quarter = (left + right) // 2, size.row // 4
        low, high = area.top + quarter, area.bottom - quarter
        cv2.rectangle(image, (left, low), (right, high), (105, 105, 105), -1)
        if np.isfinite(value):
            tip = middle + round(float(np.clip(value, -1, 1)) * (right - left) / 2)
            ends = (min(middle, tip), low), (max(middle, tip), high)
            cv2.rectangle(image, *ends, self._colour, -1)
        cv2.line(image, (middle, low - 1), (middle, high + 1), WHITE, 1)


def draw_all(image: Image, row: int, scale: PixelScale, overlays: Sequence[Overlay]) -> None:
    """Draw everyone whose face is seen; the arguments are those of `Overlay.face`.

    No panel lies on a face or on another panel where there is room.
    """
    boxes = [(overlay, overlay.face(image, row, scale)) for overlay in overlays]
    taken = [box for _, box in boxes if box is not None]
    for overlay, box in boxes:
        if box is not None:
            taken.append(overlay.panel(image, row, box, taken))
