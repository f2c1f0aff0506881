"""Tables: what is written comes back, and what is wrong is named by file and line."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avaffect.datasets.tables import FEATURES, TableFeatures, read_any
from avaffect.errors import FormatError, InputNotFoundError, UnknownNameError

NUMBERS = st.floats(-(2.0**99), 2.0**99, width=32) | st.just(float("nan"))


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def save(folder, kind, values):
    """float32 [N, F] as a file with the columns 0, 1, ... (CSV and parquet: c0, c1, ...)."""
    path = folder / f"clip.{kind}"
    if kind == "npy":
        np.save(path, values)
        return path, [str(i) for i in range(values.shape[1])]
    names = [f"c{i}" for i in range(values.shape[1])]
    if kind == "parquet":
        columns = [pa.array(values[:, i], from_pandas=True) for i in range(values.shape[1])]
        pq.write_table(pa.table(dict(zip(names, columns, strict=True))), path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(names)
            writer.writerows([["" if np.isnan(v) else repr(float(v)) for v in r] for r in values])
    return path, names


@pytest.mark.parametrize("kind", ["csv", "parquet", "npy"])
@given(
    values=arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(2, 4)), elements=NUMBERS)
)
def test_features_come_back_in_every_format(
    tmp_path_factory: pytest.TempPathFactory, kind: str, values
) -> None:
    path, names = save(tmp_path_factory.mktemp("t"), kind, values)
    features = TableFeatures(read_any(path), names[::-1])
    assert (features.frames, features.specs[FEATURES].shape) == (len(values), (len(names),))
    np.testing.assert_array_equal(features.array(FEATURES), values[:, ::-1])
    for start, stop in ((0, 1), (1, 3), (2, 99), (5, 2), (-2, None)):
        part = features.array(FEATURES, start, stop)
        assert part.dtype == np.float32
        np.testing.assert_array_equal(part, values[start:stop, ::-1])
        part[:] = 7
    np.testing.assert_array_equal(features.array(FEATURES), values[:, ::-1])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("sign", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_dialects_of_csv(tmp_path: Path, encoding: str, sign: str, end: str) -> None:
    rows = [["word", "größe"], ['"a b"', "1.5"], ['""', "-2e-3"], ['"x"', "NaN"]]
    text = end.join(sign.join(row) for row in rows) + end
    table = read_any(write(tmp_path / "a.csv", text, encoding))
    assert table.names == ("word", "größe")
    assert table.texts("word") == ["a b", "", "x"]
    np.testing.assert_array_equal(table.numbers("größe"), [1.5, -0.002, np.nan])
    assert table.where(2) == f"'{tmp_path / 'a.csv'}' line 4"


def test_a_cell_over_two_lines_keeps_the_count(tmp_path: Path) -> None:
    table = read_any(write(tmp_path / "a.csv", 'w,x\n"one\ntwo",1\nthree,z\n'))
    with pytest.raises(FormatError, match=r"a\.csv' line 4: 'z' in column 'x' is no number"):
        table.numbers("x")


def test_the_index_of_pandas_has_a_name(tmp_path: Path) -> None:
    assert read_any(write(tmp_path / "a.csv", ",x\n0,5\n")).names == ("index", "x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("a,b\n", "holds no row"),
        ("1,2\n3,4\n", "line 1: numbers where"),
        ("a,a\n1,2\n", "line 1: two columns are called 'a'"),
        ("a,\n1,2\n", "line 1: column 2 has no name"),
        ("a,b\n1,2\n3\n", "line 3: 1 cells where the header has 2"),
        ("a,b\n1,2,3\n", "line 2: 3 cells"),
        ("a,b\n1,2\n\n3,4\n", "line 3: 0 cells"),
        ('a,b\n1,"2\n', "line 2: unexpected end"),
        ("a,b\n1,\0\n", "line 2"),
    ],
)
def test_broken_csv(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(FormatError, match=says):
        table = read_any(write(tmp_path / "a.csv", text))
        table.numbers("b")


def test_empty_lines_at_the_end_do_no_harm(tmp_path: Path) -> None:
    assert read_any(write(tmp_path / "a.csv", "a,b\n1,2\n\n\n")).rows == 1


@pytest.mark.parametrize("cell", ["x", "1_0", "inf", "-inf", "1e39", "1,5", "0x1"])
def test_what_is_no_number(tmp_path: Path, cell: str) -> None:
    path = write(tmp_path / "a.csv", f'a,b\n1,2\n3,"{cell}"\n')
    with pytest.raises(FormatError, match=r"a\.csv' line 3: .* in column 'b' is"):
        TableFeatures(read_any(path), ["a", "b"])


def test_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="not UTF-8"):
        read_any(write(tmp_path / "a.csv", "größe\n1\n", "latin-1"))


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.npy"])
def test_rubbish_and_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputNotFoundError):
        read_any(tmp_path / name)
    (tmp_path / name).write_bytes(b"\x93\xff\x00rubbish")
    with pytest.raises(FormatError, match=name):
        read_any(tmp_path / name)


def test_another_suffix(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"\.parquet"):
        read_any(write(tmp_path / "a.xlsx", "a\n1\n"))


def test_npy_that_would_run_code_or_holds_no_matrix(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], object), allow_pickle=True)
    np.save(tmp_path / "b.npy", np.zeros((2, 3, 4)))
    np.save(tmp_path / "c.npy", np.array(["text"]))
    np.save(tmp_path / "d.npy", np.zeros((4, 0)))
    np.savez(tmp_path / "e.npz", np.zeros(3))
    (tmp_path / "e.npz").rename(tmp_path / "e.npy")
    for name in "abcde":
        with pytest.raises(FormatError, match=f"{name}.npy"):
            read_any(tmp_path / f"{name}.npy")


def test_a_vector_is_a_matrix_of_one_column(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(4))
    table = read_any(tmp_path / "a.npy")
    assert (table.names, table.rows, table.texts("0")) == (("0",), 4, ["0", "1", "2", "3"])


def test_infinity_in_npy_is_found_when_it_is_read(tmp_path: Path) -> None:
    values = np.zeros((9, 2))
    values[6, 1] = np.inf
    np.save(tmp_path / "a.npy", values)
    features = TableFeatures(read_any(tmp_path / "a.npy"), ["0", "1"])
    assert not features.array(FEATURES, 0, 6).any()
    with pytest.raises(FormatError, match="row 7"):
        features.array(FEATURES, 4)


def test_a_file_written_anew_is_read_anew(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, 2)))
    assert read_any(tmp_path / "a.npy").rows == 3
    np.save(tmp_path / "a.npy", np.zeros((5, 2)))
    assert read_any(tmp_path / "a.npy").rows == 5


def test_many_npy_files_do_not_stay_open(tmp_path: Path) -> None:
    """Systems allow some hundred open files, and a map keeps one open."""
    resource = pytest.importorskip("resource")
    every = []
    for number in range(300):
        np.save(tmp_path / f"{number}.npy", np.full((2, 1), number))
        every.append(TableFeatures(read_any(tmp_path / f"{number}.npy"), ["0"]))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        assert [table.array(FEATURES)[1, 0] for table in every] == list(range(300))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_parquet_types(tmp_path: Path) -> None:
    columns = {
        "word": pa.array(["a", None]),
        "whole": pa.array([3, None], pa.int64()),
        "yes": pa.array([True, False]),
        "list": pa.array([[1], [2]]),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    table = read_any(tmp_path / "a.parquet")
    assert [name for name in table.names if table.is_numeric(name)] == ["whole", "yes"]
    assert table.texts("word") == ["a", ""]
    assert table.texts("whole") == ["3", ""]
    np.testing.assert_array_equal(table.numbers("whole"), [3, np.nan])
    np.testing.assert_array_equal(table.numbers("yes"), [1, 0])
    for name, says in (("word", "row 1"), ("list", "neither numbers nor text")):
        with pytest.raises(FormatError, match=says):
            table.numbers(name)


def test_columns_and_arrays_that_are_not_there(tmp_path: Path) -> None:
    table = read_any(write(tmp_path / "a.csv", "valence,x\n0,1\n"))
    with pytest.raises(UnknownNameError, match="did you mean 'valence'"):
        TableFeatures(table, ["valense"])
    with pytest.raises(UnknownNameError, match="table"):
        TableFeatures(table, ["x"]).array("audio")
