"""Own data: matched by name, by position or time, with everything left out told."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.datasets.columns import parse_columns
from avaffect.datasets.own import load_own
from avaffect.errors import FormatError, InputNotFoundError, UnknownNameError, UsageError
from avaffect.files.npy import ArraySpec
from avaffect.labels import EXPRESSIONS
from avaffect.progress import Progress
from avaffect.store.spool import Spool
from avaffect.store.subject import FACES, SpooledSubject
from avaffect.store.writing import write_subject


@dataclass
class Data:
    """A folder in which a test puts files down."""

    root: object

    def put(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def rows(self, name, header, rows):
        return self.put(name, "".join(f"{line}\n" for line in (header, *rows)))

    def store(self, folder, name, values, rate=25.0):
        """A preprocessed folder with one array ``audio`` [N, F]."""
        spool = Spool.create(self.root / "spool" / name, {}, "key")
        for row in range(len(values)):
            spool.append_frame(row / rate)
        spool.write_rows({"audio": ArraySpec(values.shape[1:], "float32")}, [{"audio": values}])
        subject = SpooledSubject(name, spool, ())
        target = self.root / folder / name / "features" / name
        write_subject(target, subject, {}, {FACES: "f", "audio": "a"})

    def load(self, features, labels, pairs, clips=None, **options):
        columns = parse_columns(pairs.split())
        clips = None if clips is None else self.root / clips
        return load_own(self.root / features, self.root / labels, columns, clips=clips, **options)


@pytest.fixture
def data(tmp_path: Path):
    return Data(tmp_path)


def by_name(dataset):
    return {clip.name: clip for clip in dataset.clips}


def test_features_and_labels_in_the_same_files(data) -> None:
    """As OMG-Empathy: text among the columns, a table that tells the group."""
    data.rows("f/S1.csv", "index,valence,seconds,words,p,q", ["0,.5,0,hi,1,", "1,-5,.04,,2,3"])
    data.rows("f/deep/S2.csv", "index,valence,seconds,words,p,q", ["0,0,0,5,4,5"])
    data.rows("m.csv", "path,subject,part", ["f/S1.csv,anna,train", r"f\deep\S2.csv,ben,dev"])
    events = []
    pairs = "clip=path group=subject split=part valence=valence features=p,q"
    found = data.load("f", "f", pairs, "m.csv", on_event=events.append)
    assert (found.targets, found.per_clip, found.notes) == ({"va": ("valence",)}, False, ())
    first, second = found.clips
    assert (first.name, first.group, first.split, first.fold) == ("S1", "anna", "train", None)
    assert (second.name, second.group, second.split) == ("S2", "ben", "val")
    np.testing.assert_array_equal(first.features.array("table"), [[1, np.nan], [2, 3]])
    np.testing.assert_array_equal(first.labels["va"], np.float32([[0.5], [np.nan]]))
    assert found.about["inputs"] == ["p", "q"]
    assert parse_columns(found.about["columns"]) == parse_columns(pairs.split())
    assert events[-1] == Progress("clips", 2, 2, "clips", finished=True)


def test_a_label_for_a_whole_clip(data) -> None:
    """As RAVDESS: preprocessed sound, one table."""
    for name in ("01-a", "02-b", "03-c"):
        data.store("out", name, np.ones((4, 2), np.float32) * int(name[:2]))
    rows = ["x/01-a.ogg,sad,1,0", "x/02-b.ogg,calm,2,1", "x/03-c.ogg,,2,1", "x/04-d.ogg,sad,1,0"]
    data.rows("out/m.csv", "path,label,subject,fold5", rows)
    found = data.load("out", "out/m.csv", "clip=path expression=label group=subject fold=fold5")
    assert (found.targets, found.per_clip) == ({"expr": ("calm", "sad")}, True)
    assert [(clip.name, clip.group, clip.fold) for clip in found.clips] == [
        ("01-a", "1", 0), ("02-b", "2", 1), ("03-c", "2", 1)
    ]  # fmt: skip
    assert [clip.labels["expr"].tolist() for clip in found.clips] == [[1] * 4, [0] * 4, [-1] * 4]
    assert found.clips[1].features.array("audio", 1, 2).tolist() == [[2, 2]]
    assert found.notes == ("1 clip without features left out: 04-d",)


def test_all_three_tasks_in_separate_folders(data) -> None:
    np.save(data.put("f/v_left.npy", ""), np.arange(6.0).reshape(3, 2))
    data.rows("l/v_left.txt", "v,a,e,smile", [".1,.2,Happiness,1", "-5,-5,-1,-1", ".3,.4,anger,0"])
    found = data.load("f", "l", "valence=v arousal=a expression=e AU12=smile")
    assert found.targets == {"va": ("valence", "arousal"), "expr": EXPRESSIONS, "au": ("AU12",)}
    (clip,) = found.clips
    assert clip.group == "v"
    assert clip.labels["expr"].tolist() == [EXPRESSIONS.index("Happiness"), -1, 1]
    assert clip.labels["au"].tolist() == [[1], [-1], [0]]
    assert clip.valid("va").tolist() == [[True] * 2, [False] * 2, [True] * 2]


def test_classes_are_the_same_for_all_clips(data) -> None:
    data.rows("f/a.csv", "x,e", ["1,sad", "2,calm"])
    data.rows("f/b.csv", "x,e", ["1,angry", "2,sad"])
    found = data.load("f", "f", "expression=e")
    assert found.targets["expr"] == ("angry", "calm", "sad")
    assert [clip.labels["expr"].tolist() for clip in found.clips] == [[2, 1], [0, 2]]


@pytest.mark.parametrize("kind", ["csv", "store"])
@pytest.mark.parametrize(("frames", "labels"), [(5, 3), (3, 5)])
def test_the_shorter_counts_without_times(data, kind: str, frames: int, labels: int) -> None:
    values = np.arange(2.0 * frames, dtype=np.float32).reshape(frames, 2)
    if kind == "csv":
        data.rows("f/a.csv", "x,y", [f"{x},{y}" for x, y in values])
    else:
        data.store("f", "a", values)
    data.rows("l/a.csv", "v", [f"0.{row}" for row in range(labels)])
    found = data.load("f", "l", "valence=v")
    (clip,) = found.clips
    array = "table" if kind == "csv" else "audio"
    assert clip.frames == 3
    assert clip.features.specs[array].shape == (2,)
    np.testing.assert_array_equal(clip.features.array(array), values[:3])
    np.testing.assert_array_equal(clip.features.array(array, -2), values[1:3])
    np.testing.assert_array_equal(clip.features.array(array, 2, 9), values[2:3])
    np.testing.assert_allclose(clip.labels["va"][:, 0], [0, 0.1, 0.2], atol=1e-7)
    (note,) = found.notes
    assert f"a ({labels - frames:+d})" in note
    assert "shorter" in note


def test_other_counts_are_matched_by_time(data) -> None:
    """Labels at 10 a second, features at 25: each gets the nearest, none from 0.25 s on."""
    data.store("f", "a", np.zeros((10, 1), np.float32))
    data.rows("l/a.csv", "t,v", ["0,0", ".1,.1", ".2,.2"])
    found = data.load("f", "l", "valence=v time=t")
    expected = [0, 0, 0.1, 0.1, 0.2, 0.2, 0.2, np.nan, np.nan, np.nan]
    np.testing.assert_allclose(found.clips[0].labels["va"][:, 0], expected, atol=1e-7)
    assert "by time: a (-7)" in found.notes[0]


@given(rate=st.integers(2, 60), label_rate=st.integers(2, 60), late=st.integers(0, 20))
def test_matching_by_time_is_the_nearest_label_that_is_near(
    tmp_path_factory: pytest.TempPathFactory, rate, label_rate, late
) -> None:
    data = Data(tmp_path_factory.mktemp("t"))
    wanted = np.arange(17) / rate
    have = np.arange(13) / label_rate + late / 50
    data.rows("f/a.csv", "x,t", [f"1,{time!r}" for time in wanted.tolist()])
    data.rows("l/a.csv", "t,v", [f"{t!r},{i / 100}" for i, t in enumerate(have.tolist())])
    away = np.abs(wanted[:, None] - have)
    reach = 0.5 / label_rate + 1e-6
    within = np.mean((have >= wanted[0] - reach) & (have <= wanted[-1] + reach))
    if away.min() > reach or within < 0.5:
        with pytest.raises(FormatError, match="lie within the time of its features"):
            data.load("f", "l", "valence=v time=t features=x")
        return
    got = data.load("f", "l", "valence=v time=t features=x").clips[0].labels["va"][:, 0]
    for row, value in enumerate(got):
        if np.isnan(value):
            assert away[row].min() > 0.5 / label_rate - 1e-6
        else:
            assert away[row, round(float(value) * 100)] <= away[row].min() + 1e-9
            assert away[row].min() < 0.5 / label_rate + 2e-6


def test_labels_in_milliseconds_are_refused(data) -> None:
    data.rows("f/a.csv", "x,t", [f"1,{i / 20}" for i in range(60)])
    data.rows("l/a.csv", "t,v", [f"{i * 125},0.5" for i in range(24)])
    with pytest.raises(FormatError, match=r"of 24 labels .* 1 lie within .*both count seconds"):
        data.load("f", "l", "valence=v time=t features=x")


@pytest.mark.parametrize("side", ["f", "l"])
def test_a_time_that_one_side_does_not_have(data, side: str) -> None:
    columns = {"f": "x,t", "l": "t,v"} | {side: {"f": "x,s", "l": "s,v"}[side]}
    data.rows("f/a.csv", columns["f"], [f"1,{i / 20}" for i in range(60)])
    data.rows("l/a.csv", columns["l"], [f"{i / 8},0.5" for i in range(24)])
    with pytest.raises(UnknownNameError, match=r"no column of .* is called 't'"):
        data.load("f", "l", "valence=v time=t features=x")


def test_another_rate_without_times_is_refused(data) -> None:
    data.rows("f/a.csv", "x", ["1"] * 60)
    data.rows("l/a.csv", "v", ["0.5"] * 24)
    with pytest.raises(FormatError, match=r"24 labels for 60 rows .*time=COLUMN"):
        data.load("f", "l", "valence=v")


@pytest.mark.parametrize(("rows", "line"), [(["0,1", ",1", "1,1"], 3), (["1,1", "0,1", "2,1"], 3)])
def test_times_that_go_back_or_are_missing(data, rows, line: int) -> None:
    data.rows("f/a.csv", "x,t", ["1,0", "1,1"])
    data.rows("l/a.csv", "t,v", rows)
    with pytest.raises(FormatError, match=f"line {line}: the time"):
        data.load("f", "l", "valence=v time=t")


def test_all_columns_of_numbers_are_features_and_no_label_is(data) -> None:
    data.rows("f/a.csv", "frame,x,v,word,y,who", ["1,2,.5,hi,3,7", "2,2,.5,ho,3,7"])
    found = data.load("f", "f", "valence=v group=who")
    assert found.about["inputs"] == ["x", "y"]
    assert found.clips[0].group == "7"


def test_a_clip_without_a_feature_column(data) -> None:
    data.rows("f/a.csv", "x,y,v", ["1,1,0"])
    data.rows("f/b.csv", "x,v", ["1,0"])
    with pytest.raises(UnknownNameError, match=r"b\.csv' is called 'y'"):
        data.load("f", "f", "valence=v")


def test_what_has_no_partner_is_told(data) -> None:
    for name in "abcdefg":
        data.rows(f"f/{name}.csv", "x", ["1"])
    for name in ("a", "z"):
        data.rows(f"l/{name}.csv", "v", ["0"])
    found = data.load("f", "l", "valence=v")
    assert list(by_name(found)) == ["a"]
    assert found.notes == (
        "6 clips without labels left out: b, c, d, e, ...",
        "1 clip without features left out: z",
    )


def test_nothing_matches(data) -> None:
    for name in ("p1", "p2", "p3"):
        data.rows(f"f/{name}.csv", "x", ["1"])
    data.rows("l/q1.csv", "v", ["0"])
    with pytest.raises(UsageError, match="'p1' and 'p2', labels 'q1'"):
        data.load("f", "l", "valence=v")


def test_a_name_with_a_dot_is_not_cut(data) -> None:
    data.rows("f/talk.v2.csv", "x", ["1"])
    for text in ("talk.v2", "in/talk.v2.mp4", "talk.v2.csv"):
        data.rows("m.csv", "clip,v", [f"{text},.5"])
        assert by_name(data.load("f", "m.csv", "clip=clip valence=v")).keys() == {"talk.v2"}


def test_names_in_tables_lead_nowhere(data) -> None:
    """A path in a table is only compared with the names of files found."""
    data.rows("f/a.csv", "x", ["1"])
    data.rows("secret.csv", "x", ["1"])
    data.rows("m.csv", "clip,v", ["../secret.csv,.5", "a,.1", "/etc/passwd,0"])
    found = data.load("f", "m.csv", "clip=clip valence=v")
    assert list(by_name(found)) == ["a"]


def test_group_in_the_labels_must_not_change_within_a_clip(data) -> None:
    data.rows("f/a.csv", "x,v,who", ["1,0,anna", "1,0,ben"])
    with pytest.raises(FormatError, match="line 3: 'ben' in column 'who' after 'anna'"):
        data.load("f", "f", "valence=v group=who")


def test_stimulus_from_the_clips(data: Data) -> None:
    """It is no feature, and every clip must name its own."""
    for name in ("a", "b"):
        data.rows(f"f/{name}.csv", "x,v,story", ["1,0,1", "2,0,1"])
    data.rows("m.csv", "clip,who,story", ["a,anna,1", "b,ben,2"])
    pairs = "clip=clip valence=v group=who stimulus=story"
    found = by_name(data.load("f", "f", pairs, "m.csv"))
    assert {name: clip.stimulus for name, clip in found.items()} == {"a": "1", "b": "2"}
    assert found["a"].features.specs["table"].shape == (1,)
    assert "stimulus=story" in data.load("f", "f", pairs, "m.csv").about["columns"]
    data.rows("m.csv", "clip,who,story", ["a,anna,1", "b,ben,"])
    with pytest.raises(FormatError, match=r"m\.csv' line 3: column 'story' names no stimulus"):
        data.load("f", "f", pairs, "m.csv")


def test_group_from_the_clips_and_fold_from_the_labels(data) -> None:
    data.rows("f/a.csv", "x", ["1"])
    data.rows("l.csv", "clip,v,fold", ["a,0,3"])
    data.rows("m.csv", "clip,who", ["a,anna"])
    (clip,) = data.load("f", "l.csv", "clip=clip valence=v group=who fold=fold", "m.csv").clips
    assert (clip.group, clip.fold) == ("anna", 3)


@pytest.mark.parametrize(
    ("table", "pairs", "kind", "says"),
    [
        ("v\n0\n", "valence=v", UsageError, "clip=v"),
        ("c,v\na,0\n", "group=c", UsageError, "no column is said to hold labels"),
        ("c,v\na,0\nx/a.mp4,1\n", "clip=c valence=v", FormatError, "line 3.*line 2"),
        ("c,v\n,0\n", "clip=c valence=v", FormatError, "line 2: no clip"),
        ("c,v\na,0\n", "clip=d valence=v", UnknownNameError, "'d'"),
        ("c,v\na,0\n", "clip=c valence=w", UnknownNameError, "'w'"),
        ("c,v\na,0\n", "clip=c valence=v group=g", UnknownNameError, "'g'"),
        ("c,v\na,9\n", "clip=c valence=v", FormatError, r"l\.csv' line 2"),
        ("c,v,s\na,0,new\n", "clip=c valence=v split=s", FormatError, "line 2: 'new'"),
        ("c,v,k\na,0,-1\n", "clip=c valence=v fold=k", FormatError, "line 2: .*'-1'"),
        ("c,e\na,\n", "clip=c expression=e", FormatError, "has an expression"),
    ],
)
def test_tables_of_clips_that_do_not_fit(data, table: str, pairs: str, kind, says: str) -> None:
    data.rows("f/a.csv", "x", ["1"])
    data.put("l.csv", table)
    with pytest.raises(kind, match=says):
        data.load("f", "l.csv", pairs)


def test_a_clip_that_the_table_of_clips_lacks(data) -> None:
    data.rows("f/a.csv", "x,v", ["1,0"])
    data.rows("m.csv", "c,g", ["b,1"])
    with pytest.raises(FormatError, match=r"m\.csv' has no row for the clip 'a'"):
        data.load("f", "f", "clip=c valence=v group=g", "m.csv")


def test_two_files_of_one_name(data) -> None:
    for name in ("f/a.csv", "f/in/a.csv"):
        data.rows(name, "x,v", ["1,0"])
    with pytest.raises(UsageError, match="two files are called 'a'"):
        data.load("f", "f", "valence=v")


def test_folders_that_are_not_there_or_empty(data) -> None:
    data.rows("l/a.csv", "v", ["1"])
    with pytest.raises(InputNotFoundError, match="no folder"):
        data.load("f", "l", "valence=v")
    data.rows("g/a.csv", "x", ["1"])
    with pytest.raises(InputNotFoundError, match=r"m\.csv"):
        data.load("g", "m.csv", "valence=v")
    data.put("f/readme.md", "nothing")
    data.put("f/.hidden/a.csv", "x\n1\n")
    with pytest.raises(InputNotFoundError, match="no features"):
        data.load("f", "l", "valence=v")


def test_tables_beside_preprocessed_folders_are_left_out(data) -> None:
    data.store("f", "a", np.zeros((2, 1), np.float32))
    data.rows("f/b.csv", "x", ["1"])
    data.rows("l/a.csv", "v", ["0", "1"])
    found = data.load("f", "l", "valence=v")
    assert list(by_name(found)) == ["a"]
    assert "b.csv" in found.notes[0]
