"""The column map: parsed, written back, and refused with a hint."""

import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.datasets.columns import KEYS, ColumnMap, parse_columns, split_name
from avaffect.datasets.tables import read_any
from avaffect.errors import UnknownNameError, UsageError
from avaffect.tasks.registry import VA

NAMES = (
    st.text(string.ascii_letters + "_ äß=.", min_size=1, max_size=8).map(str.strip).filter(bool)
)
LISTS = st.lists(NAMES, max_size=4, unique_by=str.casefold).map(tuple)
SCALES = st.tuples(st.floats(-1e6, 0), st.floats(1, 1e6))
MAPS = st.builds(
    ColumnMap,
    **dict.fromkeys(
        ("clip", "group", "stimulus", "split", "fold", "time", "arousal"), st.just("") | NAMES
    ),
    valence=NAMES,
    expression=st.just("") | NAMES,
    features=LISTS,
    classes=LISTS,
    scale=SCALES,
    action_units=st.lists(st.sampled_from([1, 2, 12, 25]), unique=True).map(
        lambda units: tuple((f"AU{unit}", f"c{unit}") for unit in sorted(units))
    ),
)


@given(columns=MAPS)
def test_a_map_can_be_written_and_read_back(columns) -> None:
    assert parse_columns(columns.pairs()) == columns


def test_every_key_arrives() -> None:
    pairs = (
        "clip=path; group = subject ;stimulus=story;split=s;fold=f;time=t;valence=v;arousal=a;"
        "expression=e;features=a*, b;classes=calm,happy;scale=0,10;au12=smile;AU4=frown"
    )
    columns = parse_columns(pairs.split(";"))
    assert columns == ColumnMap(
        "path", "subject", "s", "f", "t", "v", "a", "e", ("a*", "b"), ("calm", "happy"), (0, 10),
        (("AU4", "frown"), ("AU12", "smile")), stimulus="story",
    )  # fmt: skip
    assert columns.of(VA) == {"valence": "v", "arousal": "a"}
    assert columns.label_columns == ("v", "a", "e", "frown", "smile")


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        (["valance=v"], "did you mean 'valence'"),
        (["AU=v"], "key of a column map"),
        (["valence"], "KEY=COLUMN"),
        (["valence="], "KEY=COLUMN"),
        (["=v"], "KEY=COLUMN"),
        (["valence=a", "valence=b"], "given twice"),
        (["AU12=a", "au12=b"], "given twice"),
        (["scale=1"], "scale=-100,100"),
        (["scale=1,x"], "scale=-100,100"),
        (["scale=1,1"], "makes no sense"),
        (["scale=0,inf"], "makes no sense"),
        (["scale=0,nan"], "makes no sense"),
        (["classes=Sad,sad"], "same name"),
    ],
)
def test_a_map_that_makes_no_sense(pairs, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_columns(pairs)


def test_an_unknown_key_lists_what_there_is() -> None:
    with pytest.raises(UnknownNameError) as caught:
        parse_columns(["zzz=1"])
    assert all(key in str(caught.value) for key in KEYS)


@pytest.fixture
def table(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("index,Frame,time,v,word,empty,mfcc_0,mfcc_1,mel_0\n0,1,0.0,.5,hi,,1,,3\n" * 1)
    with path.open("a") as file:
        file.write("1,2,.04,.5,,,1,2,3\n")
    return read_any(path)


@pytest.mark.parametrize(
    ("features", "chosen"),
    [
        ("", "mfcc_0 mfcc_1 mel_0"),
        ("*", "mfcc_0 mfcc_1 mel_0"),
        ("mel_*,mfcc_1", "mel_0 mfcc_1"),
        ("mfcc_?,mfcc_0", "mfcc_0 mfcc_1"),
        ("time,mel_0", "time mel_0"),
    ],
)
def test_features_by_name_and_wildcard(table, features: str, chosen: str) -> None:
    pairs = ["valence=v", *([f"features={features}"] if features else [])]
    assert parse_columns(pairs).choose_features(table) == tuple(chosen.split())


def test_a_name_with_brackets_is_no_wildcard(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x[0],x0,v\n1,2,0\n")
    table = read_any(tmp_path / "a.csv")
    assert parse_columns(["valence=v", "features=x[0]"]).choose_features(table) == ("x[0]",)


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        (["features=mfcc_2"], "did you mean 'mfcc_"),
        (["features=pitch*"], "pitch"),
        (["valence=v", "features=v"], "holds labels"),
        (
            ["valence=mfcc_0", "arousal=mfcc_1", "expression=mel_0", "AU1=v"],
            "no column of numbers",
        ),
    ],
)
def test_features_that_are_not_there(table, pairs, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_columns(pairs).choose_features(table)


def test_names_of_splits() -> None:
    assert [split_name(text) for text in ("", "Train", "DEV", "validation", "test")] == [
        "", "train", "val", "val", "test"
    ]  # fmt: skip
    with pytest.raises(ValueError, match="holdout"):
        split_name("holdout")
