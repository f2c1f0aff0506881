"""The lines of a CSV file as rows of cells, one after the other, within bounds.

UTF-8 with or without a byte order mark, a header line, columns parted by comma, semicolon or tab.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import FormatError, UsageError

# What pandas leaves of the index of a table that it wrote.
_NAMELESS = "index"
_LONGEST_LINE = 4 << 20
_MISSING = frozenset({"", "nan", "NaN", "NAN", "na", "NA", "N/A", "null", "NULL", "None"})


class CsvRows:
    """The rows of a CSV file; each iteration reads it anew. In a block of `outside.reading`.

    Bounds: ``_LONGEST_LINE`` characters a line. No more than a line is in memory.

    Args:
        path: the file.

    Attributes:
        path: the file.
        names: the columns, in order, each once.

    Raises:
        FormatError: it is no UTF-8 text, or its first line names no columns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names: tuple[str, ...] = ()
        for _ in self._read(header_only=True):
            pass

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """The line that each row ends on, and its cells, as many as columns.

        Raises:
            FormatError: a line with more or fewer cells; the message names it.
        """
        return self._read()

    def _read(self, header_only: bool = False) -> Iterator[tuple[int, list[str]]]:
        at = 1
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                first = next(_lines(file), "")
                file.seek(0)
                reader = csv.reader(_lines(file), delimiter=_delimiter(first), strict=True)
                self.names = _header(self.path, next(reader, []))
                if header_only:
                    return
                empty = 0
                for row in reader:
                    at = reader.line_num
                    if not row:
                        # An empty line in the middle would shift all that follows; at the end it
                        # is harmless.
                        empty = empty or at
                        continue
                    if len(row) != len(self.names) or empty:
                        raise FormatError(
                            f"'{self.path}' line {empty or at}: {0 if empty else len(row)} cells "
                            f"where the header has {len(self.names)}",
                            "every line must have a cell for each column",
                        )
                    yield at, row
        except UnicodeDecodeError as error:
            raise FormatError(
                f"'{self.path}' is not UTF-8 text", "save it as UTF-8 CSV"
            ) from error
        except csv.Error as error:
            raise FormatError(
                f"'{self.path}' line {reader.line_num}: {error}", "save it again"
            ) from error


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
    if all(is_number(name) for name in names):
        raise FormatError(
            f"'{path}' line 1: numbers where the columns' names are expected",
            "add a header line, or save the numbers as .npy",
        )
    return distinct(path, names)


def distinct(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """The names of a file's columns, each once.

    Raises:
        FormatError: two are the same, or one is empty.
    """
    seen: set[str] = set()
    for place, name in enumerate(names):
        if not name or name in seen:
            raise FormatError(
                f"'{path}' line 1: "
                + (
                    f"two columns are called '{name}'"
                    if name
                    else f"column {place + 1} has no name"
                ),
                "give each column a name of its own",
            )
        seen.add(name)
    return tuple(names)


def numbers(cells: Iterable[Any]) -> NDArray[np.float64]:
    """Cells as numbers, NaN where they are empty; UsageError if one is neither."""
    texts = ["" if cell is None else str(cell).strip() for cell in cells]
    # Python takes 1_0 for 10.
    if "_" in "".join(texts):
        raise UsageError("underscore")
    return np.array([np.nan if text in _MISSING else float(text) for text in texts])


def is_number(cell: Any) -> bool:
    """Whether a cell is a number, or empty."""
    try:
        numbers([cell])
    except ValueError:
        return False
    return True
