"""What avaffect wrote itself, and may replace; what it did not write it never touches.

A file or folder is ours if a record names it. Before a run writes what no record names yet, it
claims it: the claim stands in a file beside the unfinished work until the record is there, so that
a run that was killed in between can be gone on with.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path, PurePath

from avaffect.errors import ForeignFileError, OutputError, output_error
from avaffect.files.atomic import write_json
from avaffect.files.outside import read_kept

_NEAR = 1 << 16


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


def require_written(paths: Iterable[Path]) -> None:
    """Look whether what was written is still there, before a record says so.

    Raises:
        OutputError: somebody removed it meanwhile.
    """
    for path in paths:
        if not path.exists():
            raise OutputError(
                f"'{path}' was written and is gone",
                "somebody has removed or replaced its folder: run the same command again",
            )


def foreign(path: Path, where: str = "choose another output folder") -> ForeignFileError:
    """The error for something in the way that no record of ours names."""
    return ForeignFileError(
        f"'{path}' is there and no record of avaffect's says that it wrote it",
        f"move it away, or {where}",
    )


def relative(path: Path, root: Path) -> str:
    """``path`` as a record names it: relative to ``root``, with ``/``."""
    return path.relative_to(root).as_posix()


def read_claims(file: Path) -> set[str]:
    """What the runs that wrote ``file`` were about to write; empty if there is none.

    Bounds: as `outside.read_json`.

    Raises:
        FormatError: it is there and may not be read.
    """
    return set(read_kept(file, [str]) or ())


def write_claims(file: Path, claims: Iterable[str]) -> None:
    """Write down what is about to be written, see :func:`read_claims`.

    Raises:
        OutputError: the disk does not take it.
    """
    write_json(file, sorted(claims))


def require_own_file(path: Path, is_ours: Callable[[Path], bool]) -> None:
    """Refuse to replace a single file that the user named, unless it is ours or empty.

    Args:
        path: the file.
        is_ours: whether a file that is there is one that avaffect writes at such a place.

    Raises:
        ForeignFileError: it is none.
    """
    try:
        if path.is_file() and path.stat().st_size and not is_ours(path):
            raise foreign(path, "choose another name")
    except OSError as error:
        raise output_error(path, error) from error


def holds(*marks: bytes) -> Callable[[Path], bool]:
    """For :func:`require_own_file`: whether a file has all ``marks`` near its ends."""

    def has(path: Path) -> bool:
        with path.open("rb") as file:
            ends = file.read(_NEAR)
            file.seek(max(0, file.seek(0, os.SEEK_END) - _NEAR))
            ends += file.read(_NEAR)
        return all(mark in ends for mark in marks)

    return has


def _named(path: Path, root: Path, ours: Collection[str]) -> bool:
    name = PurePath(relative(path, root))
    return any(place.as_posix() in ours for place in (name, *name.parents))


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())
