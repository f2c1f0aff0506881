"""Picture files of faces: JPEG and PNG, told by their content, up to 33 million pixels.

The header is looked at before anything is decoded: a file of some bytes may claim to hold more
pixels than there is memory.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import FeatureError
from avaffect.files.outside import reading

PICTURES = (".jpg", ".jpeg", ".png")
_MOST_BYTES = 1 << 26
_MOST_PIXELS = 1 << 25
_HINT = "delete it, or make it again"


def read_picture(path: Path, side: int) -> NDArray[np.uint8]:
    """A picture, uint8 [side, side, 3] RGB.

    Raises:
        FeatureError: it cannot be read or decoded, or is too large.
    """
    import cv2

    data = _read(path)
    _size(path, data)
    with reading(path, FeatureError, "is no picture that can be decoded", _HINT):
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise _damaged(path)
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
    size = _jpeg_size(data) or _png_size(data)
    if size is None or 0 in size:
        raise _damaged(path)
    if size[0] * size[1] > _MOST_PIXELS:
        raise FeatureError(
            f"'{path}' has {size[1]} x {size[0]} pixels, too many for a picture of a face",
            "make it smaller",
        )
    return size


def _png_size(data: bytes) -> tuple[int, int] | None:
    """ISO/IEC 15948: signature, then the chunk IHDR, which begins with width and height."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or len(data) < 24:
        return None
    return int.from_bytes(data[20:24]), int.from_bytes(data[16:20])


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """ISO/IEC 10918-1: segments up to the frame header (SOF), with height and width in it."""
    if data[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None


def _damaged(path: Path) -> FeatureError:
    return FeatureError(f"'{path}' is no picture that can be decoded", _HINT)
