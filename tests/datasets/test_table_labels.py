"""Labels in tables: scales, invalid values, classes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.datasets.columns import parse_columns
from avaffect.datasets.table_labels import TableLabels, class_names
from avaffect.datasets.tables import read_any
from avaffect.errors import FormatError, UnknownNameError
from avaffect.labels import EXPRESSIONS
from avaffect.tasks.registry import EXPR

NAN = np.nan


def labels(folder, text, pairs, classes=()):
    path = folder / "a.csv"
    path.write_text(text)
    table = read_any(path)
    found = TableLabels.read(table, parse_columns(pairs.split()))
    return found.at(np.arange(table.rows), {"expr": classes})


def test_invalid_valence_and_arousal(tmp_path: Path) -> None:
    found = labels(tmp_path, "a,v\n0.5,-1\n-5,1\n,nan\n", "valence=v arousal=a")
    np.testing.assert_array_equal(found["va"], np.float32([[-1, 0.5], [1, NAN], [NAN, NAN]]))
    assert (found["va"].dtype, found.keys()) == (np.float32, {"va"})


def test_one_dimension(tmp_path: Path) -> None:
    assert labels(tmp_path, "v,x\n.25,1\n", "valence=v")["va"].tolist() == [[0.25]]


@given(low=st.integers(-100, 0), width=st.integers(1, 200), share=st.floats(0, 1))
def test_a_scale_is_mapped_linearly(
    tmp_path_factory: pytest.TempPathFactory, low, width, share
) -> None:
    value = low + share * width
    if value == -5:
        value = low
    text = f"v,x\n{low},0\n{low + width},0\n{value!r},0\n{low + width / 2},0\n"
    folder = tmp_path_factory.mktemp("t")
    found = labels(folder, text, f"valence=v scale={low},{low + width}")["va"][:, 0]
    expected = (value - low) / width * 2 - 1
    np.testing.assert_allclose(found, [-1, 1, expected, 0], atol=1e-6)


def test_minus_five_is_a_value_where_the_scale_holds_it(tmp_path: Path) -> None:
    assert labels(tmp_path, "v,x\n-5,0\n", "valence=v scale=-10,10")["va"] == [[-0.5]]
    assert np.isnan(labels(tmp_path, "v,x\n-5,0\n", "valence=v scale=1,7")["va"]).all()


@pytest.mark.parametrize("value", ["1.01", "-1.5", "100", "-5.5"])
def test_outside_the_scale(tmp_path: Path, value: str) -> None:
    with pytest.raises(FormatError, match=r"a\.csv' line 3: .*column 'v'.*scale=-100,100"):
        labels(tmp_path, f"v,x\n0,0\n{value},0\n", "valence=v")


def test_action_units(tmp_path: Path) -> None:
    found = labels(tmp_path, "s,f\n1,0\n0.0,-1\n,1\n", "AU12=s AU4=f")["au"]
    assert (found.dtype, found.tolist()) == (np.int8, [[0, 1], [-1, 0], [1, -1]])
    with pytest.raises(FormatError, match=r"line 2: 0\.5 in column 's' is none of 0, 1 and -1"):
        labels(tmp_path, "s,f\n0.5,0\n", "AU12=s")


def test_expressions_by_name_and_number(tmp_path: Path) -> None:
    text = "e,x\nHappy,0\n,0\n-1,0\ncalm,0\n1,0\nCALM,0\nnan,0\n"
    found = labels(tmp_path, text, "expression=e", ("calm", "happy"))["expr"]
    assert (found.dtype, found.tolist()) == (np.int64, [1, -1, -1, 0, 1, 0, -1])


def test_an_expression_that_is_no_class(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"a\.csv' line 4: 'sad' is none of .*calm, happy"):
        labels(tmp_path, "e,x\nhappy,0\ncalm,0\nsad,0\nsad,0\n", "expression=e", ("calm", "happy"))
    with pytest.raises(FormatError, match="line 2: '2' is none"):
        labels(tmp_path, "e,x\n2,0\n", "expression=e", ("calm", "happy"))


def test_rows_are_taken_in_any_order_and_missing_ones_are_invalid(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("v,e,u\n.1,a,1\n.2,b,0\n")
    columns = parse_columns(["valence=v", "expression=e", "AU1=u"])
    found = TableLabels.read(read_any(tmp_path / "a.csv"), columns)
    taken = found.at(np.array([1, -1, 0]), {"expr": ("a", "b")})
    np.testing.assert_array_equal(taken["va"], np.float32([[0.2], [NAN], [0.1]]))
    assert taken["expr"].tolist() == [1, -1, 0]
    assert taken["au"].tolist() == [[0], [-1], [1]]
    assert [taken[task].dtype for task in ("va", "expr", "au")] == ["float32", "int64", "int8"]


def test_a_column_that_is_not_there(tmp_path: Path) -> None:
    for pairs in ("valence=w", "expression=w", "AU1=w"):
        with pytest.raises(UnknownNameError, match=r"a\.csv"):
            labels(tmp_path, "v,x\n0,0\n", pairs)


@pytest.mark.parametrize(
    ("found", "given", "names"),
    [
        ({"sad", "calm", "Angry"}, "", ("Angry", "calm", "sad")),
        ({"happiness", "NEUTRAL"}, "", EXPRESSIONS),
        ({"10", "9", "1"}, "", ("1", "9", "10")),
        ({"sad", "Sad"}, "", ("sad",)),
        ({"sad", "calm"}, "sad,calm", ("sad", "calm")),
        (set(), "", ()),
    ],
)
def test_which_classes_there_are(found, given: str, names) -> None:
    pairs = ["expression=e", *([f"classes={given}"] if given else [])]
    assert class_names(found, parse_columns(pairs), EXPR) == names
