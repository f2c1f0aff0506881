"""The multi-task file: strict, by position, and the same after a round trip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.single import write_single
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from avaffect.challenge.mtl import MtlSubject, read_mtl, write_mtl
from avaffect.errors import FormatError, InputNotFoundError, UsageError
from avaffect.predictions.prediction import Prediction

HEADER = "image,valence,arousal,expression,aus\n"
AU = ",".join("010000000001")


def subject(name: str, frames: list[int], seed: int = 0) -> MtlSubject:
    rng = np.random.default_rng(seed)
    n = len(frames)
    return MtlSubject(
        name,
        np.array(frames, np.int64),
        rng.uniform(-1, 1, (n, 2)),
        rng.integers(-1, 8, n),
        rng.integers(-1, 2, (n, 12)),
    )


def written(tmp_path: Path, *rows: str, header: str = HEADER) -> Path:
    path = tmp_path / "mtl.txt"
    path.write_text(header + "".join(row + "\n" for row in rows), encoding="utf-8")
    return path


@st.composite
def subjects(draw: st.DrawFn) -> list[MtlSubject]:
    names = draw(st.lists(st.sampled_from(["a", "a_left", "b c", "ü.映", "-rf"]), unique=True))
    made = []
    for name in names:
        frames = sorted(draw(st.sets(st.integers(1, 10**6), max_size=12)))
        n = len(frames)
        va = draw(hnp.arrays(float, (n, 2), elements=st.floats(-1, 1)))
        va[draw(hnp.arrays(bool, n))] = -5
        made.append(
            MtlSubject(
                name,
                np.array(frames, np.int64),
                va,
                draw(hnp.arrays(np.int64, n, elements=st.integers(-1, 7))),
                draw(hnp.arrays(np.int64, (n, 12), elements=st.integers(-1, 1))),
            )
        )
    return made


@settings(max_examples=60)
@given(subjects(), st.randoms(use_true_random=False))
def test_round_trip_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, made: list[MtlSubject], random
) -> None:
    path = tmp_path_factory.mktemp("mtl") / "deep" / "mtl.txt"
    write_mtl(path, made)
    header, *rows = path.read_text("utf-8").splitlines()
    random.shuffle(rows)
    path.write_text("\n".join([header, *rows, *rows[:3]]) + "\n", encoding="utf-8")
    back = read_mtl(path)
    assert set(back) == {each.subject for each in made if len(each.frames)}
    assert sum(each.repeated for each in back.values()) == min(3, len(rows))
    for each in made:
        if len(each.frames):
            read = back[each.subject]
            assert np.array_equal(read.frames, each.frames)
            assert np.array_equal(read.expr, each.expr)
            assert np.array_equal(read.au, each.au)
            assert np.array_equal(read.va == -5, each.va == -5)
            assert np.abs(read.va - each.va).max() <= 0.5001e-4


def test_what_predict_writes_is_read(tmp_path: Path) -> None:
    nan = np.nan
    made = Prediction(
        "clip",
        "m",
        np.array([0, 0.04]),
        np.array([True, False]),
        np.array([0.9, nan]),
        va=np.array([[0.6, -0.25], [nan, nan]]),
        expr=np.array([[0, 0, 0, 0, 0.4, 0, 0, 0.6], [nan] * 8]),
        au=np.array([[0.9] + [0.1] * 11, [nan] * 12]),
    )
    write_single([made], "mtl", tmp_path / "p.txt", "abaw7")
    back = read_mtl(tmp_path / "p.txt")["clip"]
    assert back.frames.tolist() == [1, 2]
    assert back.va.tolist() == [[0.6, -0.25], [-5, -5]]
    assert back.expr.tolist() == [7, -1]
    assert back.au.tolist() == [[1] + [0] * 11, [-1] * 12]


def test_any_header_and_line_ends_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(f"\ufeffwhat, ever\r\nv/00002.jpg, 0.5,-1,3,{AU}\r\n".encode())
    back = read_mtl(path)["v"]
    assert (back.frames[0], *back.va[0], back.expr[0]) == (2, 0.5, -1, 3)
    assert back.au[0].tolist() == [0, 1] + [0] * 9 + [1]


@pytest.mark.parametrize("va", ["-5,0.5", "0.5,-5", "-5,-5", "-5.0,0"])
def test_one_invalid_value_makes_both_invalid(tmp_path: Path, va: str) -> None:
    back = read_mtl(written(tmp_path, f"v/00001.jpg,{va},2,{AU}"))["v"]
    assert back.va.tolist() == [[-5, -5]]
    assert back.expr.tolist() == [2]


def test_equal_rows_count_once(tmp_path: Path) -> None:
    rows = [f"v/00001.jpg,0.5,{a},2,{AU}" for a in ("0.10", "0.1", "0.1000")]
    back = read_mtl(written(tmp_path, rows[0], f"w/00001.jpg,0,0,0,{AU}", *rows[1:]))["v"]
    assert back.repeated == 2
    assert back.frames.tolist() == [1]


def test_rows_that_contradict_each_other_are_an_error(tmp_path: Path) -> None:
    rows = [f"v/00001.jpg,0.5,0.1,{c},{AU}" for c in (2, 2, 3)]
    with pytest.raises(FormatError, match=r"mtl.txt' line 4: 'v' has this image twice"):
        read_mtl(written(tmp_path, *rows))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("v/00001.jpg,0,0,0", "4 values where 16"),
        (f"v/00001.jpg,0,0,0,{AU},0", "13 action units where 12"),
        (f"v/00001.jpg,0,0,0,{AU[:-2]}", "11 action units where 12"),
        (f"v/00001.jpg,0,0,0,{AU[:-1]}2", "2 is none of"),
        (f"v/00001.jpg,0,0,0,1.0{AU[1:]}", "'1.0' is no whole number"),
        (f"v/00001.jpg,0,0,8,{AU}", "8 is no class from 0 to 7"),
        (f"v/00001.jpg,0,0,-5,{AU}", "-5 is no class"),
        (f"v/00001.jpg,x,0,0,{AU}", "'x' is no number"),
        (f"v/00001.jpg,0,nan,0,{AU}", "nan lies outside"),
        (f"v/00001.jpg,0,-1.01,0,{AU}", "-1.01 lies outside"),
        (f"v/00000.jpg,0,0,0,{AU}", "no image such as"),
        (f"v/1.txt,0,0,0,{AU}", "no image such as"),
        (f"v/{'9' * 3000}.jpg,0,0,0,{AU}", "no image such as"),
        (f"00001.jpg,0,0,0,{AU}", "no image such as"),
        (f"../etc/00001.jpg,0,0,0,{AU}", "a subject cannot be called"),
        (f"../00001.jpg,0,0,0,{AU}", "a subject cannot be called"),
        (f"\nv/00006.jpg,0,0,0,{AU}", "the line is empty"),
        ("x", "no row of an image"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: str, message: str) -> None:
    path = written(tmp_path, f"v/00005.jpg,0,0,0,{AU}", row)
    with pytest.raises(FormatError) as caught:
        read_mtl(path)
    assert caught.value.problem.startswith(f"'{path}' line 3: ")
    assert message in caught.value.problem


def test_a_first_line_of_data_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, header=f"v/00001.jpg,0,0,0,{AU}\n")
    with pytest.raises(FormatError, match="line 1: a row of data where the header"):
        read_mtl(path)


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError):
        read_mtl(tmp_path / "none.txt")
    with pytest.raises(FormatError, match="cannot be read"):
        read_mtl(tmp_path)
    with pytest.raises(FormatError, match="is empty"):
        read_mtl(written(tmp_path, header=""))
    (tmp_path / "x.txt").write_bytes(b"h\n\xff/00001.jpg\n")
    with pytest.raises(FormatError, match="line 2: not UTF-8"):
        read_mtl(tmp_path / "x.txt")
    assert read_mtl(written(tmp_path)) == {}


def test_doubles_and_odd_names_are_not_written(tmp_path: Path) -> None:
    made = subject("a", [1, 2])
    with pytest.raises(UsageError, match="two subjects are called 'a'"):
        write_mtl(tmp_path / "x.txt", [made, made])
    for name in ("a,b", "../a", "a\nb", " a"):
        with pytest.raises(UsageError):
            write_mtl(tmp_path / "x.txt", [subject(name, [1])])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("frames", np.array([0, 1]), "do not rise"),
        ("frames", np.array([2, 2]), "do not rise"),
        ("frames", np.array([1.0, 2.0]), "float64"),
        ("va", np.zeros((2, 1)), r"\(2, 1\)"),
        ("va", np.array([[0, 0], [-5, 0.5]]), "in both"),
        ("va", np.array([[0, 0], [np.nan, 0.5]]), "in both"),
        ("expr", np.array([0, 8]), "leaves"),
        ("au", np.full((2, 12), 2), "not 0, 1 or -1"),
    ],
)
def test_subjects_are_checked(name: str, value: np.ndarray, message: str) -> None:
    good = vars(subject("a", [1, 2]))
    with pytest.raises(ValueError, match=message):
        MtlSubject(**{**good, name: value})
