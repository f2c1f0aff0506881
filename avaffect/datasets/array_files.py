"""Arrays with a row a frame in files of users: npy, npz and safetensors. Nothing is unpickled.

Of npy, safetensors and an npz that is not packed (as `np.savez` writes it) only the slices asked
for are read; a packed npz lies in memory.
"""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from avaffect.errors import FormatError, UsageError
from avaffect.files.npy import Array
from avaffect.files.outside import (
    MOST_COLUMNS,
    MOST_RECORD_BYTES,
    MOST_VALUES_BYTES,
    fits,
    parse_json,
    reading,
)

SUFFIXES = (".npy", ".npz", ".safetensors")
_MOST_MEMBERS = 1000
_SHAPED = {"dtype": str, "shape": [int], "data_offsets": [int]}
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
          "I8": "i1", "U8": "u1", "U16": "<u2", "U32": "<u4", "BOOL": "?"}  # fmt: skip


class ArrayFile(Mapping[str, Any]):
    """The columns of the arrays in a file, by name.

    Those of a single array are called by their places, ``0``, ``1`` ...; of several, an array
    [N] is a column of its own name, and one [N, F] the columns ``NAME.0``, ``NAME.1`` ... Single
    numbers and arrays of anything but numbers are left out.

    Bounds: `outside.MOST_COLUMNS`; 1,000 arrays; of an npz the values as in
    `outside.require_rows`.

    Args:
        path: the file.

    Attributes:
        rows: N.

    Raises:
        FormatError: it does not hold numbers with a row a frame.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        state = path.stat()
        self._state = state.st_size, state.st_mtime_ns
        matrices = self._matrices
        self.rows = len(next(iter(matrices.values())))
        widths = {name: matrix.shape[1] for name, matrix in matrices.items()}
        if (columns := sum(widths.values())) > MOST_COLUMNS:
            raise FormatError(f"'{path}' has {columns:,} columns", "give a row a frame")
        self._places: dict[str, tuple[str, int]] = {}
        for name, width in widths.items():
            for place in range(width):
                own = name if self._flat(name) else f"{name}.{place}"
                column = str(place) if len(widths) == 1 else own
                self._places[column] = name, place
        self._all = tuple(self._places)

    def read(self, names: Sequence[str], start: int = 0, stop: int | None = None) -> Array:
        """Rows ``start`` to ``stop`` of some columns, [n, len(names)]; a copy."""
        found = self._matrices
        if tuple(names) == self._all and len(found) == 1:
            return next(iter(found.values()))[start:stop].copy()
        places = [self._places[name] for name in names]
        if len({name for name, _ in places}) == 1:
            return found[places[0][0]][start:stop][:, [place for _, place in places]]
        return np.stack([found[name][start:stop, place] for name, place in places], axis=1)

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of all columns together."""
        return np.result_type(*(matrix.dtype for matrix in self._matrices.values()))

    def __getitem__(self, name: str) -> Any:
        array, place = self._places[name]
        return self._matrices[array][:, place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def _flat(self, name: str) -> bool:
        return name in _opened(self._path, self._state)[1]

    @property
    def _matrices(self) -> dict[str, NDArray[Any]]:
        return _opened(self._path, self._state)[0]


# A map keeps its file open, of which systems allow some hundred.
@lru_cache(maxsize=128)
def _opened(path: Path, state: tuple[int, int]) -> tuple[dict[str, NDArray[Any]], frozenset[str]]:
    """The arrays in a file as [N, F], and which of them are [N] there; ``state`` tells it from
    what was under this name before."""
    with reading(path, FormatError, "cannot be read", "check or make the file again"):
        found = _READERS[path.suffix.lower()](path)
    wrong = FormatError(
        f"'{path}' does not hold numbers with a row a frame", "save float32 [N, F] by np.save"
    )
    if not found:
        raise wrong
    for array in found.values():
        if array.ndim not in (1, 2) or 0 in array.shape[1:]:
            raise wrong
    rows = {name: len(array) for name, array in found.items()}
    if len(set(rows.values())) > 1:
        (first, count), (other, more) = (
            next(iter(rows.items())),
            next(item for item in rows.items() if item[1] != next(iter(rows.values()))),
        )
        raise FormatError(
            f"'{path}' holds arrays of different lengths: '{first[:40]}' has {count} rows, "
            f"'{other[:40]}' has {more}",
            "leave what has no row a frame out of the file",
        )
    flat = frozenset(name for name, array in found.items() if array.ndim == 1)
    # Plain arrays: slices of np.memmap are slow to make.
    matrices = {name: np.asarray(array) for name, array in found.items()}
    return {name: a if a.ndim == 2 else a[:, None] for name, a in matrices.items()}, flat


def _read_npy(path: Path) -> dict[str, NDArray[Any]]:
    values: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    # An archive (npz) under this name is no array.
    fine = isinstance(values, np.ndarray) and values.dtype.kind in "fiub" and values.ndim
    return {"": values} if fine else {}


def _read_npz(path: Path) -> dict[str, NDArray[Any]]:
    size, total = path.stat().st_size, 0
    found: dict[str, NDArray[Any]] = {}
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise UsageError(f"it holds {len(members):,} files")
        for member in members:
            total += member.file_size
            # Before anything of it is unpacked: a few bytes may stand for gigabytes.
            if total > max(MOST_VALUES_BYTES, 16 * size):
                raise UsageError(f"it claims {total / 1e9:,.1f} GB when unpacked")
            if not member.filename.endswith(".npy"):
                continue
            with archive.open(member) as file:
                shape, by_columns, dtype = _header(file)
                start = file.tell()
                values = math.prod(shape)
                if dtype.hasobject or dtype.kind not in "fiub" or not shape:
                    continue
                if start + values * dtype.itemsize != member.file_size:
                    raise UsageError("its size")
                name = member.filename.removesuffix(".npy")
                order: Any = "F" if by_columns else "C"
                if member.compress_type == zipfile.ZIP_STORED and values:
                    at = _data_of(path, member) + start
                    found[name] = np.memmap(path, dtype, "r", at, shape, order)
                else:
                    data = file.read()
                    found[name] = np.frombuffer(data, dtype).reshape(shape, order=order)
    return found


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether it lies by columns, and type of an npy file; reads up to its data."""
    if npy_format.read_magic(file) == (1, 0):
        return npy_format.read_array_header_1_0(file)
    return npy_format.read_array_header_2_0(file)


def _data_of(path: Path, member: zipfile.ZipInfo) -> int:
    """Where the data of an unpacked member begin in the archive."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        name, extra = struct.unpack("<26x2H", file.read(30))
    return member.header_offset + 30 + int(name) + int(extra)


def _read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    from safetensors import safe_open

    with safe_open(path, "np"):
        pass  # refuses a header that contradicts itself, or the file
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > MOST_RECORD_BYTES:
            raise UsageError(f"its header has {length:,} bytes")
        header = parse_json(file.read(length))
    found = {}
    for name, facts in header.items():
        if name == "__metadata__" or not fits(facts, _SHAPED) or not facts["shape"]:
            continue
        if facts["dtype"] not in _TYPES:
            raise UsageError(f"'{name[:40]}' is of type {facts['dtype'][:20]}: save it as F32")
        begin, end = facts["data_offsets"]
        dtype, shape = np.dtype(_TYPES[facts["dtype"]]), tuple(facts["shape"])
        if begin == end:
            found[name] = np.zeros(shape, dtype)
        else:
            found[name] = np.memmap(path, dtype, "r", 8 + length + begin, shape)
    return found


_READERS = {".npy": _read_npy, ".npz": _read_npz, ".safetensors": _read_safetensors}
