import hashlib
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from avaffect.files.hashing import known_sha256


def test_a_file_is_read_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[BinaryIO] = []

    def counted(file: BinaryIO, kind: str) -> object:
        read.append(file)
        return digest(file, kind)

    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", counted)
    path = tmp_path / "a"
    for content in (b"first", b"longer than that"):
        path.write_bytes(content)
        assert known_sha256(path) == known_sha256(path) == hashlib.sha256(content).hexdigest()
    assert len(read) == 2
    # Of the same length, at another time.
    path.write_bytes(b"as long as befor")
    os.utime(path, ns=(1, 1))
    assert known_sha256(path) == hashlib.sha256(b"as long as befor").hexdigest()
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
