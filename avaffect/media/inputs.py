"""Which videos the arguments of a command mean."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from avaffect.errors import InputNotFoundError

EXTENSIONS = frozenset(
    f".{name}"
    for name in [
        "mp4",
        "mov",
        "avi",
        "mkv",
        "webm",
        "m4v",
        "mpg",
        "mpeg",
        "ts",
        "mts",
        "m2ts",
        "wmv",
        "flv",
        "3gp",
        "ogv",
    ]
)


def expand_inputs(arguments: Sequence[str], recursive: bool = False) -> list[Path]:
    """The files that ``arguments`` mean, each once.

    A file stands for itself whatever its extension, a folder for the videos in it (by their
    extension; hidden files are left out), a glob for what it matches. A file or folder that
    exists is never taken for a glob. The order is that of the arguments; what one of them stands
    for is sorted.

    Args:
        recursive: search folders in folders too.

    Raises:
        InputNotFoundError: an argument that does not exist or matches nothing, a folder without
            a video, or no argument at all.
    """
    if not arguments:
        raise InputNotFoundError("no input is given", "name a video, a folder or a glob")
    found: dict[str, Path] = {}
    for argument in arguments:
        for path in _expand(argument, recursive):
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _expand(argument: str, recursive: bool) -> list[Path]:
    path = Path(argument)
    if argument and path.is_dir():
        return _videos_in(path, recursive)
    if argument and os.path.lexists(path):
        return [path]
    if not glob.has_magic(argument):
        raise InputNotFoundError(f"'{argument}' does not exist", "check the name")
    found = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207  (it may be absolute)
    matches = [Path(match) for match in found]
    if not matches:
        raise InputNotFoundError(
            f"nothing matches '{argument}'", "check the pattern, or name the files"
        )
    files = [match for match in matches if not match.is_dir()]
    folders = [match for match in matches if match.is_dir()]
    for folder in folders:
        files += _walk(folder, recursive)
    if not files:
        raise InputNotFoundError(
            f"'{argument}' matches only folders without a video", "name the files"
        )
    return sorted(files)


def _videos_in(folder: Path, recursive: bool) -> list[Path]:
    videos = sorted(_walk(folder, recursive))
    if not videos:
        deeper = "" if recursive else "; --recursive also searches its subfolders"
        raise InputNotFoundError(
            f"the folder '{folder}' holds no video",
            f"videos end in {', '.join(sorted(EXTENSIONS))}{deeper}",
        )
    return videos


def _walk(folder: Path, recursive: bool) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        for name in names:
            path = Path(parent, name)
            if path.suffix.lower() in EXTENSIONS and not name.startswith("."):
                yield path
