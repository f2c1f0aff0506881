"""Reads the arrays of an MXNet ``.params`` file without MXNet.

The format: a head, a counted list of arrays (each with a magic number, shape, place, type and its
values, little endian), then a counted list of names such as ``arg:conv_1_conv2d_weight``.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

HEAD = 0x112
# Versions 1 and 2 of an array; older files have the number of dimensions in this place.
FIRST, SECOND = 0xF993FAC8, 0xF993FAC9
TYPES = (np.float32, np.float64, np.float16, np.uint8, np.int32, np.int8, np.int64)
MAX_DIMENSIONS = 8


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        if not 0 <= size <= len(self._data) - self._at:
            raise SystemExit("the .params file is cut off or damaged")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, kind: str) -> int:
        return int(struct.unpack(f"<{kind}", self.take(struct.calcsize(kind)))[0])


def read_params(path: Path) -> dict[str, NDArray[np.generic]]:
    """Each array by its name, without ``arg:`` or ``aux:`` before it.

    Raises:
        SystemExit: the file is none of this format, or is cut off.
    """
    data = _Bytes(path.read_bytes())
    if data.number("Q") != HEAD:
        raise SystemExit(f"{path} is no .params file of MXNet")
    data.take(8)
    arrays = [_read_array(data) for _ in range(data.number("Q"))]
    names = [data.take(data.number("Q")).decode() for _ in range(data.number("Q"))]
    return {
        name.partition(":")[2] or name: array for name, array in zip(names, arrays, strict=True)
    }


def _read_array(data: _Bytes) -> NDArray[np.generic]:
    magic = data.number("I")
    if magic == SECOND and data.number("i") not in (-1, 0):
        raise SystemExit("the .params file holds a sparse array")
    dimensions = data.number("I") if magic in (FIRST, SECOND) else magic
    if dimensions > MAX_DIMENSIONS:
        raise SystemExit("the .params file is damaged")
    side = "q" if magic in (FIRST, SECOND) else "I"
    shape = [data.number(side) for _ in range(dimensions)]
    data.take(8)  # the place: which device it was on
    flag = data.number("i")
    if not 0 <= flag < len(TYPES):
        raise SystemExit("the .params file holds an array of an unknown type")
    kind = np.dtype(TYPES[flag]).newbyteorder("<")
    return np.frombuffer(data.take(int(np.prod(shape)) * kind.itemsize), kind).reshape(shape)
