"""Tables as parquet files that carry their own story."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from avaffect.errors import FormatError, InputNotFoundError, UsageError
from avaffect.files.atomic import atomic_path, json_text
from avaffect.files.outside import parse_json, reading
from avaffect.files.parquet import open_parquet, read_columns

METADATA_KEY = b"avaffect"
_ROW_GROUP = 16_384


def write_table(
    path: Path, columns: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]
) -> None:
    """Write columns of equal length as one parquet file, some 16,000 rows at a time.

    Args:
        columns: arrays [N]. NaN becomes null. Arrays of dtype object hold text or None.
        metadata: JSON-able facts, kept as JSON under the key ``avaffect`` of the file's
            key-value metadata.

    Raises:
        UsageError: columns of different lengths, or metadata that is not JSON.
        OutputError: the file cannot be written.
    """
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise UsageError(f"columns have different lengths: {sorted(lengths)}")
    rows = lengths.pop() if lengths else 0
    text = json_text(metadata)
    schema = pa.schema(
        [(name, _arrow_type(values)) for name, values in columns.items()],
        metadata={METADATA_KEY: text.encode()},
    )
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for start in range(0, rows, _ROW_GROUP):
            part = [
                arrow_array(columns[field.name][start : start + _ROW_GROUP]) for field in schema
            ]
            writer.write_table(pa.Table.from_arrays(part, schema=schema))


def read_table(path: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Read a file of `write_table` back.

    Bounds: see `parquet.open_parquet`.

    Returns:
        the columns, null as NaN in numbers and None in text, and the metadata.

    Raises:
        InputNotFoundError: there is no such file.
        FormatError: not a parquet file, or not one of avaffect's.
    """
    path = Path(path)
    if not path.is_file():
        raise InputNotFoundError(f"there is no file '{path}'", "check the path")
    with _reading(path), open_parquet(path) as file:
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise UsageError("it has two columns of one name")
        about = _about(file)
        return read_columns(file, names), about


def read_about(path: Path) -> dict[str, Any]:
    """The metadata alone of a file of `write_table`.

    Bounds: see `parquet.open_parquet`.

    Raises:
        InputNotFoundError: there is no such file.
        FormatError: not a parquet file, or not one of avaffect's.
    """
    with _reading(path), open_parquet(path, reads=0) as file:
        return _about(file)


def read_names(path: Path) -> tuple[str, ...]:
    """The names of the columns alone of a file of `write_table`.

    Bounds: see `parquet.open_parquet`.

    Raises:
        InputNotFoundError: there is no such file.
        FormatError: not a parquet file.
    """
    with _reading(path), open_parquet(path, reads=0) as file:
        return tuple(file.schema_arrow.names)


def _reading(path: Path) -> AbstractContextManager[None]:
    hint = "give a .parquet file that predict has written"
    return reading(path, FormatError, "is no table of avaffect", hint)


def _about(file: pq.ParquetFile) -> dict[str, Any]:
    about = parse_json((file.schema_arrow.metadata or {})[METADATA_KEY])
    if not isinstance(about, dict):
        raise UsageError("it has other facts")
    return about


def arrow_array(values: NDArray[Any], known: NDArray[np.bool_] | None = None) -> pa.Array:
    """``values`` [N] for Arrow, as ``pyarrow.array`` would but without importing pandas (0.4 s).

    Args:
        values: numbers, bools, or text and None (dtype object).
        known: bool [N], where there is a value; None takes all but NaN and None.
    """
    if values.dtype == object:
        known = np.array([value is not None for value in values], bool) if known is None else known
        text = [value.encode() if yes else b"" for value, yes in zip(values, known, strict=True)]
        ends = np.cumsum([0, *map(len, text)], dtype=np.int32)
        buffers = [ends, b"".join(text)]
    else:
        if known is None and values.dtype.kind == "f":
            known = ~np.isnan(values)
        # Arrow keeps bools as bits, as it keeps what is known.
        buffers = [_bits(values) if values.dtype == bool else np.ascontiguousarray(values)]
    validity = None if known is None else pa.py_buffer(_bits(known))
    return pa.Array.from_buffers(
        _arrow_type(values), len(values), [validity, *map(pa.py_buffer, buffers)]
    )


def _bits(flags: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.packbits(flags, bitorder="little")


def _arrow_type(values: NDArray[Any]) -> pa.DataType:
    return pa.string() if values.dtype == object else pa.from_numpy_dtype(values.dtype)
