"""Names as they are drawn: short and printable, whatever they are called."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

LONGEST = 28


def plain(name: str, longest: int = LONGEST) -> str:
    """``name`` in one line of printable letters, its middle left out where it is longer.

    >>> plain("a\\nvery long name of a video that ends in left")
    'a very long na… ends in left'
    """
    shown = "".join(letter if letter.isprintable() else " " for letter in name)
    if len(shown) <= longest:
        return shown
    half = (longest - 1) // 2
    return f"{shown[: longest - 1 - half]}…{shown[-half:]}"


def tile(text: str, size: int) -> NDArray[np.uint8]:
    """``text`` as a picture.

    DejaVu Sans has Latin, Greek and Cyrillic letters; others are boxes.

    Args:
        text: one line.
        size: of the letters in pixels.

    Returns:
        uint8 [H, W], 0 (nothing) to 255 (letter); all tiles of a size are as high.
    """
    # Letters are kept and not texts: thousands of small arrays would stand between the places of
    # large pictures, and memory would grow.
    return np.concatenate([_letter(letter, size) for letter in text or " "], axis=1)


@lru_cache(maxsize=512)
def _letter(letter: str, size: int) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    font = _font(size)
    ascent, descent = font.getmetrics()
    picture = Image.new("L", (max(1, round(font.getlength(letter))), ascent + descent))
    ImageDraw.Draw(picture).text((0, 0), letter, fill=255, font=font)
    made: NDArray[np.uint8] = np.array(picture, np.uint8)
    return made


@lru_cache(maxsize=16)
def _font(size: int) -> FreeTypeFont:
    import matplotlib
    from PIL import ImageFont

    path = Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    # Without the basic layout, letters from right to left would need libraqm.
    return ImageFont.truetype(str(path), size, layout_engine=ImageFont.Layout.BASIC)
