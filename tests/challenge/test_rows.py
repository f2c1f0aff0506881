"""Every fault that a submitted file can have is found, with file and line."""

from __future__ import annotations

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.challenge.rows import (
    KEPT_PER_KIND,
    BadValuesError,
    Fault,
    Faults,
    RowReader,
    value_check,
)
from avaffect.labels import ACTION_UNITS, EXPRESSIONS

VA = "image_location,valence,arousal"
AU = ",".join("010110010001")
LONG = "9" * 3000


@pytest.mark.parametrize(
    ("task", "edition", "text", "marked"),
    [
        ("va", "abaw6", "0.5,-1", False),
        ("va", "abaw6", "1e-3,-.5", False),
        ("va", "abaw6", "-5,-5", True),
        ("va", "abaw6", "-5.0,0.25", True),
        ("expr", "abaw6", "7", False),
        ("expr", "abaw6", "-1", True),
        ("au", "abaw6", AU, False),
        ("au", "abaw1", "0,1,0,0,0,0,0,1", False),
        ("au", "abaw6", ",".join(["-1"] * 12), True),
        ("mtl", "abaw7", f"0.5,-0.5,3,{AU}", False),
        ("mtl", "abaw7", f"0.5,-0.5,-1,{AU}", True),
        ("mtl", "abaw7", f"-5,-5,3,{AU}", True),
    ],
)
def test_good_values(task: str, edition: str, text: str, marked: bool) -> None:
    check = value_check(task, edition)
    # What was seen before must be judged the same.
    assert [check(text), check(text)] == [marked, marked]


@pytest.mark.parametrize(
    ("task", "edition", "text", "kind", "message"),
    [
        ("va", "abaw6", "", "columns", "no value behind the image"),
        ("va", "abaw6", ",", "columns", "no value behind the image"),
        ("va", "abaw6", "0.5", "columns", "1 values where 2 are wanted"),
        ("va", "abaw6", "0.5,0.5,0.5", "columns", "3 values"),
        ("va", "abaw6", "0.5,", "value", "missing between the commas"),
        ("va", "abaw6", "0.5,nan", "value", "'nan' is no number"),
        ("va", "abaw6", "inf,0.5", "value", "'inf' is no number"),
        ("va", "abaw6", "1_0,0.5", "value", "'1_0' is no number"),
        ("va", "abaw6", "0.5, 0.5", "blanks", "blanks beside the value 0.5"),
        ("va", "abaw6", "0.5,1.0001", "range", "1.0001 lies outside [-1, 1]"),
        ("va", "abaw6", "-5,3", "range", "3 lies outside"),
        ("va", "abaw6", "0.5,\udc80", "encoding", "not UTF-8"),
        ("va", "abaw6", f"{LONG},0", "range", "inf lies outside"),
        ("expr", "abaw6", "8", "range", "8 is no class from 0 to 7"),
        ("expr", "abaw2", "7", "range", "7 is no class from 0 to 6"),
        ("expr", "abaw6", "3.0", "value", "'3.0' is not written as a whole number"),
        ("expr", "abaw6", "2.5", "range", "2.5 is no class"),
        ("expr", "abaw6", "Fear", "value", "'Fear' is no number"),
        ("expr", "abaw6", "0,0,0,1,0,0,0,0", "columns", "the header names every class"),
        ("expr", "abaw6", "3,,,,,,,", "columns", "the header names every class"),
        ("au", "abaw6", AU[:-1] + "2", "range", "2 is neither 0 nor 1"),
        ("au", "abaw6", AU[:-1] + "0.7", "range", "0.7 is neither 0 nor 1"),
        ("au", "abaw1", AU, "columns", "12 values where 8 are wanted"),
        ("mtl", "abaw7", "0.5,0.5,3", "columns", "3 values where 15 are wanted"),
        ("mtl", "abaw7", f"0.5,0.5,8,{AU}", "range", "8 is no class"),
        ("mtl", "abaw7", f"0.5,2,3,{AU}", "range", "2 lies outside"),
    ],
)
def test_bad_values(task: str, edition: str, text: str, kind: str, message: str) -> None:
    check = value_check(task, edition)
    for _ in range(2):
        with pytest.raises(BadValuesError) as caught:
            check(text)
        assert caught.value.kind == kind
        assert message in str(caught.value)


@given(st.text(max_size=30), st.sampled_from(["va", "expr", "au", "mtl"]))
def test_no_text_breaks_the_check(text: str, task: str) -> None:
    try:
        value_check(task, "abaw3")(text)
    except BadValuesError as error:
        assert Fault("f", 1, error.kind, str(error)).advice


def listed(content: bytes, *, strict: bool = True, task: str = "va"):
    faults = Faults()
    reader = RowReader(task, "abaw6", faults, strict=strict)
    reader.read_list(BytesIO(content), "p.txt")
    return reader.rows(), [(fault.line, fault.kind) for fault in faults.kept], faults


def test_a_right_list_is_read() -> None:
    rows, found, _ = listed(f"{VA}\na/00001.jpg,0.50,-5\nb/00007.jpg,1,1".encode())
    assert not found
    assert rows.subjects == ("a", "b")
    assert rows.lines.tolist() == [2, 3]
    assert rows.missing.tolist() == [True, False]
    assert list(rows.texts(rows.keys * 0 + 1)) == ["1,1", "1,1"]
    assert list(rows.take(~rows.missing).texts(rows.keys[:1] * 0)) == ["1,1"]
    assert rows.file(0) == "p.txt"


ROW = b"a/00001.jpg,0.5,0.5\n"
HEAD = VA.encode() + b"\n"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", [(0, "empty")]),
        (HEAD, [(0, "empty")]),
        (ROW, [(1, "header")]),
        (b"image,valence\n" + ROW, [(1, "header")]),
        (b"\xef\xbb\xbf" + HEAD + ROW, [(1, "encoding")]),
        ((VA + "\na/00001.jpg,0.5,0.5\n").encode("utf-16"), [(1, "encoding")]),
        (HEAD + ROW.replace(b"\n", b"\r\n"), [(2, "line ends")]),
        (HEAD + b"\n" + ROW, [(2, "row")]),
        (HEAD + ROW + b"\n", [(3, "row")]),
        (HEAD + ROW.replace(b",", b", "), [(2, "blanks")]),
        (HEAD + b"a/1.jpg,0,0\n" + ROW, [(2, "row")]),
        (HEAD + b"a/00001.png,0,0\n" + ROW, [(2, "row")]),
        (HEAD + b"../00001.jpg,0,0\n" + ROW, [(2, "row")]),
        (HEAD + b"\xff/00001.jpg,0,0\n" + ROW, [(2, "row")]),
        (HEAD + ROW + b"a/00002.jpg\n", [(3, "columns")]),
        (HEAD + ROW + b"x" * 600_000, [(3, "row")]),
    ],
)
def test_faults_of_a_file_have_their_line(content: bytes, found: list[tuple[int, str]]) -> None:
    assert listed(content)[1] == found


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + HEAD + ROW,
        b"image,v,a\r\n" + ROW.replace(b"\n", b"\r\n") + b"\r\n\r\n",
        HEAD + b" a/00001.jpg , 0.5,\t0.5 \n",
    ],
)
def test_predictions_may_be_written_freely(content: bytes) -> None:
    rows, found, _ = listed(content, strict=False)
    assert not found
    assert list(rows.texts(rows.keys * 0)) == ["0.5,0.5"]
    assert rows.subjects == ("a",)


def test_tracks_are_numbered_by_their_rows() -> None:
    faults = Faults()
    reader = RowReader("expr", "abaw2", faults, strict=True, subjects=("z", "a"))
    header = ",".join(EXPRESSIONS[:7]).encode()
    reader.read_track(BytesIO(header + b"\n3\n-1\n"), "a.txt", "a")
    reader.read_track(BytesIO(b"3\n9\n"), "z.txt", "z")
    reader.read_track(BytesIO(header), "bad.txt", "..")
    rows = reader.rows()
    assert [divmod(key, 1 << 32) for key in rows.keys.tolist()] == [(1, 1), (1, 2), (0, 1), (0, 2)]
    assert rows.lines.tolist() == [2, 3, 1, 2]
    assert [(fault.file, fault.line, fault.kind) for fault in faults.kept] == [
        ("z.txt", 1, "header"),
        ("z.txt", 2, "range"),
        ("bad.txt", 0, "file name"),
    ]


def test_a_wrong_header_says_what_is_wanted() -> None:
    content = f"image_location,expression\na/00001.jpg,{len(ACTION_UNITS) % 8}\n".encode()
    _, _, faults = listed(content, task="expr")
    (fault,) = faults.kept
    assert "abaw6 wants 'image_location,Neutral,Anger" in fault.text
    assert "though a row has one value" in fault.text


def test_faults_are_all_counted_and_some_kept() -> None:
    faults = Faults()
    for line in range(1000):
        faults.add("range", "f", line, "too much")
    faults.add("order", "f", 1, "wrong")
    assert faults.counts == {"range": 1000, "order": 1}
    assert len(faults.kept) == KEPT_PER_KIND + 1
    with pytest.raises(ValueError, match="no fault is called"):
        Fault("f", 1, "nonsense", "")
