"""What readers of public sets share: files that a text names, lines, and the log of faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.public_sets import empty, text

from avaffect.datasets.sets.sample import Log, below, file_in, files_under, text_lines
from avaffect.errors import FormatError, InputNotFoundError


@pytest.mark.parametrize("name", ["", "..", "../a.txt", "/etc/passwd", "b" * 5000, "a\0b", "sub"])
def test_names_of_no_file(name: str, tmp_path: Path) -> None:
    text(tmp_path / "a.txt", "x")
    (tmp_path / "in" / "sub").mkdir(parents=True)
    assert file_in(tmp_path / "in", name) is None


def test_names_of_files(tmp_path: Path) -> None:
    path = text(tmp_path / "sub" / "a..b.txt", "x")
    assert file_in(tmp_path, "sub/a..b.txt") == path


def test_lines_have_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffeins\r\n\r\nzwölf \n".encode())
    assert list(text_lines(path)) == [(1, "eins"), (3, "zwölf")]
    path.write_bytes(b"\xff")
    with pytest.raises(FormatError, match="not UTF-8"):
        list(text_lines(path))
    path.write_bytes(b"a" * 70_000)
    with pytest.raises(FormatError, match="longer than"):
        list(text_lines(path))
    with pytest.raises(InputNotFoundError):
        list(text_lines(tmp_path / "b.txt"))


def test_hidden_files_are_left_out(tmp_path: Path) -> None:
    for name in ("b/2.wav", "a/1.WAV", ".git/3.wav", "a/._1.wav", "a/1.txt"):
        empty(tmp_path / name)
    found = [path.relative_to(tmp_path).as_posix() for path in files_under(tmp_path, {".wav"})]
    assert found == ["a/1.WAV", "b/2.wav"]


def test_the_first_fault_or_all(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="a fault"):
        Log().wrong("a fault")
    log = Log(strict=False)
    for number in range(1000):
        log.wrong(f"fault {number}")
    assert len(log.faults) == 1000
    with pytest.raises(FormatError, match="one too many"):
        log.wrong("one too many")
    (tmp_path / "basic").mkdir()
    assert below(tmp_path, "basic") == tmp_path / "basic"
    assert below(tmp_path, "other") == tmp_path
