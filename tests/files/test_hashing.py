import hashlib
import os
from pathlib import Path

import pytest

from avaffect.files import hashing
from avaffect.files.hashing import file_sha256, known_sha256


def test_a_file_is_read_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return file_sha256(path)

    monkeypatch.setattr(hashing, "file_sha256", counted)
    path = tmp_path / "a"
    for content in (b"first", b"longer than that"):
        path.write_bytes(content)
        assert known_sha256(path) == known_sha256(path) == hashlib.sha256(content).hexdigest()
    assert len(read) == 2
    # Of the same length, at another time.
    path.write_bytes(b"as long as before"[:16])
    os.utime(path, ns=(1, 1))
    assert known_sha256(path) == file_sha256(path)
    # Of the same length and time, another file.
    other = tmp_path / "b"
    other.write_bytes(b"x" * 16)
    os.utime(other, ns=(1, 1))
    other.replace(path)
    assert known_sha256(path) == hashlib.sha256(b"x" * 16).hexdigest()
    assert len(read) == 4


def test_there_is_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        known_sha256(tmp_path / "a")
