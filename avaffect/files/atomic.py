"""Files that are either whole or not there.

Everything is written to a hidden temporary name in the target's own folder and renamed onto the
target when it is complete, so that whoever looks, at whatever moment, sees the old file or the
new one. A failure or Ctrl-C removes the temporary file and leaves the old one untouched.
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


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A temporary path to write to, renamed onto ``path`` when the block ends well.

    Missing parent folders are made. The temporary name keeps the suffix, since some writers
    choose the format by it. The block may leave the file unwritten only by raising.

    Raises:
        OutputError: the file cannot be written or renamed; DiskFullError if there is no space.
    """
    path = Path(path)
    # The stem is cut so that a long but legal name does not become too long.
    stem = os.fsdecode(os.fsencode(path.name)[:120])
    name = f".{stem}.{os.getpid()}-{secrets.token_hex(4)}.tmp{path.suffix}"
    temporary = path.with_name(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            # A rename would replace a device such as /dev/null by a file.
            raise OSError(errno.EINVAL, "it is there and no file")
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        # After the rename there is nothing left under this name; if this fails as well, the
        # first error is the one to tell.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path | str, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all."""
    with atomic_path(path) as temporary:
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
