"""What avaffect wrote itself, and may replace; what it did not write it never touches.

A file or folder is ours if a record names it. Before a run writes what no record names yet, it
claims it: the claim stands in a file beside the unfinished work until the record is there, so that
a run that was killed in between can be gone on with.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable
from pathlib import Path, PurePath

from avaffect.errors import ForeignFileError, UsageError
from avaffect.files.atomic import write_json


def require_ours(root: Path, paths: Iterable[Path], ours: Collection[str]) -> None:
    """Refuse to replace what is not ours.

    Args:
        root: the output folder.
        paths: what is about to be written in it.
        ours: what is ours, relative to ``root``, with ``/``; a folder stands for all in it.

    Raises:
        ForeignFileError: one of ``paths`` is there and not ours. An empty folder is nobody's.
    """
    for path in paths:
        if os.path.lexists(path) and not _named(path, root, ours) and not _is_empty(path):
            raise foreign(path)


def foreign(path: Path, where: str = "choose another folder with -o") -> ForeignFileError:
    """The error for something in the way that no record of ours names."""
    return ForeignFileError(
        f"'{path}' is there and no record of avaffect's says that it wrote it",
        f"move it away, or {where}",
    )


def relative(path: Path, root: Path) -> str:
    """``path`` as a record names it: relative to ``root``, with ``/``."""
    return path.relative_to(root).as_posix()


def read_claims(file: Path) -> set[str]:
    """What the runs that wrote ``file`` were about to write; empty if there is none."""
    try:
        claims = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return set()
    return {one for one in claims if isinstance(one, str)} if isinstance(claims, list) else set()


def write_claims(file: Path, claims: Iterable[str]) -> None:
    """Write down what is about to be written, see :func:`read_claims`.

    Raises:
        OutputError: the disk does not take it.
    """
    write_json(file, sorted(claims))


def require_ours_or_new(file: Path, is_ours: bool, where: str) -> None:
    """Refuse to replace a single file that is there and not ours.

    Raises:
        ForeignFileError: so it is.
        UsageError: it is a folder.
    """
    if file.is_dir():
        raise UsageError(f"'{file}' is a folder", where)
    if os.path.lexists(file) and not is_ours:
        raise foreign(file, where)


def _named(path: Path, root: Path, ours: Collection[str]) -> bool:
    name = PurePath(relative(path, root))
    return any(one.as_posix() in ours for one in (name, *name.parents))


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())
