from pathlib import Path

import numpy as np
import pytest

from avaffect.challenge.editions import edition_named
from avaffect.challenge.header import column_order, in_order
from avaffect.challenge.mtl import read_mtl
from avaffect.challenge.single import read_single
from avaffect.challenge.text import read_annotations
from avaffect.errors import FormatError
from avaffect.labels import ACTION_UNITS, EXPRESSIONS

NEWEST = edition_named("abaw10")
CLASSES = ",".join(EXPRESSIONS)
UNITS = ",".join(ACTION_UNITS)
MTL = f"valence,arousal,expression,{UNITS}"


@pytest.mark.parametrize(
    ("header", "task"),
    [
        ("valence,arousal", "va"),
        (" Valence , AROUSAL", "va"),
        ("x,y", "va"),  # nobody knows these names: by position, as the challenge's readers do
        ("valence,y", "va"),
        (CLASSES, "expr"),
        (CLASSES.removesuffix(",Other"), "expr"),
        ("Neutral,Angry,Disgusted,Fearful,Happy,Sad,Surprised,other", "expr"),
        ("expression", "expr"),
        ("labels", "expr"),
        (UNITS, "au"),
        (UNITS.replace("AU", "au0"), "au"),
        ("AU01_c,AU02_c", "au"),
        (MTL, "mtl"),
        ("valence,arousal,expression,aus", "mtl"),
    ],
)
def test_by_position(header: str, task: str) -> None:
    assert column_order(header.split(","), task, NEWEST) is None


@pytest.mark.parametrize(
    ("header", "task", "order"),
    [
        ("arousal,valence", "va", [1, 0]),
        ("A,V", "va", [1, 0]),
        (",".join(reversed(ACTION_UNITS)), "au", list(range(11, -1, -1))),
        (f"expression,arousal,valence,{UNITS}", "mtl", [2, 1, 0, *range(3, 15)]),
        (f"{UNITS},valence,arousal,expression", "mtl", [12, 13, 14, *range(12)]),
    ],
)
def test_known_names_are_put_in_order(header: str, task: str, order: list[int]) -> None:
    assert column_order(header.split(","), task, NEWEST) == order


@pytest.mark.parametrize(
    ("header", "task", "message"),
    [
        ("arousal,x", "va", "'arousal' where 'valence' is wanted"),
        ("valence,valence", "va", "'valence' where 'arousal' is wanted"),
        ("valence,arousal,valence", "va", "no column is wanted"),
        # DISFA has twelve units too, and others.
        ("AU1,AU2,AU4,AU5,AU6,AU9,AU12,AU15,AU17,AU20,AU25,AU26", "au", "'AU5' where 'AU6'"),
        ("AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25", "au", "'AU12' where 'AU7'"),
        ("Anger,Neutral,Disgust", "expr", "'Anger' for class 0, which 'Neutral' is"),
        # AffectNet's order.
        ("Neutral,Happy,Sad,Surprise,Fear,Disgust,Anger,Contempt", "expr", "for class 1"),
        ("arousal,valence,expression,aus", "mtl", "'arousal' where 'valence' is wanted"),
    ],
)
def test_what_cannot_be_put_in_order_is_refused(header: str, task: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        column_order(header.split(","), task, NEWEST)


def test_a_row_in_another_order() -> None:
    assert in_order("0.1,0.2", [1, 0]) == "0.2,0.1"
    with pytest.raises(ValueError, match="3 values where the header has 2"):
        in_order("0,0,0", [1, 0])


def test_a_file_of_a_subject_is_put_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("arousal,valence\n0.1,0.9\n-5,-5\n0.1,0.9\n")
    wanted = [[0.9, 0.1], [-5, -5], [0.9, 0.1]]
    assert read_annotations(path, "va").tolist() == wanted
    path.write_text(",".join(reversed(ACTION_UNITS)) + "\n1" + ",0" * 11 + "\n")
    assert read_annotations(path, "au").tolist() == [[0] * 11 + [1]]
    path.write_text("Happiness,Neutral\n1\n")
    with pytest.raises(FormatError, match=r"a.txt' line 1: the header says 'Happiness'"):
        read_annotations(path, "expr")


def test_lists_of_images_are_put_in_order(tmp_path: Path) -> None:
    path = tmp_path / "predictions.txt"
    path.write_text("image_location,arousal,valence\nv/00001.jpg,0.1,0.9\nv/00002.jpg,\n")
    with pytest.raises(FormatError, match="line 3"):
        read_single(path, "va", "abaw10")
    path.write_text("image_location,arousal,valence\nv/00001.jpg,0.1,0.9\n")
    assert read_single(path, "va", "abaw10")["v"].labels.tolist() == [[0.9, 0.1]]
    path.write_text(f"image_location,{CLASSES[8:]}\nv/00001.jpg,1\n")
    with pytest.raises(FormatError, match="line 1: the header says 'Anger' for class 0"):
        read_single(path, "expr", "abaw10")
    path.write_text(
        f"image,arousal,valence,expression,{UNITS}\nv/00001.jpg,0.1,0.9,3,1{',0' * 11}\n"
    )
    (subject,) = read_mtl(path).values()
    assert (subject.va.tolist(), subject.expr.tolist(), subject.au[0, 0]) == ([[0.9, 0.1]], [3], 1)


@pytest.mark.parametrize("end", ["\n", "\n\n", "\r\n \r\n\t\n", "\n\n\n\n"])
def test_blank_lines_at_the_end_are_no_rows(tmp_path: Path, end: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(("valence,arousal\n0,0\n0,0" + end).encode())
    assert len(read_annotations(path, "va")) == 2
    path.write_bytes(("image_location,valence,arousal\nv/00001.jpg,0,0" + end).encode())
    assert len(read_single(path, "va", "abaw10")["v"].labels) == 1


def test_blank_lines_in_the_middle_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("valence,arousal\n0,0\n\n \n0,0\n\n")
    with pytest.raises(FormatError, match="line 3: the line is empty"):
        read_annotations(path, "va")
    found: list[FormatError] = []
    rows = read_annotations(path, "va", on_error=found.append)
    assert rows.tolist() == [[0, 0], [-5, -5], [-5, -5], [0, 0]]
    assert [str(fault).split("line ")[1][0] for fault in found] == ["3", "4"]
    path.write_text("image_location,valence,arousal\nv/00001.jpg,0,0\n\nv/00002.jpg,0,0\n")
    with pytest.raises(FormatError, match="line 3: the line is empty"):
        read_single(path, "va", "abaw10")
    assert np.array_equal(rows[1], rows[2])
