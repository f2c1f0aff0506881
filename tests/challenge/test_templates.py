"""The organisers' lists of images and names, as each edition hands them out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.challenge.templates import (
    ImageKeys,
    distinct,
    distinct_places,
    frame_of,
    frames_of,
    image_name,
    line_batches,
    place_of,
    places_of,
    read_template,
    submission_form,
    submission_header,
    track_keys,
)
from avaffect.errors import FormatError, InputNotFoundError, UnknownNameError, UsageError
from avaffect.labels import ACTION_UNITS, EXPRESSIONS

VA = "image_location,valence,arousal"
EXPR = f"image_location,{','.join(EXPRESSIONS)}"
AU = f"image_location,{','.join(ACTION_UNITS)}"
MTL = "image,valence,arousal,expression,aus"


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "template.txt"
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("edition", "task", "form", "header"),
    [
        ("abaw1", "au", "files", "AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25"),
        ("abaw2", "expr", "files", ",".join(EXPRESSIONS[:7])),
        ("abaw3", "va", "files", "valence,arousal"),
        ("abaw3", "mtl", "mtl", MTL),
        ("abaw4", "mtl", "mtl", MTL),
        ("abaw5", "va", "single", VA),
        ("abaw8", "expr", "single", EXPR),
        ("abaw9", "va", "single", VA),
        ("abaw10", "au", "single", AU),
        ("abaw11", "mtl", "mtl", MTL),
    ],
)
def test_each_edition_has_its_form(edition: str, task: str, form: str, header: str) -> None:
    assert submission_form(edition, task) == form
    assert submission_header(edition, task) == header


@pytest.mark.parametrize(("edition", "task"), [("abaw4", "va"), ("abaw6", "mtl")])
def test_an_edition_without_the_task_is_wrong_use(edition: str, task: str) -> None:
    with pytest.raises(UsageError, match=f"{edition} takes no submissions of task '{task}'"):
        submission_form(edition, task)
    with pytest.raises(UnknownNameError):
        submission_form(edition, "smile")


@pytest.mark.parametrize(
    ("edition", "task", "text", "header"),
    [
        ("abaw5", "va", f"{VA}\nb_left/00002.jpg,\na/00001.jpg,\n", VA),
        ("abaw6", "expr", f"{EXPR}\nb_left/00002.jpg,\na/00001.jpg,\n", EXPR),
        ("abaw6", "va", f"{VA}\nb_left/00002.jpg,0.5,-0.5\na/00001.jpg,0.5,-0.5", VA),
        ("abaw6", "expr", f"{EXPR}\r\nb_left/00002.jpg,0\r\na/00001.jpg,0\r\n", EXPR),
        ("abaw6", "au", f"\ufeff{AU}\nb_left/00002.jpg{',1' * 12}\na/00001.jpg{',0' * 12}\n", AU),
        ("abaw7", "mtl", "image\nb_left/00002.jpg\na/00001.jpg\n", MTL),
        ("abaw4", "mtl", f"{MTL}\nb_left/00002.jpg,0,0,1{',0' * 12}\na/00001.jpg,,,,\n", MTL),
        ("abaw8", "va", "b_left/00002.jpg,\na/00001.jpg,\n", VA),
        # The organisers' own header is the right one.
        ("abaw10", "va", "image,valence,arousal\nb_left/00002.jpg,\na/00001.jpg,\n",
         "image,valence,arousal"),
    ],
)  # fmt: skip
def test_lists_of_images(tmp_path: Path, edition: str, task: str, text: str, header: str) -> None:
    template = read_template(file(tmp_path, text), task, edition)
    assert template.subjects == ("b_left", "a")
    assert places_of(template.keys).tolist() == [0, 1]
    assert frames_of(template.keys).tolist() == [2, 1]
    assert template.header == header
    assert not template.counts


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("b_left\na\n", {}),
        ("b_left.mp4\r\n\r\na.txt\r\nb_left", {}),
        ("video,frames\nb_left,12\na,7\n", {"b_left": 12, "a": 7}),
        ("b_left 12\na\t7", {"b_left": 12, "a": 7}),
    ],
)
def test_lists_of_names(tmp_path: Path, text: str, counts: dict[str, int]) -> None:
    template = read_template(file(tmp_path, text), "expr", "abaw2")
    assert template.subjects == ("b_left", "a")
    assert template.counts == counts
    assert template.form == "files"
    assert not len(template.keys)


@pytest.mark.parametrize(
    ("edition", "task", "text", "message"),
    [
        ("abaw3", "va", f"{VA}\na/00001.jpg,\n", "takes one file a track"),
        ("abaw6", "va", "a\nb\n", "no list of images"),
        ("abaw6", "va", f"{EXPR}\na/00001.jpg,\n", "template of task 'expr', not 'va'"),
        ("abaw6", "expr", f"{AU}\na/00001.jpg,\n", "template of task 'au'"),
        ("abaw6", "expr", "image\na/00001.jpg,0.5,-0.5\n", "template of task 'va'"),
        ("abaw6", "au", f"{MTL}\na/00001.jpg,\n", "template of task 'mtl'"),
        ("abaw7", "mtl", f"{VA}\na/00001.jpg,0.5,-0.5\n", "template of task 'va'"),
        ("abaw6", "au", "image\na/00001.jpg,0,0,0\n", "template of task 'something else'"),
        ("abaw6", "va", f"{VA}\na/00001.jpg,0\n", "has 1 values a row, abaw6 has 2 for 'va'"),
    ],
)
def test_a_template_of_something_else_is_wrong_use(
    tmp_path: Path, edition: str, task: str, text: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        read_template(file(tmp_path, text), task, edition)


@pytest.mark.parametrize(
    ("edition", "text", "message"),
    [
        ("abaw6", "", "is empty"),
        ("abaw6", "\n\n", "is empty"),
        ("abaw6", f"{VA}\na/00001.jpg,\nnonsense\n", "line 3: 'nonsense' is no image"),
        ("abaw6", f"{VA}\na/00001.jpg,\na/2.jpg,\n", "line 3: 'a/2.jpg' is written 'a/00002.jpg'"),
        ("abaw6", f"{VA}\na/00001.jpg,\n../00001.jpg,\n", "line 3: a subject cannot be called"),
        ("abaw6", f"{VA}\na/00001.jpg,{'0' * 400_000}", "longer than"),
        ("abaw3", "valence,arousal\n0.1,0.2\n", "line 1"),
        ("abaw3", "a\n../../etc/passwd\n", "line 2"),
        ("abaw2", "a 5\na 6\n", "line 2: 'a' has 5 rows and 6 rows"),
    ],
)
def test_what_is_no_template(tmp_path: Path, edition: str, text: str, message: str) -> None:
    path = file(tmp_path, text)
    with pytest.raises(FormatError, match=message) as caught:
        read_template(path, "va", edition)
    assert str(path) in caught.value.problem


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError):
        read_template(tmp_path / "none.txt", "va", "abaw6")
    with pytest.raises(FormatError, match="cannot be read"):
        read_template(tmp_path, "va", "abaw6")


SUBJECTS = st.sampled_from(["a", "b_left", "14-30-1920x1080", "ü"])


@given(st.lists(st.tuples(SUBJECTS, st.integers(1, 120_000))))
def test_images_have_numbers(images: list[tuple[str, int]]) -> None:
    keys = ImageKeys(["known"])
    numbers = np.array([keys.key(image_name(*image)) for image in images], np.int64)
    subjects = list(keys.places)
    assert [(subjects[place_of(number)], frame_of(number)) for number in numbers] == images
    assert distinct(numbers).tolist() == sorted(set(numbers.tolist()))
    assert distinct_places(numbers).tolist() == sorted({keys.places[name] for name, _ in images})
    assert subjects[0] == "known"


def test_numbers_of_a_track() -> None:
    keys = ImageKeys(["a", "b"])
    assert track_keys(1, 3).tolist() == [keys.key(f"b/0000{frame}.jpg") for frame in (1, 2, 3)]
    with pytest.raises(ValueError, match="no image"):
        keys.key("b/00000.jpg")


@given(st.lists(st.text("ab\u00fc\r", max_size=6), max_size=8), st.integers(1, 9))
def test_lines_do_not_depend_on_blocks(lines: list[str], block: int) -> None:
    class Dribble:
        def __init__(self, data: bytes) -> None:
            self.data = data

        def read(self, size: int) -> bytes:
            part, self.data = self.data[:block], self.data[block:]
            return part

    text = "\n".join(lines)
    found = [line for batch in line_batches(Dribble(text.encode())) for line in batch]
    wanted = text.split("\n")
    # A file that ends with a line end has no further line.
    assert found == (wanted[:-1] if not wanted[-1] else wanted)
