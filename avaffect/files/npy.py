"""Arrays with a row a frame in NumPy's own files, written row by row and read in slices.

No array is ever in memory whole, and nothing is ever unpickled: an array of objects is refused.

A hash of each block of a file can be kept elsewhere and given to the reader: a block is checked
before its first use in a process, so that a slice of a long array costs no more than the blocks
that it touches, read twice the first time.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from avaffect.errors import FeatureError, UsageError
from avaffect.files.atomic import atomic_path
from avaffect.files.outside import reading, require_rows

Array = NDArray[Any]

DTYPES = ("float64", "int64", "float32", "int32", "float16", "uint8", "bool")
# How the header of a file writes each: little-endian on every machine.
_WRITTEN = {np.dtype(name).newbyteorder("<").str: name for name in DTYPES}
BLOCK_BYTES = 1 << 18
"""Bytes of a file, from its first on, that have a hash of their own; the last block is shorter."""


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
        if self.dtype not in DTYPES:
            raise UsageError(f"dtype {self.dtype} is none of {', '.join(DTYPES)}")
        if any(size < 1 for size in self.shape):
            raise UsageError(f"row shape {self.shape} has an empty dimension")

    @property
    def row_bytes(self) -> int:
        """Bytes in a row."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def stored(self) -> np.dtype[Any]:
        """The dtype as it is on the disk."""
        return np.dtype(self.dtype).newbyteorder("<")

    def missing(self, rows: int) -> Array:
        """[rows, *shape] of what stands for "no face here": NaN, or 0 where there is no NaN."""
        dtype = np.dtype(self.dtype)
        return np.full((rows, *self.shape), np.nan if dtype.kind == "f" else 0, dtype)


class NpyWriter:
    """Writes a ``.npy`` file row by row.

    Use as a context manager; leaving it checks that every row was written.

    Args:
        path: the file to write (make it atomic with ``files.atomic``).
        rows: rows of the array.
        spec: what a row looks like.
    """

    def __init__(self, path: Path, rows: int, spec: ArraySpec) -> None:
        self._rows, self._spec, self._written = rows, spec, 0
        self._hashes: list[str] = []
        self._left, self._hash = BLOCK_BYTES, _new_hash()
        self._file: BinaryIO = path.open("wb")
        shape = (rows, *spec.shape)
        header = BytesIO()
        facts = {"descr": spec.stored.str, "fortran_order": False, "shape": shape}
        npy_format.write_array_header_1_0(header, facts)
        self._append(header.getbuffer())

    def write(self, values: Array) -> None:
        """Append rows [n, *shape]; they are cast to the array's dtype."""
        if values.shape[1:] != self._spec.shape or self._written + len(values) > self._rows:
            raise UsageError(
                f"cannot write {values.shape} behind {self._written} of {self._rows} rows of "
                f"shape {self._spec.shape}"
            )
        rows = np.ascontiguousarray(values, self._spec.stored)
        self._append(rows.reshape(-1).view(np.uint8).data)
        self._written += len(values)

    def hashes(self) -> list[str]:
        """The hash of each block of :data:`BLOCK_BYTES` written so far."""
        begun = [self._hash.hexdigest()] if self._left < BLOCK_BYTES else []
        return [*self._hashes, *begun]

    def _append(self, data: memoryview) -> None:
        self._file.write(data)
        while data:
            part, data = data[: self._left], data[self._left :]
            self._hash.update(part)
            self._left -= len(part)
            if not self._left:
                self._hashes.append(self._hash.hexdigest())
                self._left, self._hash = BLOCK_BYTES, _new_hash()

    def close(self) -> None:
        """End the file.

        Raises:
            UsageError: a row was not written.
        """
        self._file.close()
        if self._written != self._rows:
            raise UsageError(f"{self._rows - self._written} of {self._rows} rows were not written")

    def __enter__(self) -> NpyWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        self._file.close()


def write_arrays(
    files: Mapping[str, Path],
    rows: int,
    specs: Mapping[str, ArraySpec],
    chunks: Iterable[Mapping[str, Array]],
) -> dict[str, list[str]]:
    """Write arrays with equally many rows side by side, each file whole or not at all.

    Args:
        files: where each array belongs, by name.
        rows: of every array.
        specs: what a row looks like, by name.
        chunks: for consecutive rows, [n, *shape] of each array by name.

    Returns:
        by name, see :meth:`NpyWriter.hashes`.

    Raises:
        UsageError: not as many rows as said.
        OutputError: the disk does not take it; the earlier files stay.
    """
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(
                NpyWriter(stack.enter_context(atomic_path(path)), rows, specs[name])
            )
            for name, path in files.items()
        }
        for chunk in chunks:
            for name, writer in writers.items():
                writer.write(chunk[name])
        # All are full before the first takes its place.
        for writer in writers.values():
            writer.close()
    return {name: writer.hashes() for name, writer in writers.items()}


class NpyFile:
    """A ``.npy`` file of an array with a row a frame, read in slices.

    Bounds: NumPy's own of a header (10,000 bytes), `outside.MOST_ROWS`, one of :data:`DTYPES`,
    and an array that fills the rest of the file; of this only the slices asked for are ever in
    memory.

    Slices are read from the file rather than mapped: mapped pages would count as this process's
    memory, and a file cut short by someone else would kill the process.

    Args:
        path: the file.
        mapped: map it all the same: for many small slices it is much faster.
        hashes: from :meth:`NpyWriter.hashes`; None checks nothing.

    Attributes:
        path: the file.
        rows: N.
        spec: what a row looks like.

    Raises:
        FeatureError: the file is missing or damaged.
    """

    def __init__(
        self, path: Path, *, mapped: bool = False, hashes: Sequence[str] | None = None
    ) -> None:
        self.path = path
        self._mapped = mapped
        self._hashes = hashes
        self._checked: set[int] = set()
        with _reading(path), path.open("rb") as file:
            if npy_format.read_magic(file) != (1, 0):
                raise UsageError("another version of the form")
            shape, by_columns, dtype = npy_format.read_array_header_1_0(file)
            if by_columns or not shape or dtype.str not in _WRITTEN:
                raise UsageError("no array with a row a frame")
            self.rows, *row = map(int, shape)
            require_rows(self.rows)
            self.spec = ArraySpec(tuple(row), _WRITTEN[dtype.str])
            self._start = file.tell()
            self._size = file.seek(0, os.SEEK_END)
            if self._size - self._start != self.rows * self.spec.row_bytes:
                raise UsageError("its size")
            self._version = _version(file)
            if hashes is not None and len(hashes) != -(-self._size // BLOCK_BYTES):
                raise UsageError("its size")

    def read(self, start: int = 0, stop: int | None = None) -> Array:
        """Rows ``start`` to ``stop``, [n, *shape]; as Python slices.

        A copy, or a read-only view if the file is mapped.

        Raises:
            FeatureError: the file is damaged, by its hashes.
        """
        start, stop, _ = slice(start, stop).indices(self.rows)
        count = max(0, stop - start)
        begin = self._start + start * self.spec.row_bytes
        with _reading(self.path):
            if count and self._hashes is not None:
                self._check(self._hashes, begin, begin + count * self.spec.row_bytes)
            if self._mapped:
                return self._map()[start : start + count]
            values = math.prod(self.spec.shape)
            flat = np.fromfile(self.path, self.spec.stored, count * values, offset=begin)
            return flat.reshape(count, *self.spec.shape)

    def _check(self, hashes: Sequence[str], begin: int, end: int) -> None:
        """Raise UsageError if the header or a block of these bytes is not what was written."""
        touched = {0, *range(begin // BLOCK_BYTES, -(-end // BLOCK_BYTES))}
        for number in sorted(touched - self._checked):
            if _new_hash(self._block(number)).hexdigest() != hashes[number]:
                raise UsageError("a block's hash")
            self._checked.add(number)

    def _block(self, number: int) -> bytes | memoryview:
        at = number * BLOCK_BYTES
        if self._mapped:
            return _file_map(self.path, self._version)[at : at + BLOCK_BYTES].data
        with self.path.open("rb") as file:
            file.seek(at)
            return file.read(min(BLOCK_BYTES, self._size - at))

    def _map(self) -> Array:
        flat = _file_map(self.path, self._version)[self._start : self._size]
        return flat.view(self.spec.stored).reshape(self.rows, *self.spec.shape)


def _most_maps() -> int:
    """How many files to keep mapped: each stays open, and a process may have so many open only."""
    try:
        import resource
    except ImportError:  # Windows
        return 256
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 4096 if allowed < 0 else min(4096, allowed // 2)


@lru_cache(maxsize=_most_maps())
def _file_map(path: Path, version: tuple[int, int]) -> Array:
    """A file's bytes; ``version`` distinguishes it from a later file of the same name."""
    with path.open("rb") as file:
        if _version(file) != version:
            raise UsageError("another file of that name")
        # np.memmap takes three times as long to make, and its slices too.
        return np.frombuffer(mmap(file.fileno(), 0, access=ACCESS_READ), np.uint8)


def _version(file: BinaryIO) -> tuple[int, int]:
    facts = os.fstat(file.fileno())
    return facts.st_ino, facts.st_mtime_ns


def _new_hash(data: bytes | memoryview = b"") -> hashlib.blake2b:
    return hashlib.blake2b(data, digest_size=8)


def _reading(path: Path) -> AbstractContextManager[None]:
    missing = FeatureError(f"'{path}' is missing", "run `avaffect preprocess` again")
    hint = "delete it and run `avaffect preprocess` again"
    return reading(path, FeatureError, "is damaged", hint, missing=missing)
