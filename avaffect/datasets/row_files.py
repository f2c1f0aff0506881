"""A file of features with a row a frame, read in blocks from its first row to its last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.datasets.array_files import ArrayFile
from avaffect.datasets.csv_rows import CsvRows, is_number, numbers
from avaffect.datasets.matching import Matched, by_number, by_position, by_time
from avaffect.datasets.tables import SUFFIXES, Table, read_any
from avaffect.datasets.wildcards import columns_like
from avaffect.errors import FormatError, InputNotFoundError, UnknownNameError, UsageError
from avaffect.files.npy import Array
from avaffect.files.outside import MOST_COLUMNS, reading, require_rows

FRAME, SUCCESS = "frame", "success"
FACTS = ("index", FRAME, "face_id", "time", "times", "timestamp", SUCCESS, "confidence")
"""Columns, in any case, that say of what and when a row is: features only if they are named."""
# Values of a block, 8 bytes each.
_BLOCK = 1 << 19
_LARGEST = float(np.finfo(np.float32).max)
_UNKNOWN = "correct it, or leave the cell empty if it is not known"


@dataclass(frozen=True)
class RowFile:
    """A CSV, parquet, npy, npz or safetensors file, of which no more than a block is in memory.

    Bounds: those of `csv_rows.CsvRows`, `tables.read_any`, `outside.MOST_ROWS` and
    `outside.MOST_COLUMNS`.

    Attributes:
        path: the file.
        names: its columns.
        numeric: those that may be features.
        dtype: float16 if all values are, else float32.
        source: where rows come from.
    """

    path: Path
    names: tuple[str, ...]
    numeric: tuple[str, ...]
    dtype: str
    source: CsvRows | Table

    @classmethod
    def open(cls, path: Path) -> RowFile:
        """The file at ``path``, by its suffix.

        Raises:
            InputNotFoundError: there is none.
            FormatError: another suffix, or content that does not fit it.
        """
        if path.suffix.lower() not in SUFFIXES:
            raise FormatError(
                f"'{path}' holds no features that can be read",
                f"files of features end in {', '.join(SUFFIXES)}",
            )
        if path.suffix.lower() == ".csv":
            with _reading(path):
                if not path.is_file():
                    raise InputNotFoundError(f"there is no file '{path}'", "check the path")
                rows = CsvRows(path)
                if len(rows.names) > MOST_COLUMNS:
                    raise UsageError(f"it has {len(rows.names):,} columns")
            return cls(path, rows.names, rows.names, "float32", rows)
        table = read_any(path)
        numeric = tuple(name for name in table.names if table.is_numeric(name))
        half = isinstance(table.columns, ArrayFile) and table.columns.dtype == np.float16
        return cls(path, table.names, numeric, "float16" if half else "float32", table)

    def column(self, name: str) -> str | None:
        """The column of this name, whatever its case; None if there is none."""
        return next((own for own in self.names if own.casefold() == name), None)

    def choose(self, patterns: Sequence[str] = ()) -> tuple[str, ...]:
        """The columns that are features.

        Args:
            patterns: names and wildcards (``*``, ``?``, ``[]``), which stand for columns of
                numbers but `FACTS`; none takes all of these.

        Raises:
            UnknownNameError: a name or wildcard that stands for no column.
            UsageError: there is none.
        """
        free = [name for name in self.numeric if name.casefold() not in FACTS]
        hint = f"it has {', '.join(self.names[:20])}"
        return columns_like(patterns, self.names, free, self.path, hint)

    def blocks(
        self, names: Sequence[str], start: int = 0, stop: int | None = None
    ) -> Iterator[NDArray[np.float64]]:
        """Some columns of all rows, float64 [n, len(names)], some at a time; NaN where empty.

        Args:
            names: of columns.
            start: the first row, of a file of arrays alone.
            stop: behind the last row, likewise; what lies between is one block.

        Raises:
            UnknownNameError: there is no such column.
            FormatError: a cell that is no number, infinite, or beyond what float32 holds.
        """
        if unknown := [*dict.fromkeys(names).keys() - set(self.names)]:
            raise UnknownNameError(f"column of '{self.path}'", min(unknown), self.names)
        count = max(1, _BLOCK // max(1, len(names)))
        with _reading(self.path):
            for block in self._raw(tuple(names), count, start, stop):
                require_rows(start + len(block))
                if block.size and max(_most(block), _most(-block)) > _LARGEST:
                    row, place = np.argwhere(np.abs(block) > _LARGEST)[0]
                    raise FormatError(
                        f"'{self.path}' row {start + row + 1}: {block[row, place]:g} in column "
                        f"'{names[place]}' is too large",
                        _UNKNOWN,
                    )
                start += len(block)
                yield block

    def match(
        self,
        frames: int | None,
        times: NDArray[np.float64] | None = None,
        time: str | None = None,
        rate: float | None = None,
    ) -> Matched:
        """The row of each frame; -1 also where the column ``success`` says that there is no face.

        Args:
            frames: N; None takes as many as there are rows, or as ``frame`` counts.
            times: float64 [N], seconds of the frames.
            time: the column of seconds to match by; None matches by the column ``frame``, or by
                position without one.
            rate: rows a second, in place of a column.

        Raises:
            FormatError: see ``datasets.matching``.
        """
        number = None if time or rate else self.column(FRAME)
        success = self.column(SUCCESS)
        asked = [name for name in (time, number, success) if name is not None]
        facts = np.concatenate([np.zeros((0, len(asked))), *self.blocks(asked)])
        columns = dict(zip(asked, facts.T, strict=True))
        what = f"'{self.path}'"
        if not len(facts):
            raise FormatError(f"{what} holds no row", "leave the file out, or make it again")
        if time or rate:
            if times is None:
                raise UsageError(
                    f"nobody knows the times of the frames that {what} is of",
                    "preprocess the video, and use `avaffect features`",
                )
            have = columns[time] if time else np.arange(len(facts)) / (rate or 1.0)
            found = by_time(have, times, what)
        elif number is not None:
            found = by_number(columns[number], frames, what)
        else:
            found = by_position(len(facts), len(facts) if frames is None else frames, what)
        if success is not None:
            unseen = ~(columns[success] > 0)
            rows = found.rows.copy()
            rows[(rows >= 0) & unseen[rows]] = -1
            return Matched(rows, found.rule, found.note)
        return found

    def aligned(self, names: Sequence[str], rows: NDArray[np.int64]) -> Iterator[Array]:
        """The columns ``names`` on the frames, [n, len(names)] of :attr:`dtype` some at a time.

        Args:
            names: of columns.
            rows: from :meth:`match`.
        """
        count = max(1, _BLOCK // len(names))
        at = start = 0
        blocks = self.blocks(names)
        block = next(blocks, np.zeros((0, len(names))))
        while at < len(rows):
            # Up to the first frame that needs a later block.
            part = rows[at : at + count]
            later = np.flatnonzero(part >= start + len(block))
            part = part[: later[0]] if len(later) else part
            if len(part):
                out = np.full((len(part), len(names)), np.nan, self.dtype)
                there = part >= 0
                out[there] = block[part[there] - start]
                yield out
                at += len(part)
            if len(later):
                start += len(block)
                block = next(blocks, block[:0])
                if not len(block):
                    raise FormatError(f"'{self.path}' changed while it was read", "try again")

    def _raw(
        self, names: tuple[str, ...], count: int, start: int, stop: int | None
    ) -> Iterator[NDArray[np.float64]]:
        if isinstance(self.source, CsvRows):
            yield from _csv_blocks(self.source, names, count)
        elif isinstance(self.source.columns, ArrayFile):
            end = self.source.rows if stop is None else stop
            count = count if stop is None else max(1, stop - start)
            for first in range(start, end, count):
                last = min(first + count, end)
                if names:
                    yield self.source.columns.read(names, first, last).astype(np.float64)
                else:
                    yield np.zeros((last - first, 0))
        elif names:
            yield from _parquet_blocks(self.source, names, count)
        else:
            yield np.zeros((self.source.rows, 0))


def _csv_blocks(
    source: CsvRows, names: tuple[str, ...], count: int
) -> Iterator[NDArray[np.float64]]:
    places = [source.names.index(name) for name in names]
    gathered: list[list[str]] = []
    lines: list[int] = []
    for line, row in source:
        gathered.append([row[place] for place in places])
        lines.append(line)
        if len(gathered) == count:
            yield _parsed(source.path, names, gathered, lines)
            gathered, lines = [], []
    if gathered:
        yield _parsed(source.path, names, gathered, lines)


def _parsed(
    path: Path, names: tuple[str, ...], rows: list[list[str]], lines: list[int]
) -> NDArray[np.float64]:
    try:
        values = numbers(cell for row in rows for cell in row)
    except ValueError:
        row, place = next(
            (row, place)
            for row, cells in enumerate(rows)
            for place, cell in enumerate(cells)
            if not is_number(cell)
        )
        raise FormatError(
            f"'{path}' line {lines[row]}: '{rows[row][place][:40]}' in column '{names[place]}' is "
            "no number",
            f"{_UNKNOWN}; or choose the columns that are features",
        ) from None
    return values.reshape(len(rows), len(names))


def _parquet_blocks(
    table: Table, names: tuple[str, ...], count: int
) -> Iterator[NDArray[np.float64]]:
    from avaffect.files.parquet import open_parquet

    for name in names:
        if not table.is_numeric(name):
            table.numbers(name)  # names the cell that is none
    with open_parquet(table.path, reads=1) as file:
        for batch in file.iter_batches(batch_size=count, columns=list(dict.fromkeys(names))):
            columns: list[Any] = [
                batch.column(name).to_numpy(zero_copy_only=False) for name in names
            ]
            yield np.stack(columns, axis=1).astype(np.float64)


def _reading(path: Path) -> AbstractContextManager[None]:
    return reading(path, FormatError, "cannot be read", "check or make the file again")


def _most(values: NDArray[np.float64]) -> float:
    """The largest value, NaN where there is none."""
    return float(np.fmax.reduce(values, axis=None))
