"""Temporary files, those of `files.atomic`, and folders: what becomes of those not in use.

A process locks the temporary file that it writes, and the temporary folder that it works in. One
that nobody locks was left by a process that was killed. Where the system has no such locks, as on
Windows, its age must do.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
    """Remove temporary files and folders that killed processes left in ``folder``, which is
    avaffect's to write into; once a process."""
    folder = folder.absolute()
    if folder in _looked:
        return
    _looked.add(folder)
    with suppress(OSError):
        with os.scandir(folder) as entries:
            found = [Path(entry.path) for entry in entries if _OURS.fullmatch(entry.name)]
        for path in found:
            with suppress(OSError):
                if not path.is_symlink() and (path.is_file() or path.is_dir()):
                    _remove_unused(path)


@contextmanager
def temporary_folder(parent: Path, label: str) -> Iterator[Path]:
    """A folder for the length of a block, which nobody else can read.

    Those of the same label that killed processes left in ``parent`` go first.

    Args:
        parent: a folder that is there.
        label: what its name begins with, behind a dot.

    Raises:
        OSError: it cannot be made.
    """
    _remove_abandoned_folders(parent, label)
    path, held = _hold_folder(parent, label)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        release(held)


def _hold_folder(parent: Path, label: str) -> tuple[Path, int | None]:
    while True:
        path = parent / f".{label}.{os.getpid()}-{secrets.token_hex(4)}.tmp"
        path.mkdir(0o700)
        if fcntl is None:
            return path, None
        with suppress(FileNotFoundError):
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            # Another process may have taken it for abandoned before it was locked.
            if path.exists():
                return path, handle
            os.close(handle)


def _remove_abandoned_folders(parent: Path, label: str) -> None:
    with suppress(OSError):
        with os.scandir(parent) as entries:
            found = [
                Path(entry.path)
                for entry in entries
                if entry.name.startswith(f".{label}.")
                and _OURS.fullmatch(entry.name)
                and entry.is_dir(follow_symlinks=False)
            ]
        for path in found:
            with suppress(OSError):
                # In a folder that all share there are those of others.
                if not hasattr(os, "getuid") or path.lstat().st_uid == os.getuid():
                    _remove_unused(path)


def _remove_unused(path: Path) -> None:
    """Remove a file or folder, unless another process uses it: OSError then."""
    remove = shutil.rmtree if path.is_dir() else Path.unlink
    if fcntl is None:
        if time.time() - path.stat().st_mtime > _OLD_S:
            remove(path)
        return
    access = os.O_RDONLY if path.is_dir() else os.O_RDWR
    handle = os.open(path, access | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        # Raises where another process writes it, or that is unknown.
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(path)
    finally:
        os.close(handle)
