"""Pixels that are not square: how a picture is stretched, and where its points lie in the file."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

# Real ones lie between 1:2 (every other column left out) and 2:1 (anamorphic lenses).
MAX_ASPECT = 5


def plausible(aspect: Fraction | None) -> bool:
    """Whether pixels so much wider than high may be meant; None stands for square ones."""
    return aspect is None or Fraction(1, MAX_ASPECT) <= aspect <= MAX_ASPECT


@dataclass(frozen=True, slots=True)
class PixelScale:
    """How many square pixels of a picture one of the file's own pixels became.

    Attributes:
        x: along a row; 1 where nothing was stretched.
        y: along a column, likewise.
    """

    x: float = 1.0
    y: float = 1.0

    def to_file(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points of the picture in the file's own pixels.

        Args:
            points: float32 [..., 2], x and y; (0, 0) is the middle of the first pixel.

        Returns:
            float32 [..., 2]; ``points`` itself where nothing was stretched.
        """
        return self._map(points, self.x, self.y)

    def to_picture(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """What undoes :meth:`to_file`."""
        return self._map(points, 1 / self.x, 1 / self.y)

    def _map(self, points: NDArray[np.float32], x: float, y: float) -> NDArray[np.float32]:
        if self == SQUARE:
            return points
        mapped = (points.astype(np.float64) + 0.5) / (x, y) - 0.5
        return mapped.astype(np.float32)


SQUARE = PixelScale()


def square_size(
    width: int, height: int, aspect: Fraction | None, max_side: int, max_pixels: int
) -> tuple[int, int]:
    """Width and height of a picture whose pixels are made square.

    The side that is too short grows, so that nothing is lost; beyond the limits the other one
    shrinks instead.

    >>> square_size(720, 576, Fraction(64, 45), max_side=4096, max_pixels=1 << 24)
    (1024, 576)

    Args:
        width: of the stored picture.
        height: likewise.
        aspect: width of its pixels over their height; None, or what :func:`plausible` is not,
            is taken for 1.
        max_side: no side may become longer.
        max_pixels: nor may there be more pixels.
    """
    if aspect is None or aspect == 1 or not plausible(aspect):
        return width, height
    wide = max(1, round(width * aspect))
    high = max(1, round(height / aspect))
    grown = (wide, height) if aspect > 1 else (width, high)
    if max(grown) <= max_side and grown[0] * grown[1] <= max_pixels:
        return grown
    return (width, high) if aspect > 1 else (wide, height)
