"""Zips as they are written, and as strangers send them."""

from __future__ import annotations

import stat
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from avaffect.challenge import zip as submission_zip
from avaffect.challenge.faults import Faults
from avaffect.challenge.zip import (
    match_names,
    open_member,
    opened_zip,
    plain_name,
    usable_members,
    write_zip,
)
from avaffect.errors import FormatError, InputNotFoundError


def members(path: Path, top: str = "") -> tuple[dict[str, str], Counter[str]]:
    faults = Faults()
    with opened_zip(path, faults) as archive:
        found = usable_members(archive, faults, top) if archive else {}
    return found, faults.counts


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    files = [("b.txt", ["head\n", "1\n"]), ("a.txt", ["ü\n"])]
    for name in ("1.zip", "2.zip"):
        write_zip(tmp_path / name, files)
    assert (tmp_path / "1.zip").read_bytes() == (tmp_path / "2.zip").read_bytes()
    found, counts = members(tmp_path / "1.zip")
    assert list(found) == ["b.txt", "a.txt"]
    assert not counts
    with opened_zip(tmp_path / "1.zip", Faults()) as archive:
        assert archive is not None
        with open_member(archive, "a.txt") as file:
            assert file.read().decode() == "ü\n"


@pytest.mark.parametrize(
    ("name", "kind", "usable"),
    [
        ("../a.txt", "zip path", False),
        ("/etc/a.txt", "zip path", False),
        ("x/../../a.txt", "zip path", False),
        ("..\\a.txt", "zip path", False),
        ("C:a.txt", "zip path", False),
        ("a\x1b[2J.txt", "zip path", False),
        ("__MACOSX/._a.txt", "zip junk", False),
        (".DS_Store", "zip junk", False),
        ("VA/Thumbs.db", "zip junk", False),
        ("sub/a.txt", "zip folder", True),
        ("sub/", "zip folder", False),
    ],
)
def test_what_does_not_belong_there(tmp_path: Path, name: str, kind: str, usable: bool) -> None:
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, "x")
    found, counts = members(path)
    assert counts == {kind: 1}
    assert bool(found) == usable


def test_links_and_doubles(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.txt")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("b.txt", "1")
        archive.writestr("x/b.txt", "1")
        archive.writestr("x/c.txt", "1")
    found, counts = members(tmp_path / "z.zip", top="x")
    assert found == {"b.txt": "b.txt", "c.txt": "x/c.txt"}
    assert counts == {"zip path": 1, "unexpected file": 1}


def test_bombs_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "z.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", b"0" * 5000)
        archive.writestr("b.txt", b"0" * 5000)
    assert len(members(path)[0]) == 2
    with monkeypatch.context() as patched:
        patched.setattr(submission_zip, "MAX_BYTES", 9_000)
        assert members(path) == ({}, {"zip size": 1})
    monkeypatch.setattr(submission_zip, "MAX_FILES", 1)
    assert members(path) == ({}, {"zip size": 1})


def test_what_is_no_zip(tmp_path: Path) -> None:
    (tmp_path / "z.zip").write_text("valence,arousal\n")
    assert members(tmp_path / "z.zip") == ({}, {"zip": 1})
    with pytest.raises(InputNotFoundError):
        members(tmp_path / "none.zip")
    with pytest.raises(FormatError):
        members(tmp_path)


def test_encrypted_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / "z.zip"
    write_zip(path, [("a.txt", ["1"])])
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert members(path) == ({}, {"zip": 1})


@pytest.mark.parametrize(
    ("given", "wanted", "found", "kinds"),
    [
        (["a.txt", "b.txt"], ["b.txt", "a.txt"], {"b.txt": "b.txt", "a.txt": "a.txt"}, {}),
        (["a.mp4.txt"], ["a.txt", "b.txt"], {"a.txt": "a.mp4.txt"}, {"file name": 1}),
        (["A.TXT", "b.csv"], ["a.txt", "b.txt"], {"a.txt": "A.TXT", "b.txt": "b.csv"},
         {"file name": 2}),
        (["a.txt", "a.txt.txt"], ["a.txt"], {"a.txt": "a.txt"}, {"unexpected file": 1}),
        (["mine.txt"], ["predictions.txt"], {"predictions.txt": "mine.txt"}, {"file name": 1}),
        (["x.txt", "y.txt"], ["predictions.txt"], {}, {"unexpected file": 2}),
        (["14-30-1920x1080.txt"], ["14-30-1920x1080.txt"],
         {"14-30-1920x1080.txt": "14-30-1920x1080.txt"}, {}),
    ],
)  # fmt: skip
def test_names_that_are_nearly_right(given, wanted, found, kinds) -> None:
    faults = Faults()
    assert match_names(given, wanted, faults) == found
    assert faults.counts == kinds


def test_plain_names() -> None:
    assert plain_name("Video1.mp4.TXT") == "Video1"
    assert plain_name("1.5x_left") == "1.5x_left"
