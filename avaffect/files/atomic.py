"""Files that are either whole or not there.

Everything is written to a hidden temporary name in the target's own folder and renamed onto the
target when it is complete, so that whoever looks, at whatever moment, sees the old file or the
new one. What was written is on the disk before it takes its name, so a power cut leaves one of
the two as well. A failure or Ctrl-C removes the temporary file and leaves the old one untouched;
that of a process that was killed goes when the next one writes into the folder.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from avaffect.errors import UsageError, output_error
from avaffect.files.temporaries import hold, release, remove_abandoned


@contextmanager
def atomic_path(path: Path | str, *, bulk: bool = False) -> Iterator[Path]:
    """A temporary path to write to, renamed onto ``path`` when the block ends well.

    Missing parent folders are made. The temporary name keeps the suffix, since some writers
    choose the format by it. The block may leave the file unwritten only by raising.

    Args:
        path: the file.
        bulk: one of very many that nothing names before a record does: not brought to the disk
            one by one, see :func:`sync_all`.

    Raises:
        OutputError: the file cannot be written or renamed; DiskFullError if there is no space.
    """
    path = Path(path)
    # The stem is cut so that a long but legal name does not become too long.
    stem = os.fsdecode(os.fsencode(path.name)[:120])
    name = f".{stem}.{os.getpid()}-{secrets.token_hex(4)}.tmp{path.suffix}"
    temporary = path.with_name(name)
    held = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            # A rename would replace a device such as /dev/null by a file.
            raise OSError(errno.EINVAL, "it is there and no file")
        if not bulk:
            remove_abandoned(path.parent)
            held = hold(temporary)
        yield temporary
        if not bulk:
            _sync_file(temporary)
        temporary.replace(path)
        if not bulk:
            sync_folder(path.parent)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        # After the rename there is nothing left under this name; if this fails as well, the
        # first error is the one to raise.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        release(held)


def write_bytes(path: Path | str, data: bytes, *, bulk: bool = False) -> None:
    """Write ``data`` to ``path``, whole or not at all; ``bulk``: see :func:`atomic_path`."""
    with atomic_path(path, bulk=bulk) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path | str, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8 with the line ends it has, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path | str, value: Any) -> None:
    """Write ``value`` to ``path`` as indented JSON, whole or not at all.

    Raises:
        UsageError: ``value`` holds NaN or infinity, which JSON does not have.
    """
    write_text(path, json_text(value, indent=2) + "\n")


def json_text(value: Any, indent: int | None = None) -> str:
    """``value`` as JSON, which can be read by anybody.

    Raises:
        UsageError: it holds NaN or infinity, which JSON does not have, or no plain values.
    """
    try:
        return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"what should be kept is no JSON ({error})") from error


def sync_all() -> None:
    """Bring to the disk what was written to any file, before a record names ``bulk`` ones."""
    if hasattr(os, "sync"):
        os.sync()


def sync_folder(folder: Path) -> None:
    """Bring the names in ``folder`` to the disk, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _sync_file(path: Path) -> None:
    # Windows wants a file that is open for writing.
    with path.open("r+b") as file:
        try:
            os.fsync(file.fileno())
        except OSError as error:
            # Pipes, and file systems that cannot.
            if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EROFS):
                raise
