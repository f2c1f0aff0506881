"""Tables that users bring: CSV, parquet or npy, and the features of a clip in one of them.

- **CSV** (``.csv``, ``.txt``): UTF-8 with or without a byte order mark, a header line, columns
  parted by comma, semicolon or tab. Parsed once.
- **parquet**: a column is read when it is asked for.
- **npy**: numbers [N, F] or [N], memory-mapped; columns are called ``0``, ``1``, ... Never
  unpickled.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.errors import FormatError, InputNotFoundError, UnknownNameError, UsageError
from avaffect.files.npy import Array, ArraySpec
from avaffect.files.outside import MOST_COLUMNS, reading, require_rows

SUFFIXES = (".csv", ".parquet", ".npy")
FEATURES = "table"
"""The name of the one array of :class:`TableFeatures`."""
# What pandas leaves of the index of a table that it wrote.
_NAMELESS = "index"
_LONGEST_LINE = 4 << 20
_MOST_CELLS = 32_000_000
_LARGEST = float(np.finfo(np.float32).max)
_MISSING = frozenset({"", "nan", "NaN", "NAN", "na", "NA", "N/A", "null", "NULL", "None"})


@dataclass(frozen=True, eq=False, repr=False)
class Table(ArrayRecord):
    """Columns of equal length, with errors that name file and line.

    Attributes:
        path: the file.
        names: the columns, in order, each once.
        rows: N.
        columns: by name, numbers [N] or texts.
        lines: of a text file, the line that each row ends on.
    """

    path: Path
    names: tuple[str, ...]
    rows: int
    columns: Mapping[str, NDArray[Any] | Sequence[str]]
    lines: Sequence[int] = ()

    def where(self, row: int) -> str:
        """How an error names a row (0-based)."""
        place = f"line {self.lines[row]}" if self.lines else f"row {row + 1}"
        return f"'{self.path}' {place}"

    def require(self, name: str) -> None:
        """Raise UnknownNameError unless there is a column of this name."""
        if name not in self.names:
            raise UnknownNameError(f"column of '{self.path}'", name, self.names)

    def texts(self, name: str) -> list[str]:
        """The cells of a column as text, stripped; empty where there is none.

        A whole number is written without a decimal point, whatever the column's type.
        """
        self.require(name)
        column = self.columns[name]
        if isinstance(column, np.ndarray) and column.dtype.kind == "f":
            return [_text(value) for value in column.tolist()]
        return ["" if value is None else str(value).strip() for value in column]

    def numbers(self, name: str) -> NDArray[np.float64]:
        """float64 [N], NaN where a cell is empty, ``nan`` or ``NA``.

        Raises:
            UnknownNameError: there is no such column.
            FormatError: a cell that is no number, infinite, or beyond what float32 holds.
        """
        self.require(name)
        column = self.columns[name]
        if isinstance(column, np.ndarray) and column.dtype.kind in "fiub":
            values = column.astype(np.float64)
        else:
            try:
                values = _numbers(column)
            except ValueError:
                row = next(row for row, cell in enumerate(column) if not _is_number(cell))
                raise FormatError(
                    f"{self.where(row)}: '{str(column[row])[:40]}' in column '{name}' is no "
                    "number",
                    "correct it, or leave the cell empty if it is not known",
                ) from None
        huge = np.flatnonzero(np.abs(values) > _LARGEST)
        if len(huge):
            raise FormatError(
                f"{self.where(int(huge[0]))}: {values[huge[0]]:g} in column '{name}' is too large",
                "correct it, or leave the cell empty if it is not known",
            )
        return values

    def is_numeric(self, name: str) -> bool:
        """Whether a column holds numbers and nothing else; one of empty cells does not."""
        if isinstance(self.columns, _Parquet) and name in self.columns.unreadable:
            return False
        column = self.columns[name]
        if isinstance(column, np.ndarray):
            return column.dtype.kind in "fiub"
        try:
            return not bool(np.isnan(_numbers(column)).all())
        except ValueError:
            return False


class TableFeatures:
    """A clip's features in one table, a ``datasets.clip.FeatureSource`` with the array ``table``.

    A CSV's values lie in memory as float32 (405,450 rows of 6 take 10 MB) and so do those of a
    parquet file once they have been asked for; of an npy file only the slices asked for are read,
    which is what very large tables should be saved as. A cell without a number is NaN; a row
    that is NaN throughout is a frame without features.

    Args:
        table: the table.
        columns: the features, in order.

    Raises:
        UnknownNameError: a column that the table does not have.
        FormatError: in a CSV, a cell that is no finite number.
    """

    def __init__(self, table: Table, columns: Sequence[str]) -> None:
        self.path = table.path
        self.columns = tuple(columns)
        for name in columns:
            table.require(name)
        self._rows = table.rows
        self._table: Table | None = table
        self._values: NDArray[np.float32] | None = None
        if isinstance(table.columns, _Matrix):
            self._places = [table.names.index(name) for name in columns]
        elif not isinstance(table.columns, _Parquet):
            self._load()

    @property
    def frames(self) -> int:
        """N, the number of rows."""
        return self._rows

    @property
    def specs(self) -> dict[str, ArraySpec]:
        """``table``, [F] float32."""
        return {FEATURES: ArraySpec((len(self.columns),), "float32")}

    def array(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows ``start`` to ``stop`` (0-based, as Python slices), float32 [n, F], a copy.

        Raises:
            UnknownNameError: ``name`` is not ``table``.
            FormatError: the file cannot be read, or holds what is no finite number.
        """
        if name != FEATURES:
            raise UnknownNameError(f"array of '{self.path}'", name, [FEATURES])
        start, stop, _ = slice(start, stop).indices(self._rows)
        if self._table is not None and isinstance(self._table.columns, _Matrix):
            found = self._table.columns.matrix[start:stop][:, self._places]
            huge = np.abs(found) > _LARGEST
            if huge.any():
                row = start + int(np.flatnonzero(huge.any(axis=1))[0])
                raise FormatError(
                    f"{self._table.where(row)}: a value is too large", "replace it by NaN"
                )
            return found.astype(np.float32)
        return self._load()[start:stop].copy()

    def _load(self) -> NDArray[np.float32]:
        if self._values is None:
            assert self._table is not None  # noqa: S101 - dropped only when loaded
            with _reading(self.path):
                require_rows(self._rows, 4 * len(self.columns), self.path.stat().st_size)
            values = np.empty((self._rows, len(self.columns)), np.float32)
            for place, name in enumerate(self.columns):
                values[:, place] = self._table.numbers(name)
            self._values, self._table = values, None
        return self._values


def read_any(path: Path) -> Table:
    """The table in a file, by its suffix.

    Bounds: `outside.MOST_ROWS` and `outside.MOST_COLUMNS`. A CSV has at most ``_MOST_CELLS`` cells
    and ``_LONGEST_LINE`` characters a line; of a parquet file see `parquet.open_parquet`; an npy
    file is mapped and only slices of it are read.

    Raises:
        InputNotFoundError: there is no such file.
        FormatError: another suffix, a file that does not fit its suffix, or no row in it.
    """
    with _reading(path):
        if not path.is_file():
            raise InputNotFoundError(f"there is no file '{path}'", "check the path")
    suffix = path.suffix.lower()
    if suffix not in _READERS:
        raise FormatError(
            f"'{path}' is no table that can be read", f"tables end in {', '.join(_READERS)}"
        )
    with _reading(path):
        table = _READERS[suffix](path)
        if len(table.names) > MOST_COLUMNS:
            raise UsageError(f"it has {len(table.names):,} columns")
        require_rows(table.rows)
    if not table.rows:
        raise FormatError(f"'{path}' holds no row", "leave the file out, or make it again")
    return table


def _reading(path: Path) -> AbstractContextManager[None]:
    return reading(path, FormatError, "cannot be read", "check or make the file again")


def _read_csv(path: Path) -> Table:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = next(_lines(file), "")
            file.seek(0)
            reader = csv.reader(_lines(file), delimiter=_delimiter(first), strict=True)
            names = _header(path, next(reader, []))
            cells, lines = _cells(path, reader, names)
    except UnicodeDecodeError as error:
        raise FormatError(f"'{path}' is not UTF-8 text", "save it as UTF-8 CSV") from error
    except csv.Error as error:
        raise FormatError(f"'{path}' line {reader.line_num}: {error}", "save it again") from error
    return Table(path, names, len(lines), dict(zip(names, cells, strict=True)), lines)


def _lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(_LONGEST_LINE + 1):
        if len(line) > _LONGEST_LINE:
            raise UsageError(f"a line is longer than {_LONGEST_LINE:,} characters")
        yield line


def _delimiter(header: str) -> str:
    """The separator of the columns: of comma, semicolon and tab the most frequent."""
    return max(",;\t", key=header.count)


def _header(path: Path, fields: list[str]) -> tuple[str, ...]:
    names = [field.strip() for field in fields]
    if names and not names[0]:
        names[0] = _NAMELESS
    if not any(fields):
        raise FormatError(f"'{path}' is empty", "the first line must name the columns")
    if all(_is_number(name) for name in names):
        raise FormatError(
            f"'{path}' line 1: numbers where the columns' names are expected",
            "add a header line, or save the numbers as .npy",
        )
    return _distinct(path, names)


def _distinct(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    for place, name in enumerate(names):
        if not name or name in names[:place]:
            raise FormatError(
                f"'{path}' line 1: "
                + (
                    f"two columns are called '{name}'"
                    if name
                    else f"column {place + 1} has no name"
                ),
                "give each column a name of its own",
            )
    return tuple(names)


def _cells(
    path: Path, reader: Any, names: tuple[str, ...]
) -> tuple[list[tuple[str, ...]], list[int]]:
    rows: list[list[str]] = []
    lines: list[int] = []
    empty = 0
    for row in reader:
        if not row:
            # An empty line in the middle would shift all that follows; at the end it is harmless.
            empty = empty or reader.line_num
            continue
        if len(row) != len(names) or empty:
            raise FormatError(
                f"'{path}' line {empty or reader.line_num}: {0 if empty else len(row)} cells "
                f"where the header has {len(names)}",
                "every line must have a cell for each column",
            )
        if (len(rows) + 1) * len(names) > _MOST_CELLS:
            raise UsageError(f"it has more than {_MOST_CELLS:,} cells: save it as .npy")
        rows.append(row)
        lines.append(reader.line_num)
    return (list(zip(*rows, strict=True)) or [()] * len(names)), lines


class _Parquet(Mapping[str, Any]):
    """Columns of a parquet file, each read when it is asked for."""

    def __init__(
        self,
        path: Path,
        names: tuple[str, ...],
        numeric: frozenset[str],
        unreadable: frozenset[str],
    ) -> None:
        self._path, self._names, self._numeric = path, names, numeric
        self.unreadable = unreadable

    def __getitem__(self, name: str) -> Any:
        from avaffect.files.parquet import open_parquet, read_column

        with _reading(self._path), open_parquet(self._path, reads=1) as file:
            column = read_column(file, name)
            return column.astype(np.float64) if name in self._numeric else column.tolist()

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _read_parquet(path: Path) -> Table:
    import pyarrow as pa

    from avaffect.files.parquet import open_parquet, readable

    with open_parquet(path, reads=1) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
    names = _distinct(path, schema.names)
    numeric = frozenset(
        field.name
        for field in schema
        if pa.types.is_floating(field.type)
        or pa.types.is_integer(field.type)
        or pa.types.is_boolean(field.type)
    )
    unreadable = frozenset(field.name for field in schema if not readable(field.type))
    return Table(path, names, rows, _Parquet(path, names, numeric, unreadable))


class _Matrix(Mapping[str, Any]):
    """Columns of a matrix [N, F] in an npy file, called by their places."""

    def __init__(self, path: Path) -> None:
        self._path = path
        state = path.stat()
        self._state = state.st_size, state.st_mtime_ns
        columns = self.matrix.shape[1]
        if columns > MOST_COLUMNS:
            raise FormatError(f"'{path}' has {columns:,} columns", "give a row a frame")
        self._places = {str(place): place for place in range(columns)}

    @property
    def matrix(self) -> NDArray[Any]:
        """The whole, mapped."""
        return _mapped(self._path, self._state)

    def __getitem__(self, name: str) -> Any:
        return self.matrix[:, self._places[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


# A map keeps its file open, of which systems allow some hundred.
@lru_cache(maxsize=128)
def _mapped(path: Path, state: tuple[int, int]) -> NDArray[Any]:
    """The matrix in a file; ``state`` tells it from what was under this name before."""
    with _reading(path):
        values: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    # An archive (npz) under this name is no array.
    fits = isinstance(values, np.ndarray) and values.ndim in (1, 2)
    if not fits or values.dtype.kind not in "fiub" or 0 in values.shape[1:]:
        raise FormatError(
            f"'{path}' does not hold numbers with a row a frame", "save float32 [N, F] by np.save"
        )
    # A plain array: slices of np.memmap are slow to make.
    matrix = np.asarray(values)
    return matrix if matrix.ndim == 2 else matrix[:, None]


def _read_npy(path: Path) -> Table:
    matrix = _Matrix(path)
    return Table(path, tuple(matrix), len(matrix.matrix), matrix)


def _numbers(cells: Iterable[Any]) -> NDArray[np.float64]:
    """Cells as numbers, NaN where they are empty; UsageError if one is neither."""
    texts = ["" if cell is None else str(cell).strip() for cell in cells]
    # Python takes 1_0 for 10.
    if "_" in "".join(texts):
        raise UsageError("underscore")
    return np.array([np.nan if text in _MISSING else float(text) for text in texts])


def _is_number(cell: Any) -> bool:
    try:
        _numbers([cell])
    except ValueError:
        return False
    return True


def _text(value: float) -> str:
    if np.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() else str(value)


_READERS = {".csv": _read_csv, ".txt": _read_csv, ".parquet": _read_parquet, ".npy": _read_npy}
