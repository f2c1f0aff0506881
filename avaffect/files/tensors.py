"""safetensors files written and read in slices, so that no array is ever in memory whole.

The `safetensors` library writes only arrays that it is given whole. The format is simple: 8 bytes
of header length, a JSON header with each array's dtype, shape and place, then the bytes. What is
written here is read by that library and the other way round.

A hash of each block of an array can be kept elsewhere and given to the reader: a block is checked
before its first use in a process, so that a slice of a long array costs no more than the blocks
that it touches, read twice the first time.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import FeatureError, UsageError
from avaffect.files.outside import parse_json, reading, require_rows

Array = NDArray[Any]

_CODES = {
    "float64": "F64",
    "int64": "I64",
    "float32": "F32",
    "int32": "I32",
    "float16": "F16",
    "uint8": "U8",
    "bool": "BOOL",
}
_DTYPES = {code: dtype for dtype, code in _CODES.items()}
_LONGEST_HEADER = 1 << 20
BLOCK_BYTES = 1 << 18
"""Bytes of an array that have a hash of their own; the last block of an array is shorter."""


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """What one row (one frame) of an array looks like.

    Attributes:
        shape: shape of a row, ``()`` for one number a frame.
        dtype: a NumPy name: float64, float32, float16, int64, int32, uint8 or bool.
    """

    shape: tuple[int, ...]
    dtype: str

    def __post_init__(self) -> None:
        if self.dtype not in _CODES:
            raise UsageError(f"dtype {self.dtype} is none of {', '.join(_CODES)}")
        if any(size < 1 for size in self.shape):
            raise UsageError(f"row shape {self.shape} has an empty dimension")

    @property
    def row_bytes(self) -> int:
        """Bytes in a row."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def missing(self, rows: int) -> Array:
        """[rows, *shape] of what stands for "no face here": NaN, or 0 where there is no NaN."""
        dtype = np.dtype(self.dtype)
        return np.full((rows, *self.shape), np.nan if dtype.kind == "f" else 0, dtype)


class _Blocks:
    """The hashes of what is appended to an array, block by block."""

    def __init__(self) -> None:
        self._done: list[str] = []
        self._left = BLOCK_BYTES
        self._hash = _new_hash()

    def add(self, data: memoryview) -> None:
        while data:
            part, data = data[: self._left], data[self._left :]
            self._hash.update(part)
            self._left -= len(part)
            if not self._left:
                self._done.append(self._hash.hexdigest())
                self._left, self._hash = BLOCK_BYTES, _new_hash()

    def digests(self) -> list[str]:
        return [*self._done, *([self._hash.hexdigest()] if self._left < BLOCK_BYTES else [])]


def _new_hash() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=8)


class TensorWriter:
    """Writes a safetensors file row by row; all arrays have the same number of rows.

    Use as a context manager; leaving it checks that every row was written.

    Args:
        path: the file to write (make it atomic with ``files.atomic``).
        rows: rows of every array.
        specs: the arrays.
        metadata: strings to keep in the header.
    """

    def __init__(
        self,
        path: Path,
        rows: int,
        specs: Mapping[str, ArraySpec],
        metadata: Mapping[str, str],
    ) -> None:
        self._rows = rows
        self._specs = dict(specs)
        self._written = dict.fromkeys(specs, 0)
        self._blocks = {name: _Blocks() for name in specs}
        self._offsets: dict[str, int] = {}
        header: dict[str, Any] = {"__metadata__": dict(metadata)}
        end = 0
        # Widest first keeps every array aligned to its own item size.
        for name in sorted(specs, key=lambda name: -np.dtype(specs[name].dtype).itemsize):
            spec = specs[name]
            begin, end = end, end + rows * spec.row_bytes
            self._offsets[name] = begin
            header[name] = {
                "dtype": _CODES[spec.dtype],
                "shape": [rows, *spec.shape],
                "data_offsets": [begin, end],
            }
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        self._data = 8 + len(text)
        self._file: BinaryIO = path.open("wb")
        self._file.write(len(text).to_bytes(8, "little") + text)

    def write(self, name: str, values: Array) -> None:
        """Append rows [n, *shape] to the array ``name``; they are cast to its dtype."""
        spec, written = self._specs[name], self._written[name]
        if values.shape[1:] != spec.shape or written + len(values) > self._rows:
            raise UsageError(
                f"cannot write {values.shape} to '{name}' behind {written} of {self._rows} rows "
                f"of shape {spec.shape}"
            )
        self._file.seek(self._data + self._offsets[name] + written * spec.row_bytes)
        rows = np.ascontiguousarray(values, np.dtype(spec.dtype).newbyteorder("<"))
        self._file.write(rows.data)
        self._blocks[name].add(rows.reshape(-1).view(np.uint8).data)
        self._written[name] += len(values)

    def hashes(self) -> dict[str, list[str]]:
        """By array, the hash of each block of :data:`BLOCK_BYTES` written so far."""
        return {name: blocks.digests() for name, blocks in self._blocks.items()}

    def __enter__(self) -> TensorWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        short = [name for name, count in self._written.items() if count != self._rows]
        if kind is None and short:
            raise UsageError(f"of {self._rows} rows some were not written: {', '.join(short)}")


class TensorFile:
    """A safetensors file of arrays with equally many rows, read in slices.

    Bounds: a header of ``_LONGEST_HEADER`` bytes, `outside.MOST_ROWS`, and arrays that lie within
    the file; of these only the slices asked for are ever in memory.

    Slices are read from the file rather than mapped: mapped pages would count as this process's
    memory, and a file cut short by someone else would kill the process.

    Args:
        path: the file.
        mapped: map it all the same: for many small slices it is much faster.
        hashes: from :meth:`TensorWriter.hashes`; arrays without them are not checked.

    Raises:
        FeatureError: the file is missing or damaged.
    """

    def __init__(
        self,
        path: Path,
        *,
        mapped: bool = False,
        hashes: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.path = path
        self._hashes = hashes or {}
        self._checked: dict[str, set[int]] = {}
        self._mapped = mapped
        self._version = (0, 0)
        self.specs: dict[str, ArraySpec] = {}
        self.metadata: dict[str, str] = {}
        self.rows = 0
        self._places: dict[str, int] = {}
        with _reading(path):
            self._read_header()

    def _read_header(self) -> None:
        with self.path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= _LONGEST_HEADER:
                raise UsageError("header length")
            header = parse_json(file.read(length))
            size = file.seek(0, 2) - 8 - length
            self._version = _version(file)
        self.metadata = {str(k): str(v) for k, v in header.pop("__metadata__", {}).items()}
        rows = set()
        for name, entry in header.items():
            count, *shape = map(int, entry["shape"])
            begin, end = map(int, entry["data_offsets"])
            spec = ArraySpec(tuple(shape), _DTYPES[entry["dtype"]])
            if not 0 <= begin <= end <= size or end - begin != count * spec.row_bytes:
                raise UsageError("place of an array")
            rows.add(count)
            self.specs[name] = spec
            self._places[name] = 8 + length + begin
        if len(rows) > 1:
            raise UsageError("arrays of different lengths")
        self.rows = rows.pop() if rows else 0
        require_rows(self.rows)

    def read(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows ``start`` to ``stop`` of the array ``name``, [n, *shape]; as Python slices.

        A copy, or a read-only view if the file is mapped.

        Raises:
            FeatureError: the file is damaged, by its hashes.
        """
        spec = self.specs[name]
        start, stop, _ = slice(start, stop).indices(self.rows)
        count = max(0, stop - start)
        with _reading(self.path):
            if count and name in self._hashes:
                self._check(name, start * spec.row_bytes, (start + count) * spec.row_bytes)
            if self._mapped and self.rows:
                return self._map(name)[start : start + count]
            flat = np.fromfile(
                self.path,
                np.dtype(spec.dtype).newbyteorder("<"),
                count * math.prod(spec.shape),
                offset=self._places[name] + start * spec.row_bytes,
            )
            return flat.reshape(count, *spec.shape)

    def _check(self, name: str, begin: int, end: int) -> None:
        """Raise UsageError if a block of these bytes of an array is not what was written."""
        checked = self._checked.setdefault(name, set())
        first, last = begin // BLOCK_BYTES, (end - 1) // BLOCK_BYTES
        todo = [block for block in range(first, last + 1) if block not in checked]
        if not todo:
            return
        size = self.rows * self.specs[name].row_bytes
        with self.path.open("rb") as file:
            for block in todo:
                at = block * BLOCK_BYTES
                place, length = self._places[name] + at, min(BLOCK_BYTES, size - at)
                found = _new_hash()
                if self._mapped:
                    found.update(_file_map(self.path, self._version)[place : place + length].data)
                else:
                    file.seek(place)
                    found.update(file.read(length))
                if found.hexdigest() != self._hashes[name][block]:
                    raise UsageError("a block's hash")
                checked.add(block)

    def _map(self, name: str) -> Array:
        spec = self.specs[name]
        start = self._places[name]
        flat = _file_map(self.path, self._version)[start : start + self.rows * spec.row_bytes]
        return flat.view(np.dtype(spec.dtype).newbyteorder("<")).reshape(self.rows, *spec.shape)


# Each map keeps a file open, of which a process may have some thousand; a dataset has more clips.
@lru_cache(maxsize=256)
def _file_map(path: Path, version: tuple[int, int]) -> Array:
    """A file's bytes; ``version`` distinguishes it from a later file of the same name."""
    with path.open("rb") as file:
        if _version(file) != version:
            raise UsageError("another file of that name")
        # A plain array around it: slices of np.memmap are slow to make.
        return np.asarray(np.memmap(file, np.uint8, "r"))


def _version(file: BinaryIO) -> tuple[int, int]:
    facts = os.fstat(file.fileno())
    return facts.st_ino, facts.st_mtime_ns


def _reading(path: Path) -> AbstractContextManager[None]:
    missing = FeatureError(f"'{path}' is missing", "run `avaffect preprocess` again")
    hint = "delete it and run `avaffect preprocess` again"
    return reading(path, FeatureError, "is damaged", hint, missing=missing)
