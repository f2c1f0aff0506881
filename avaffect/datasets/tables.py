"""Tables that users bring: CSV, parquet or arrays, and the features of a clip in one of them.

- **CSV** (``.csv``, ``.txt``): see ``csv_rows``. Parsed once.
- **parquet**: a column is read when it is asked for.
- **npy, npz, safetensors**: numbers [N, F] or [N]; columns are called ``0``, ``1``, ..., see
  ``array_files``. Never unpickled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.datasets import array_files
from avaffect.datasets.array_files import ArrayFile
from avaffect.datasets.csv_rows import CsvRows, distinct, is_number, numbers
from avaffect.errors import FormatError, InputNotFoundError, UnknownNameError, UsageError
from avaffect.files.npy import Array, ArraySpec
from avaffect.files.outside import MOST_COLUMNS, reading, require_rows

SUFFIXES = (".csv", ".parquet", *array_files.SUFFIXES)
FEATURES = "table"
"""The name of the one array of :class:`TableFeatures`."""
_MOST_CELLS = 32_000_000
_LARGEST = float(np.finfo(np.float32).max)


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
                values = numbers(column)
            except ValueError:
                row = next(row for row, cell in enumerate(column) if not is_number(cell))
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
            return not bool(np.isnan(numbers(column)).all())
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
        if not isinstance(table.columns, ArrayFile | _Parquet):
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
        if self._table is not None and isinstance(self._table.columns, ArrayFile):
            found = self._table.columns.read(self.columns, start, stop)
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
    and the bounds of `csv_rows.CsvRows`; of a parquet file see `parquet.open_parquet`, of the
    others `array_files.ArrayFile`.

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
    source = CsvRows(path)
    rows: list[list[str]] = []
    lines: list[int] = []
    for line, row in source:
        if (len(rows) + 1) * len(source.names) > _MOST_CELLS:
            raise UsageError(f"it has more than {_MOST_CELLS:,} cells: save it as .npy")
        rows.append(row)
        lines.append(line)
    cells = list(zip(*rows, strict=True)) or [()] * len(source.names)
    return Table(
        path, source.names, len(lines), dict(zip(source.names, cells, strict=True)), lines
    )


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
    names = distinct(path, schema.names)
    numeric = frozenset(
        field.name
        for field in schema
        if pa.types.is_floating(field.type)
        or pa.types.is_integer(field.type)
        or pa.types.is_boolean(field.type)
    )
    unreadable = frozenset(field.name for field in schema if not readable(field.type))
    return Table(path, names, rows, _Parquet(path, names, numeric, unreadable))


def _read_arrays(path: Path) -> Table:
    columns = ArrayFile(path)
    return Table(path, tuple(columns), columns.rows, columns)


def _text(value: float) -> str:
    if np.isnan(value):
        return ""
    return str(int(value)) if value.is_integer() else str(value)


_READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": _read_csv,
    ".txt": _read_csv,
    ".parquet": _read_parquet,
    **dict.fromkeys(array_files.SUFFIXES, _read_arrays),
}
