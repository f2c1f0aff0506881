"""Tables as CSV: plain text for spreadsheets and statistics programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from avaffect.errors import UnknownNameError
from avaffect.files.atomic import atomic_path
from avaffect.files.table import arrow_array

Decimal = Literal["point", "comma"]
DECIMALS: tuple[Decimal, ...] = get_args(Decimal)
# By decimals: what separates cells, and what a file begins with. Excel takes a file without this
# mark for one in the system's own encoding; other programs take the mark for a part of the first
# column's name.
_SEPARATORS = {"point": ",", "comma": ";"}
_STARTS = {"point": "", "comma": "\ufeff"}
# A spreadsheet takes a cell that begins so for a formula; some also the wide forms of East Asia.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
# Rows that are text at a time.
_CHUNK = 8192


def require_decimal(decimal: str) -> None:
    """Raise UnknownNameError unless ``decimal`` is one of `DECIMALS`."""
    if decimal not in DECIMALS:
        raise UnknownNameError("way to write decimals", decimal, DECIMALS)


def write_csv(path: Path, columns: Mapping[str, NDArray[Any]], decimal: str = "point") -> None:
    r"""Write columns of equal length as CSV: a line of names, then a row each.

    UTF-8, lines end with ``\n``. What is unknown is empty, yes is 1 and no is 0; numbers have as
    many digits as give the same number back. Text that a spreadsheet would take for a formula
    has an apostrophe before it.

    Args:
        path: the file.
        columns: arrays [N]: numbers, bools, or text and None (dtype object). NaN is unknown.
        decimal: ``point``: numbers have a point, commas separate cells. ``comma``: numbers have a
            comma, semicolons separate, and the file begins with a byte order mark, by which Excel
            knows UTF-8.

    Raises:
        UnknownNameError: other decimals.
        OutputError: the file cannot be written.
    """
    rows = len(next(iter(columns.values()), ()))
    parts = (slice(start, start + _CHUNK) for start in range(0, rows, _CHUNK))
    blocks = ({name: values[part] for name, values in columns.items()} for part in parts)
    write_csv_blocks(path, list(columns), blocks, decimal)


def write_csv_blocks(
    path: Path,
    names: Sequence[str],
    blocks: Iterable[Mapping[str, NDArray[Any]]],
    decimal: str = "point",
) -> None:
    """As `write_csv`, of columns that come some rows at a time.

    Args:
        path: the file.
        names: of the columns.
        blocks: arrays [n] by name, in the order of the rows.
        decimal: as there.
    """
    require_decimal(decimal)
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        file.write(csv_head(names, decimal))
        for block in blocks:
            file.write(csv_lines(names, block, decimal))


def csv_head(names: Sequence[str], decimal: str = "point") -> str:
    """What a file begins with: the line of names."""
    separator = _SEPARATORS[decimal]
    return f"{_STARTS[decimal]}{separator.join(_cell(name, separator) for name in names)}\n"


def csv_lines(
    names: Sequence[str], block: Mapping[str, NDArray[Any]], decimal: str = "point"
) -> str:
    """The lines of some rows, each with its end; for the arguments see `write_csv_blocks`."""
    separator = _SEPARATORS[decimal]
    # For a text that is none of its own Arrow would import pandas (0.2 s).
    between = arrow_array(np.array([separator], object))[0]
    texts = [_texts(block[name], decimal, separator) for name in names]
    lines = pc.binary_join_element_wise(
        *texts, between, null_handling="replace", null_replacement=""
    )
    return "\n".join([*lines.to_pylist(), ""])


def harmless(text: str) -> str:
    """``text``, with an apostrophe before what a spreadsheet would take for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _texts(values: NDArray[Any], decimal: str, separator: str) -> pa.Array:
    """Cells as Arrow's text; null where nothing is known."""
    if values.dtype == object:
        known = {text: _cell(text, separator) for text in set(values) - {None}}
        return arrow_array(np.array([known.get(text) for text in values], object))
    if values.dtype == bool:
        values = values.astype(np.int8)
    texts = pc.cast(arrow_array(values), pa.string())
    if decimal == "comma" and values.dtype.kind == "f":
        texts = pc.replace_substring(texts, ".", ",")
    return texts


def _cell(text: str, separator: str) -> str:
    """A cell of text, in quotes where it must be."""
    line = io.StringIO()
    # Beside an empty one: a lone empty cell would be quoted. So are line ends of this kind.
    csv.writer(line, delimiter=separator, lineterminator="\r\n").writerow([harmless(text), ""])
    return line.getvalue()[:-3]
