"""Every fault that a submitted file can have is found, with file and line."""

from __future__ import annotations

from io import BytesIO

import pytest

from avaffect.challenge.faults import Faults
from avaffect.challenge.rows import RowReader
from avaffect.labels import ACTION_UNITS, EXPRESSIONS

VA = "image_location,valence,arousal"


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
