"""The temporary files of `files.atomic`: whose are in use, and what becomes of the others.

A process locks the temporary file that it writes. One that nobody locks was left by a process that
was killed. Where the system has no such locks, as on Windows, its age must do.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_OURS = re.compile(r"\..+\.[0-9]+-[0-9a-f]{8}\.tmp(\..*)?", re.DOTALL)
_OLD_S = 24 * 3600.0
_looked: set[Path] = set()


def hold(path: Path) -> int | None:
    """Make ``path``, and lock it for whoever writes it; None where there are no locks.

    Raises:
        OSError: it cannot be made.
    """
    while fcntl is not None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        # Another process may have taken it for abandoned before it was locked.
        if os.fstat(handle).st_nlink:
            return handle
        os.close(handle)
    return None


def release(held: int | None) -> None:
    """Undo :func:`hold`; the file stays."""
    if held is not None:
        os.close(held)


def remove_abandoned(folder: Path) -> None:
    """Remove temporary files that killed processes left in ``folder``; once a process."""
    folder = folder.absolute()
    if folder in _looked:
        return
    _looked.add(folder)
    with suppress(OSError):
        with os.scandir(folder) as entries:
            found = [Path(one.path) for one in entries if _OURS.fullmatch(one.name)]
        for path in found:
            with suppress(OSError):
                if not path.is_symlink() and path.is_file():
                    _remove_unused(path)


def _remove_unused(path: Path) -> None:
    if fcntl is None:
        if time.time() - path.stat().st_mtime > _OLD_S:
            path.unlink()
        return
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        # Raises where another process writes it, or nobody can tell.
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(handle)
