from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from avaffect.errors import AvaffectError, InputNotFoundError, OutputError
from avaffect.files.table import read_table, write_table


def test_columns_and_metadata_come_back(tmp_path: Path) -> None:
    columns = {
        "frame": np.arange(1, 4),
        "present": np.array([True, False, True]),
        "valence": np.array([0.5, np.nan, -1], dtype=np.float32),
        "expression": np.array(["Fear", None, "Other"], dtype=object),
    }
    metadata = {
        "model": "starter-1",
        "note": "kein Aff-Wild2 – nur Näherung",
        "config": {"n": [1]},
    }
    write_table(tmp_path / "x.parquet", columns, metadata)
    back, facts = read_table(tmp_path / "x.parquet")
    assert facts == metadata
    assert list(back) == list(columns)
    for name, values in columns.items():
        assert back[name].dtype == values.dtype
        np.testing.assert_array_equal(back[name], values)
    # Missing is null for whoever reads it, not NaN.
    assert pq.read_table(tmp_path / "x.parquet").column("valence").null_count == 1


def test_long_tables_have_several_row_groups(tmp_path: Path) -> None:
    values = np.arange(40_000, dtype=np.float64)
    write_table(tmp_path / "x.parquet", {"time": values}, {})
    assert pq.ParquetFile(tmp_path / "x.parquet").num_row_groups == 3
    np.testing.assert_array_equal(read_table(tmp_path / "x.parquet")[0]["time"], values)


def test_empty_table(tmp_path: Path) -> None:
    write_table(tmp_path / "x.parquet", {"time": np.zeros(0)}, {"model": "m"})
    columns, facts = read_table(tmp_path / "x.parquet")
    assert len(columns["time"]) == 0
    assert facts == {"model": "m"}


def test_wrong_columns_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="different lengths"):
        write_table(tmp_path / "x.parquet", {"a": np.zeros(2), "b": np.zeros(3)}, {})
    with pytest.raises(ValueError, match="JSON"):
        write_table(tmp_path / "x.parquet", {"a": np.zeros(2)}, {"bad": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_unwritable_and_unreadable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"no table")
    with pytest.raises(OutputError):
        write_table(tmp_path / "file" / "x.parquet", {"a": np.zeros(2)}, {})
    with pytest.raises(InputNotFoundError):
        read_table(tmp_path / "none.parquet")
    with pytest.raises(AvaffectError, match="no table of avaffect"):
        read_table(tmp_path / "file")


def test_foreign_parquet_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa

    pq.write_table(pa.table({"a": [1]}), tmp_path / "x.parquet")
    with pytest.raises(AvaffectError, match="no table of avaffect"):
        read_table(tmp_path / "x.parquet")
