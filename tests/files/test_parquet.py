"""Parquet files that stand for more than they hold."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from avaffect.errors import FormatError, UsageError
from avaffect.files import outside
from avaffect.files.parquet import LONGEST_TEXT, open_parquet, read_column
from avaffect.files.table import read_table, write_table


def test_columns_come_back(tmp_path):
    path = tmp_path / "a.parquet"
    texts = ["a", None, "ä", "a"]
    coded = pa.array(texts).dictionary_encode()
    flags = [True, False, True, True]
    pq.write_table(pa.table({"x": [1.5, None, 2, 3], "t": texts, "d": coded, "b": flags}), path)
    with open_parquet(path) as file:
        np.testing.assert_array_equal(read_column(file, "x"), [1.5, np.nan, 2, 3])
        assert read_column(file, "t").tolist() == read_column(file, "d").tolist() == texts
        assert read_column(file, "b").tolist() == [True, False, True, True]


@pytest.mark.parametrize("rows", [0, 1, 7, 300])
def test_numbers_are_those_of_arrow(rows, tmp_path):
    """Also of several groups of rows, of which some lack values."""
    some = [None if 100 < at < 130 or at % 5 == 0 else at for at in range(rows)]
    none = [None] * rows
    table = pa.table(
        {
            "float": pa.array(some, pa.float32()),
            "double": pa.array(some, pa.float64()),
            "half": pa.array(np.arange(rows).astype(np.float16)),
            "int": pa.array(some, pa.int32()),
            "long": pa.array(range(rows), pa.int64()),
            "small": pa.array([at % 250 for at in range(rows)], pa.uint8()),
            "flag": pa.array([at % 3 == 0 for at in range(rows)]),
            "unsure": pa.array([None if value is None else value % 2 == 0 for value in some]),
            "nothing": pa.array(none, pa.int64()),
            "null": pa.nulls(rows),
        }
    )
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, row_group_size=64)
    with open_parquet(path) as file:
        for name in table.column_names:
            expected = np.asarray(file.read([name]).column(name).to_numpy(zero_copy_only=False))
            found = read_column(file, name)
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape), name
            np.testing.assert_array_equal(found, expected, err_msg=name)


def test_tables_and_csv_need_no_pandas(tmp_path):
    script = (
        "import sys, numpy as np; from pathlib import Path\n"
        "from avaffect.files.csv_text import write_csv\n"
        "from avaffect.files.table import read_table, write_table\n"
        "text = np.array(['a', None, 'b'], object); number = np.array([1.5, np.nan, 2])\n"
        "columns = {'t': text, 'x': number, 'i': np.arange(3), 'b': number > 1}\n"
        "write_table(Path('a.parquet'), columns, {})\n"
        "write_csv(Path('a.csv'), read_table(Path('a.parquet'))[0])\n"
        "print([name for name in ('pandas', 'scipy', 'torch') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout == "[]\n"


def test_a_few_bytes_with_many_rows(tmp_path):
    path = tmp_path / "rows.parquet"
    rows = outside.MOST_ROWS + 1
    pq.write_table(pa.table({"x": pa.array(np.zeros(rows, np.int8))}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    with pytest.raises(UsageError, match="rows"), open_parquet(path):
        pass
    with pytest.raises(FormatError, match=r"rows\.parquet' is no table of avaffect"):
        read_table(path)


def test_one_text_many_times(tmp_path):
    path = tmp_path / "texts.parquet"
    write_table(path, {"t": np.array(["x" * LONGEST_TEXT] * 5000, object)}, {})
    columns, _ = read_table(path)
    assert len({id(text) for text in columns["t"]}) == 1
    write_table(path, {"t": np.array(["x" * (LONGEST_TEXT + 1)] * 5000, object)}, {})
    with pytest.raises(FormatError, match="a text is 4,097 bytes long"):
        read_table(path)


@pytest.mark.parametrize("column", [[[1, 2]] * 3, [{"a": 1}] * 3, [b"x"] * 3])
def test_other_kinds_of_columns(tmp_path, column):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"x": column}).replace_schema_metadata({"avaffect": "{}"}), path)
    with pytest.raises(FormatError):
        read_table(path)
