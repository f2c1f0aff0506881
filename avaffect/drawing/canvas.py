"""Drawing on a picture: letters, shades, and places that are free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.drawing.words import tile

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
WHITE, BLACK = (255, 255, 255), (0, 0, 0)

# Letters in pixels: a share of the picture's shorter side, within bounds.
_LETTERS, _LEAST, _MOST = 1 / 36, 10, 48


@dataclass(frozen=True)
class Size:
    """Lengths in pixels that suit a picture.

    Attributes:
        letters: height of letters.
    """

    letters: int

    @classmethod
    def of(cls, image: Image) -> Size:
        """What suits ``image``."""
        return cls(int(np.clip(round(min(image.shape[:2]) * _LETTERS), _LEAST, _MOST)))

    @property
    def line(self) -> int:
        """How thick lines are."""
        return max(1, round(self.letters / 9))

    @property
    def margin(self) -> int:
        """Around what is written."""
        return max(2, self.letters // 4)

    @property
    def row(self) -> int:
        """From one line of text to the next."""
        return tile("", self.letters).shape[0] + 1


@dataclass(frozen=True)
class Area:
    """A rectangle in pixels; right and bottom are beyond it."""

    left: int
    top: int
    right: int
    bottom: int

    def shared(self, other: Area) -> int:
        """Pixels that two have in common."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0, wide) * max(0, high)


def sides_of(box: Area, wide: int, high: int, gap: int, image: Image) -> list[Area]:
    """Places for a panel: right of a box, left of it, below and above it, each in the picture."""
    corners = (
        (box.right + gap, box.top),
        (box.left - gap - wide, box.top),
        (box.left, box.bottom + gap),
        (box.left, box.top - gap - high),
    )
    places = []
    for corner in corners:
        x = int(np.clip(corner[0], 0, max(0, image.shape[1] - wide)))
        y = int(np.clip(corner[1], 0, max(0, image.shape[0] - high)))
        places.append(Area(x, y, x + wide, y + high))
    return places


def freest(places: Sequence[Area], taken: Sequence[Area], before: int | None) -> int:
    """The number of the place that hides least of what is there.

    Args:
        places: to choose from, the best first.
        taken: where something is drawn already.
        before: the choice in the picture before, which is left only for one that hides clearly
            less, so that nothing jumps to and fro.
    """
    hidden = [sum(place.shared(other) for other in taken) for place in places]
    best = min(range(len(places)), key=lambda at: hidden[at])
    if before is None:
        return best
    size = (places[0].right - places[0].left) * (places[0].bottom - places[0].top)
    return before if hidden[before] <= hidden[best] + size // 10 else best


def shade(image: Image, area: Area) -> None:
    """Darken a part of ``image`` so that what is written on it can be read."""
    part = image[area.top : area.bottom, area.left : area.right]
    cv2.convertScaleAbs(part, dst=part, alpha=0.22, beta=16)


def write(image: Image, text: str, size: Size, x: int, y: int, colour: Colour) -> None:
    """Write ``text`` with its upper left corner at a place in ``image``, cut off at its edges."""
    letters, around = _coloured(text, size.letters, colour)
    part = image[y : y + letters.shape[0], x : x + letters.shape[1]]
    if part.size:
        letters, around = (each[: part.shape[0], : part.shape[1]] for each in (letters, around))
        part[...] = cv2.add(cv2.multiply(part, around, scale=1 / 255), letters)


def width_of(text: str, size: Size) -> int:
    """Pixels that ``text`` takes."""
    return tile(text, size.letters).shape[1]


def _coloured(text: str, letters: int, colour: Colour) -> tuple[Image, Image]:
    """A tile in a colour, and what it leaves of the picture below, both uint8 [H, W, 3]."""
    share = tile(text, letters)[:, :, None].astype(np.float32) / 255
    inked = (share * np.array(colour, np.float32)).astype(np.uint8)
    return inked, np.repeat((255 * (1 - share)).astype(np.uint8), 3, axis=2)
