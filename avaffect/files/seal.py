"""The seal of a file: its SHA-256 in a small file beside it, as ``sha256sum`` writes it.

It tells damage, and a file that was exchanged; not one that was exchanged with its seal.
"""

from __future__ import annotations

import re
from pathlib import Path

from avaffect.errors import UsageError
from avaffect.files.atomic import write_text
from avaffect.files.outside import read_bytes

SUFFIX = ".sha256"
# 64 digits and a name.
_LONGEST = 400


def seal_of(file: Path) -> Path:
    """Where the seal of ``file`` lies."""
    return file.with_name(f"{file.name}{SUFFIX}")


def read_seal(file: Path) -> str | None:
    """The SHA-256 that the seal of ``file`` gives; None if there is none that can be read.

    Bounds: `_LONGEST` bytes.
    """
    try:
        text = read_bytes(seal_of(file), _LONGEST)
    except (OSError, UsageError):
        return None
    found = re.fullmatch(rb"([0-9a-f]{64})(?:[ ][ *][^\r\n]*)?\s*", text)
    return found[1].decode() if found else None


def write_seal(file: Path, digest: str) -> None:
    """Write the seal of ``file``, whose SHA-256 is ``digest``.

    Raises:
        OutputError: it cannot be written.
    """
    write_text(seal_of(file), f"{digest}  {file.name}\n")
