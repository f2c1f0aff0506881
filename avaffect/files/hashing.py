"""The hash of a file."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_known: dict[tuple[int, int, int, int], str] = {}


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content, 64 lower-case hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def known_sha256(path: Path) -> str:
    """As `file_sha256`, for files that are large and asked for several times.

    A file is not read again by this process as long as its size, time and inode stay.
    """
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if key not in _known:
            _known[key] = hashlib.file_digest(file, "sha256").hexdigest()
        return _known[key]
