"""What fuzzing once found, by reader: read again in every run of the tests.

The seeds are not here: each reader's `make` writes its valid file anew.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")


def folder_of(name: str) -> Path:
    """Where the files of the reader called ``name`` lie."""
    return CORPUS / name.replace("/", "_")


def kept(name: str) -> list[Path]:
    """The files that are kept for a reader, in their order."""
    folder = folder_of(name)
    return sorted(folder.iterdir()) if folder.is_dir() else []


def keep(name: str, data: bytes) -> Path:
    """Keep a file; its name is what it holds."""
    path = folder_of(name) / hashlib.sha256(data).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
