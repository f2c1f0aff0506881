"""Parquet files as strangers send them: some bytes may stand for any number of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from avaffect.errors import UsageError
from avaffect.files.outside import MOST_COLUMNS, MOST_VALUES_BYTES, require_rows

LONGEST_TEXT = 4096
"""Bytes of a text in a column."""
# Columns that Arrow reads at once: a read each takes twice as long, and all twice the memory.
_AT_ONCE = 32
_LIMITS = {"thrift_string_size_limit": 8 << 20, "thrift_container_size_limit": 1 << 17}


@contextmanager
def open_parquet(path: Path, reads: int | None = None) -> Iterator[pq.ParquetFile]:
    """A parquet file whose columns `read_column` may read; in a block of `outside.reading`.

    Bounds: `outside.MOST_COLUMNS`; rows and values as in `outside.require_rows`, packed and not;
    texts are kept once each, as they are in the file.

    Args:
        path: the file.
        reads: how many columns will be in memory together; None for all.

    Raises:
        UsageError: it is larger, its parts contradict each other, or it holds lists.
        Exception: whatever error Arrow raises for a damaged file.
    """
    meta = pq.read_metadata(path)
    schema = meta.schema.to_arrow_schema()
    groups = [meta.row_group(number) for number in range(meta.num_row_groups)]
    if meta.num_columns > MOST_COLUMNS:
        raise UsageError(f"it has {meta.num_columns:,} columns")
    if meta.num_columns != len(schema):
        raise UsageError("it has columns of lists")
    if sum(group.num_rows for group in groups) != meta.num_rows:
        raise UsageError("its numbers of rows contradict each other")
    size = path.stat().st_size
    require_rows(meta.num_rows, 8 * (meta.num_columns if reads is None else reads), size)
    unpacked = sum(max(0, group.total_byte_size) for group in groups)
    if unpacked > max(MOST_VALUES_BYTES, 16 * size):
        raise UsageError(f"it has {unpacked / 1e9:,.1f} GB when unpacked")
    texts = [field.name for field in schema if _is_text(field.type)]
    with pq.ParquetFile(path, read_dictionary=texts, **_LIMITS) as file:
        yield file


def read_column(file: pq.ParquetFile, name: str) -> NDArray[Any]:
    """A column of `open_parquet`: numbers, null as NaN, or objects: texts, dates, None.

    Raises:
        UsageError: there is no such column, it holds something else, or a text is longer than
            `LONGEST_TEXT`.
        Exception: whatever error Arrow raises for a damaged file.
    """
    return read_columns(file, [name])[name]


def read_columns(file: pq.ParquetFile, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Columns of `open_parquet` by name, each as `read_column` gives it."""
    for name in names:
        if not readable(file.schema_arrow.field(name).type):
            raise UsageError(f"its column '{name}' holds neither numbers nor text")
    found: dict[str, NDArray[Any]] = {}
    for start in range(0, len(names), _AT_ONCE):
        part = list(names[start : start + _AT_ONCE])
        table = file.read(columns=part)
        found |= {name: _values(table.column(name)) for name in part}
    return found


def read_blocks(
    file: pq.ParquetFile, names: Sequence[str], rows: int
) -> Iterator[dict[str, NDArray[Any]]]:
    """Columns of `open_parquet` as `read_columns` gives them, up to ``rows`` rows at a time."""
    for name in names:
        if not readable(file.schema_arrow.field(name).type):
            raise UsageError(f"its column '{name}' holds neither numbers nor text")
    for batch in file.iter_batches(batch_size=rows, columns=list(names)):
        table = pa.Table.from_batches([batch])
        yield {name: _values(table.column(name)) for name in names}


def readable(kind: pa.DataType) -> bool:
    """Whether `read_column` reads columns of this type: no lists, no structures."""
    return _is_simple(kind) or pa.types.is_dictionary(kind) or _is_text(kind)


def _is_simple(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_primitive(kind) or types.is_decimal(kind) or types.is_null(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _values(column: Any) -> NDArray[Any]:
    kind = column.type
    types = pa.types
    number = types.is_integer(kind) or types.is_floating(kind)
    # A flag that is not known is none: Arrow gives objects.
    flag = types.is_boolean(kind) and not column.null_count
    if column.num_chunks and (number or flag):
        return np.concatenate([_numbers(chunk) for chunk in column.chunks])
    if _is_simple(kind):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    parts = [np.zeros(0, object), *map(_texts, column.chunks)]
    return np.concatenate(parts)


def _numbers(chunk: Any) -> NDArray[Any]:
    """Numbers [N] of a chunk, as its ``to_numpy`` but without importing pandas (0.3 s)."""
    if pa.types.is_boolean(chunk.type):
        return np.from_dlpack(chunk.cast(pa.uint8())).astype(bool)
    if not chunk.null_count:
        return np.from_dlpack(chunk)
    return np.where(_known(chunk), _raw(chunk), np.nan)


def _known(chunk: Any) -> NDArray[np.bool_]:
    return _numbers(chunk.is_valid())


def _raw(chunk: Any) -> NDArray[Any]:
    """Numbers [N] of a chunk, whatever stands where there is none."""
    buffers = [None, chunk.buffers()[1]]
    kind, offset = chunk.type, chunk.offset
    return np.from_dlpack(pa.Array.from_buffers(kind, len(chunk), buffers, offset=offset))


def _texts(chunk: Any) -> NDArray[Any]:
    """Objects [N] of a chunk, each text once in memory."""
    if not pa.types.is_dictionary(chunk.type):
        chunk = chunk.dictionary_encode()
    if _is_text(chunk.dictionary.type):
        longest = pc.max(pc.binary_length(chunk.dictionary)).as_py() or 0
        if longest > LONGEST_TEXT:
            raise UsageError(f"a text is {longest:,} bytes long")
    # The last one stands for null.
    known = np.array([*chunk.dictionary.to_pylist(), None], object)
    indices = chunk.indices
    places = np.where(_known(indices), _raw(indices), len(known) - 1)
    return np.asarray(known[places], object)
