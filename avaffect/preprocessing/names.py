"""What the results of several sources are called.

A video is called by its stem. Where two would have one name, as ``study/P01/session1.mp4`` and
``study/P02/session1.mp4``, all have the folders below the input in their names as well: there
their results lie, and the subjects are called by both, see ``challenge.places``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from avaffect.challenge.places import joined, mirrored
from avaffect.errors import FeatureError, UsageError
from avaffect.store.prepared import Prepared, is_preprocessed, source_name


def names_of(sources: Sequence[Path], arguments: Iterable[str] = ()) -> dict[Path, PurePath]:
    """By source, its name: one part, or the folders below the input and then the stem.

    Args:
        sources: videos, sound files, preprocessed folders (which keep the name they have, and
            lie in folders if that name has them).
        arguments: what the user gave; a folder among them is where its files' names begin. The
            names of other files begin where their folders begin to differ. Nothing: names have
            no folders.

    Raises:
        UsageError: two sources would write the same files.
    """
    names = {source: _plain(source) for source in sources}
    arguments = list(arguments)
    if arguments and len(set(names.values())) < len(names):
        files = [source for source in sources if not is_preprocessed(source)]
        given = [Path(argument) for argument in arguments if argument]
        for file, root in _roots(files, given).items():
            names[file] = _absolute(file.parent).relative_to(root) / names[file]
    seen: dict[str, Path] = {}
    for source, name in names.items():
        first = seen.setdefault(joined(name), source)
        if first != source:
            raise UsageError(
                f"the results of '{first}' and '{source}' would both be called '{joined(name)}'",
                "rename one of them, or give them in two runs with different output folders",
            )
    return names


def relative_names(files: Sequence[Path], arguments: Iterable[str] = ()) -> dict[Path, str]:
    """By file, its name below the folder that the user gave, with ``/``; each name once.

    Args:
        files: see `names_of`.
        arguments: likewise. Where names would be the same, all begin where folders differ.
    """
    given = [Path(argument) for argument in arguments if argument]
    for folders in (given, []):
        roots = _roots(files, folders)
        names = {file: _absolute(file).relative_to(roots[file]).as_posix() for file in files}
        if len(set(names.values())) == len(names):
            break
    return names


def common_folder(files: Sequence[Path], arguments: Sequence[str]) -> Path:
    """The folder that the user gave, or the one in which all files lie."""
    given = [_absolute(Path(argument)) for argument in arguments if argument]
    if len(given) == 1 and given[0].is_dir():
        return given[0]
    return Path(os.path.commonpath([_absolute(file.parent) for file in files]))


def _plain(source: Path) -> PurePath:
    try:
        name = source_name(source)
    except (UsageError, FeatureError):  # refused when its turn comes
        return PurePath(source.name)
    has_folders = is_preprocessed(source) and Prepared(source).record.name is not None
    return mirrored(source, name) if has_folders else PurePath(name)


def _roots(files: Sequence[Path], arguments: Sequence[Path]) -> dict[Path, Path]:
    """By file, the folder in which its name begins."""
    found: dict[Path, Path] = {}
    for root in (_absolute(argument) for argument in arguments if argument.is_dir()):
        found |= {
            file: root
            for file in files
            if file not in found and _absolute(file).is_relative_to(root)
        }
    if rest := [file for file in files if file not in found]:
        common = Path(os.path.commonpath([_absolute(file.parent) for file in rest]))
        found |= dict.fromkeys(rest, common)
    return found


def _absolute(path: Path) -> Path:
    """Without ``..``, which would lead out of the folder that results are written to."""
    return Path(os.path.abspath(path))  # noqa: PTH100  (symbolic links keep their names)
