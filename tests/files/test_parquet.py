"""Parquet files that stand for more than they hold."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from avaffect.errors import FormatError, UsageError
from avaffect.files import outside
from avaffect.files.parquet import LONGEST_TEXT, open_parquet, read_column, read_columns
from avaffect.files.table import read_table, write_table


def test_columns_come_back(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = ["a", None, "ä", "a"]
    coded = pa.array(texts).dictionary_encode()
    flags = [True, False, True, True]
    pq.write_table(pa.table({"x": [1.5, None, 2, 3], "t": texts, "d": coded, "b": flags}), path)
    with open_parquet(path) as file:
        np.testing.assert_array_equal(read_column(file, "x"), [1.5, np.nan, 2, 3])
        assert read_column(file, "t").tolist() == read_column(file, "d").tolist() == texts
        assert read_column(file, "b").tolist() == [True, False, True, True]


@pytest.mark.parametrize("groups", [1, 2, 10])
@pytest.mark.parametrize("rows", [0, 1, 10])
def test_numbers_are_those_that_arrow_gives(tmp_path: Path, rows: int, groups: int) -> None:
    path = tmp_path / "a.parquet"
    kinds = (pa.int8(), pa.uint16(), pa.int32(), pa.int64(), pa.bool_(), pa.float32(),
             pa.float64(), pa.null(), pa.date32())  # fmt: skip
    numbers = [i % 2 for i in range(rows)]
    columns: dict[str, pa.Array] = {}
    for kind in kinds:
        if kind != pa.null():
            columns[str(kind)] = pa.array(numbers, pa.int32()).cast(kind)
            some = [number if i % 3 else None for i, number in enumerate(numbers)]
            columns[f"{kind} some"] = pa.array(some, pa.int32()).cast(kind)
        columns[f"{kind} none"] = pa.array([None] * rows, kind)
    columns |= {f"more {i}": pa.array(np.arange(rows) + i) for i in range(80)}
    pq.write_table(pa.table(columns), path, row_group_size=max(1, rows // groups))
    with open_parquet(path) as file:
        found = read_columns(file, list(columns))
        table = file.read()
    assert list(found) == list(columns)
    for name, values in found.items():
        expected = table.column(name).to_numpy(zero_copy_only=False)
        assert values.dtype == expected.dtype, name
        np.testing.assert_array_equal(values, expected, err_msg=name)
        assert values.flags.writeable, name


def test_pandas_is_not_imported(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_table(path, {"x": np.array([1, np.nan]), "t": np.array(["a", None], object)}, {})
    look = (
        "import sys; from pathlib import Path; from avaffect.files.table import read_table;"
        "columns, _ = read_table(Path(sys.argv[1])); assert columns['t'].tolist() == ['a', None];"
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", look, path], check=True)


def test_a_few_bytes_with_many_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    rows = outside.MOST_ROWS + 1
    pq.write_table(pa.table({"x": pa.array(np.zeros(rows, np.int8))}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    with pytest.raises(UsageError, match="rows"), open_parquet(path):
        pass
    with pytest.raises(FormatError, match=r"rows\.parquet' is no table of avaffect"):
        read_table(path)


def test_one_text_many_times(tmp_path: Path) -> None:
    path = tmp_path / "texts.parquet"
    write_table(path, {"t": np.array(["x" * LONGEST_TEXT] * 5000, object)}, {})
    columns, _ = read_table(path)
    assert len({id(text) for text in columns["t"]}) == 1
    write_table(path, {"t": np.array(["x" * (LONGEST_TEXT + 1)] * 5000, object)}, {})
    with pytest.raises(FormatError, match="a text is 4,097 bytes long"):
        read_table(path)


@pytest.mark.parametrize("column", [[[1, 2]] * 3, [{"a": 1}] * 3, [b"x"] * 3])
def test_other_kinds_of_columns(tmp_path: Path, column) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": column}).replace_schema_metadata({"avaffect": "{}"}), path)
    with pytest.raises(FormatError):
        read_table(path)
