from pathlib import Path

import numpy as np
import pytest
from fixtures.single import write_single
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from avaffect.challenge.editions import EDITIONS
from avaffect.challenge.text import (
    labels_of,
    open_single,
    read_annotations,
    single_path,
    subject_file_name,
    write_annotations,
    write_challenge,
)
from avaffect.errors import AvaffectError, InputNotFoundError, UnknownNameError, UsageError
from avaffect.predictions.prediction import Prediction

AU_ROW = [0.9, 0.1, 0.5, 0.49, 0, 0, 1, 0, 0, 0, 0.7, 0]


def three_frames(subject: str = "clip") -> Prediction:
    """One frame, one without a face, one again: Other before Happiness."""
    nan = np.nan
    return Prediction(
        subject,
        "test",
        np.array([0, 0.04, 0.08]),
        np.array([True, False, True]),
        np.array([0.9, nan, 0.8]),
        va=np.array([[0.60249, -0.00001], [nan, nan], [1, -1]]),
        expr=np.array([[0, 0, 0, 0, 0.4, 0, 0, 0.6], [nan] * 8, [0.9, 0.1, 0, 0, 0, 0, 0, 0]]),
        au=np.array([AU_ROW, [nan] * 12, [0] * 12]),
    )


def test_files_hold_header_and_a_row_a_frame(tmp_path: Path) -> None:
    va = write_challenge(three_frames(), "va", tmp_path)
    assert va == tmp_path / "VA_Estimation_Challenge" / "clip.txt"
    assert va.read_text() == "valence,arousal\n0.6025,0.0000\n-5,-5\n1.0000,-1.0000\n"
    expr = write_challenge(three_frames(), "expr", tmp_path, "abaw3")
    assert expr.read_text().split("\n")[1:] == ["7", "-1", "0", ""]
    au = write_challenge(three_frames(), "au", tmp_path, "abaw6")
    assert au.read_text().split("\n")[1:] == [
        "1,0,1,0,0,0,1,0,0,0,1,0",
        ",".join(["-1"] * 12),
        ",".join(["0"] * 12),
        "",
    ]


def test_seven_classes_take_the_runner_up_for_other(tmp_path: Path) -> None:
    path = write_challenge(three_frames(), "expr", tmp_path, "abaw2")
    assert path == tmp_path / "EXPR_Set" / "clip.txt"
    assert path.read_text().split("\n")[1:] == ["4", "-1", "0", ""]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="AU20"):
        write_challenge(three_frames(), "au", tmp_path, "abaw1")
    blind = Prediction("a", "m", np.zeros(1), np.zeros(1), np.zeros(1), va=np.zeros((1, 2)))
    with pytest.raises(UsageError, match="does not predict 'expr'"):
        write_challenge(blind, "expr", tmp_path)
    with pytest.raises(UnknownNameError):
        write_challenge(blind, "mtl", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_single_file_lists_images(tmp_path: Path) -> None:
    path = single_path(tmp_path, "expr", "abaw5")
    write_single([three_frames("b_left"), three_frames("a")], "expr", path, "abaw5")
    assert path == tmp_path / "EXPR_Classification_Challenge" / "predictions.txt"
    assert path.read_text().split("\n") == [
        "image_location,Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other",
        "b_left/00001.jpg,7",
        "b_left/00002.jpg,-1",
        "b_left/00003.jpg,0",
        "a/00001.jpg,7",
        "a/00002.jpg,-1",
        "a/00003.jpg,0",
        "",
    ]


def test_multi_task_file_holds_all_tasks(tmp_path: Path) -> None:
    path = single_path(tmp_path, "mtl", "abaw7")
    write_single([three_frames()], "mtl", path, "abaw7")
    assert path == tmp_path / "MTL_Challenge" / "MTL_predictions.txt"
    header, first, second, *_ = path.read_text().split("\n")
    assert header == "image,valence,arousal,expression,aus"
    assert first == "clip/00001.jpg,0.6025,0.0000,7,1,0,1,0,0,0,1,0,0,0,1,0"
    assert second == "clip/00002.jpg,-5,-5,-1" + ",-1" * 12


def test_single_file_of_many_frames_numbers_on(tmp_path: Path) -> None:
    n = 100_001
    va = np.linspace(-1, 1, 2 * n).reshape(n, 2)
    long = Prediction("v", "m", np.arange(n) / 30, np.ones(n), np.ones(n), va=va)
    write_single([long], "va", tmp_path / "p.txt", "abaw8")
    lines = (tmp_path / "p.txt").read_text().split("\n")
    assert len(lines) == n + 2
    assert lines[8193].startswith("v/08193.jpg,")
    assert lines[n] == "v/100001.jpg,1.0000,1.0000"


def test_single_file_refuses_doubles_and_commas_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    with pytest.raises(UsageError, match="two subjects"):
        write_single([three_frames(), three_frames()], "va", path)
    for name in ("a,b", "a\udcff"):
        with pytest.raises(UsageError, match="rename the video"):
            write_single([three_frames(name)], "va", path)
    with (
        pytest.raises(UsageError, match="no files of format 'single'"),
        open_single(path, "va", "abaw3"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/b",
        "/etc/passwd",
        "..\\x",
        "a\0b",
        "a\nb",
        "ä" * 121,
        "\ud800",
        "con",
        "NUL.tar",
        "lpt1",
        "c:x",
    ],
)
def test_hostile_subject_names_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="rename the video"):
        write_challenge(three_frames(name), "va", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["-rf", 'it\'s "mine", ü 映像', "a.b", "..a", "~", "\udcff"])
def test_odd_subject_names_are_files_in_the_folder(tmp_path: Path, name: str) -> None:
    path = write_challenge(three_frames(name), "va", tmp_path)
    assert path.parent == tmp_path / "VA_Estimation_Challenge"
    assert path.name == subject_file_name(name) == name + ".txt"
    assert len(read_annotations(path, "va")) == 3


class TestRoundTrip:
    """What is written is what is read, to the decimals kept."""

    @settings(max_examples=40)
    @given(st.data(), st.sampled_from([n for n, e in EDITIONS.items() if "files" in e.formats]))
    def test_any_labels(
        self, tmp_path_factory: pytest.TempPathFactory, data, edition: str
    ) -> None:
        path = tmp_path_factory.mktemp("round") / "x.txt"
        rows = data.draw(st.integers(0, 30))
        whole = EDITIONS[edition]
        va = data.draw(
            hnp.arrays(float, (rows, 2), elements=st.one_of(st.floats(-1, 1), st.just(-5.0)))
        )
        write_annotations(path, va, "va", edition)
        back = read_annotations(path, "va", edition)
        assert back.shape == va.shape
        assert np.abs(back - va).max(initial=0) <= 0.5001e-4
        classes = len(whole.expressions)
        expr = data.draw(hnp.arrays(np.int64, rows, elements=st.integers(-1, classes - 1)))
        write_annotations(path, expr, "expr", edition)
        assert np.array_equal(read_annotations(path, "expr", edition), expr)
        au = data.draw(
            hnp.arrays(np.int64, (rows, whole.columns("au")), elements=st.integers(-1, 1))
        )
        write_annotations(path, au, "au", edition)
        back = read_annotations(path, "au", edition)
        assert back.shape == au.shape
        assert np.array_equal(back, au)

    @pytest.mark.parametrize("task", ["va", "expr", "au"])
    def test_prediction(self, tmp_path: Path, task: str) -> None:
        path = write_challenge(three_frames(), task, tmp_path)
        wanted = labels_of(three_frames(), task)
        assert np.abs(read_annotations(path, task) - wanted).max() < 1e-4


@pytest.mark.parametrize(
    "text", ["h\n0.5,0.25\n", "h\r\n0.5,0.25\r\n", "h\n 0.5, 0.25", "\ufeffh\n0.5,0.25"]
)
def test_line_ends_and_blanks_do_not_matter(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.txt"
    path.write_bytes(text.encode())
    assert read_annotations(path, "va").tolist() == [[0.5, 0.25]]


@pytest.mark.parametrize(
    ("task", "text", "line", "message"),
    [
        ("va", "0.1,0.2\n", 1, "numbers where the header is expected"),
        ("va", "valence,arousal\n0.1,0.2\n0.1\n", 3, "1 values where 2"),
        ("va", "valence,arousal\n0.1,x\n", 2, "'x' is no number"),
        ("va", "valence,arousal\n0.1,nan\n", 2, "nan lies outside"),
        ("va", "valence,arousal\n0.1,-1.5\n", 2, "-1.5 lies outside"),
        ("va", "valence,arousal\n0.1,0.2\n\n0,0\n", 3, "the line is empty"),
        ("expr", "h\n0\n8\n", 3, "8 is no class from 0 to 7"),
        ("expr", "h\n0.5\n", 2, "'0.5' is no whole number"),
        ("expr", "h\n-5\n", 2, "-5 is no class"),
        ("au", "h\n" + ",".join("0" * 11) + "\n", 2, "11 values where 12"),
        ("au", "h\n" + ",".join("0" * 11) + ",2\n", 2, "2 is none of"),
    ],
)
def test_bad_lines_are_named(
    tmp_path: Path, task: str, text: str, line: int, message: str
) -> None:
    path = tmp_path / "x.txt"
    path.write_text(text)
    with pytest.raises(AvaffectError) as caught:
        read_annotations(path, task)
    assert f"'{path}' line {line}: {message}" in caught.value.problem


def test_all_bad_lines_are_told_and_their_rows_are_invalid(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    path.write_text("0,0\n0.5,0.25\n0.1\n0.5,0.25\n0.1\n2,0\n")
    wrong: list[AvaffectError] = []
    labels = read_annotations(path, "va", on_error=wrong.append)
    assert labels.tolist() == [[0.5, 0.25], [-5, -5], [0.5, 0.25], [-5, -5], [-5, -5]]
    assert [error.problem.split(" line ")[1][:7] for error in wrong] == [
        "1: numb", "3: 1 va", "5: 1 va", "6: 2 li",
    ]  # fmt: skip
    path.write_text("h\n3\nx\n3\n")
    assert read_annotations(path, "expr", on_error=wrong.append).tolist() == [3, -1, 3]


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError):
        read_annotations(tmp_path / "none.txt", "va")
    with pytest.raises(AvaffectError, match="cannot be read"):
        read_annotations(tmp_path, "va")
    (tmp_path / "x.txt").write_bytes(b"h\n\xff\n")
    with pytest.raises(AvaffectError, match="line 2: not UTF-8"):
        read_annotations(tmp_path / "x.txt", "va")
