"""Parquet files that stand for more than they hold."""

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
