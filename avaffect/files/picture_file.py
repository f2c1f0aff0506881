"""Picture files of faces: JPEG and PNG, recognised by their content, up to 33 million pixels.

The header is looked at before anything is decoded: a file of some bytes may claim to hold more
pixels than there is memory.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import FeatureError
from avaffect.files.outside import reading

PICTURES = (".jpg", ".jpeg", ".png")
_MOST_BYTES = 1 << 26
_MOST_PIXELS = 1 << 25
_WRONG = "is no picture that can be decoded"
_HINT = "delete it, or make it again"


def read_picture(path: Path, side: int) -> NDArray[np.uint8]:
    """A picture, uint8 [side, side, 3] RGB.

    Raises:
        FeatureError: it cannot be read or decoded, or is too large.
    """
    import cv2

    data = _read(path)
    _size(path, data)
    with reading(path, FeatureError, _WRONG, _HINT):
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise FeatureError(f"'{path}' {_WRONG}", _HINT)
    if picture.shape[:2] != (side, side):
        way = cv2.INTER_AREA if max(picture.shape[:2]) > side else cv2.INTER_LINEAR
        picture = cv2.resize(picture, (side, side), interpolation=way)
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width of a picture as its header has them.

    Raises:
        FeatureError: it cannot be read, is neither JPEG nor PNG, or is too large.
    """
    return _size(path, _read(path))


def is_picture(name: str) -> bool:
    """Whether a file of that name should be a picture."""
    return name.lower().endswith(PICTURES)


def _read(path: Path) -> bytes:
    with reading(path, FeatureError, "cannot be read", "check the file"):
        # A pipe would never end.
        if not path.is_file():
            raise FeatureError(
                f"there is no file '{path}'", "it was there before: check the folder"
            )
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise FeatureError(f"'{path}' is too large for a picture of a face", "make it smaller")
    return data


def _size(path: Path, data: bytes) -> tuple[int, int]:
    """Height and width. Pillow, which guards against bombs too, reads the header alone."""
    from PIL import Image, UnidentifiedImageError

    bombs = (Image.DecompressionBombWarning, Image.DecompressionBombError)
    with reading(path, FeatureError, _WRONG, _HINT), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as picture:
                width, height = picture.size
        except bombs as error:
            raise _too_large(path) from error
        except UnidentifiedImageError as error:
            # Its own text names an address in memory.
            raise FeatureError(f"'{path}' {_WRONG}", _HINT) from error
    if width * height > _MOST_PIXELS:
        raise _too_large(path)
    return height, width


def _too_large(path: Path) -> FeatureError:
    return FeatureError(
        f"'{path}' has more than {_MOST_PIXELS:,} pixels, too many for a picture of a face",
        "make it smaller",
    )
