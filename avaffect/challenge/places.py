"""Where the files of a subject lie: below the folders that its video had below the input.

The file ``P01/session1.txt`` is of the subject ``P01_session1``. A subject is called so in every
file, whether that lies in folders or not: the name alone is the subject's, the folders are places.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePath

from avaffect.challenge.layout import is_annotation
from avaffect.challenge.text import subject_file_name
from avaffect.errors import UsageError
from avaffect.files.outside import MOST_SUBJECTS


def joined(name: PurePath) -> str:
    """A name in one piece, as subjects are called: ``P01_session1``."""
    return "_".join(name.parts)


def checked(name: PurePath | str) -> PurePath:
    """``name``, if files can be called so and lie in the folder that they are written to.

    Raises:
        UsageError: it leads elsewhere, or a part of it is none for a file, see
            `challenge.subject_file_name`.
    """
    name = PurePath(name)
    for part in name.parts or ("",):
        subject_file_name(part)
    subject_file_name(f"{joined(name)}_right")
    return name


def place_of(subject: str, source: PurePath) -> PurePath:
    """Where a subject's files lie, without their endings.

    >>> place_of("P01_session1_left", PurePath("P01/session1")).as_posix()
    'P01/session1_left'

    Args:
        subject: its name.
        source: the name of its video with folders; where it does not begin as ``subject`` does,
            there are none.
    """
    start = "".join(f"{part}_" for part in source.parent.parts)
    own = subject.removeprefix(start)
    return source.parent / own if start and own and own != subject else PurePath(subject)


def mirrored(path: Path, name: str) -> PurePath:
    """The last parts of ``path`` that are called ``name``; ``name`` itself if none are.

    >>> mirrored(Path("prepared/P01/session1"), "P01_session1").as_posix()
    'P01/session1'
    """
    parts = path.absolute().parts[1:]
    ends = (PurePath(*parts[at:]) for at in reversed(range(len(parts))))
    return next((end for end in ends if joined(end) == name), PurePath(name))


def files_in(folder: Path, deep: bool = True) -> Iterator[tuple[PurePath, Path]]:
    """The files in a folder: where they lie below it, and their paths.

    Hidden ones are left out. Sorted within each folder; none if there is no such folder.

    Args:
        folder: where.
        deep: look into the folders in it too, but those that are links.

    Raises:
        UsageError: there are more than `outside.MOST_SUBJECTS` folders.
    """
    for count, (parent, folders, names) in enumerate(os.walk(folder)):
        if count > MOST_SUBJECTS:
            raise UsageError(f"'{folder}' holds more than {MOST_SUBJECTS:,} folders", "split it")
        folders[:] = sorted(each for each in folders if deep and not each.startswith("."))
        for name in sorted(file for file in names if not file.startswith(".")):
            path = Path(parent, name)
            yield path.relative_to(folder), path


def subject_files(folder: Path, *endings: str, deep: bool = True) -> dict[str, Path]:
    """The files of subjects in a folder, see `files_in`.

    Args:
        folder: where.
        endings: of their names in small letters, such as ``.txt``.
        deep: in the folders in it too.

    Returns:
        paths by subject.

    Raises:
        UsageError: two files of one subject.
    """
    found: dict[str, Path] = {}
    for place, path in files_in(folder, deep):
        if place.suffix.lower() in endings:
            subject = joined(place.with_suffix(""))
            if found.setdefault(subject, path) != path:
                raise UsageError(
                    f"'{found[subject]}' and '{path}' are of the same subject",
                    "move one of them away",
                )
    return found


def annotations_in(folder: Path, deep: bool = True) -> dict[str, Path]:
    """`subject_files` with labels, but for lists and texts, see `layout.is_annotation`."""
    found = subject_files(folder, ".txt", deep=deep)
    return {subject: path for subject, path in found.items() if is_annotation(path)}


def remove_empty(folder: Path, root: Path) -> None:
    """Remove ``folder`` and those above it, below ``root``, as far as nothing is in them."""
    with suppress(OSError):
        while folder != root and folder.is_relative_to(root):
            folder.rmdir()
            folder = folder.parent
