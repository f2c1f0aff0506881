"""The zip of a submission: written the same each time, and opened as what a stranger sent."""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from avaffect.challenge.faults import Faults
from avaffect.errors import FormatError, UsageError
from avaffect.files.outside import reading

MAX_BYTES = 512 << 20
MAX_FILES = 10_000
MAX_DIRECTORY_BYTES = 4 << 20
# Others may want gigabytes to unpack, and not every unpacker knows them.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_END, _END_64, _END_BYTES = b"PK\5\6", b"PK\6\7", 22
_TIME = (1980, 1, 1, 0, 0, 0)
_ATTRIBUTES = (stat.S_IFREG | 0o644) << 16
_JUNK = re.compile(r"__MACOSX|\._.*|\.DS_Store|Thumbs\.db|desktop\.ini", re.I)
_SUFFIXES = re.compile(r"(?:\.(?:txt|csv|mp4|avi|mov|mkv|webm))+$", re.I)


def write_zip(path: Path, files: Iterable[tuple[str, Iterable[str]]]) -> None:
    """Write text files, names and pieces of text, into a zip that has the same bytes each time.

    Raises:
        OSError: it cannot be written.
    """
    with zipfile.ZipFile(path, "w") as archive:
        for name, pieces in files:
            about = zipfile.ZipInfo(name, _TIME)
            about.compress_type = zipfile.ZIP_DEFLATED
            about.create_system = 3
            about.external_attr = _ATTRIBUTES
            with archive.open(about, "w") as file:
                for piece in pieces:
                    file.write(piece.encode())


def is_own_zip(path: Path) -> bool:
    """Whether ``path`` is such a zip as :func:`write_zip` makes, by its list of files.

    Bounds: ``MAX_DIRECTORY_BYTES`` of directory.

    Raises:
        FormatError: it may not be read.
    """
    try:
        with reading(path), path.open("rb") as file:
            _check_directory(file)
            with zipfile.ZipFile(file) as archive:
                return all(
                    member.date_time == _TIME
                    and member.external_attr == _ATTRIBUTES
                    and member.filename.endswith(".txt")
                    for member in archive.infolist()
                )
    except FormatError as error:
        if isinstance(error.__cause__, OSError | MemoryError):
            raise
        return False


@contextmanager
def opened_zip(path: Path, faults: Faults) -> Iterator[zipfile.ZipFile | None]:
    """The zip at ``path``; None, and a fault, if it is none.

    Bounds: ``MAX_DIRECTORY_BYTES`` of directory, which is read whole.

    Raises:
        InputNotFoundError: there is no such file.
        FormatError: it cannot be read.
    """
    with reading(path):
        file = path.open("rb")
    with file:
        archive = None
        with damage_noted(path, "this is no zip", faults):
            _check_directory(file)
            archive = zipfile.ZipFile(file)
        yield archive


@contextmanager
def damage_noted(path: Path, text: str, faults: Faults) -> Iterator[None]:
    """A block in which a zip is read: what it is damaged by becomes a fault."""
    try:
        with reading(path, FormatError, text):
            yield
    except FormatError as error:
        faults.add("zip", path.name, 0, error.problem.removeprefix(f"'{path}' "))


def _check_directory(file: BinaryIO) -> None:
    """Raise UsageError for a directory that would take much memory to read.

    Wherever an end record may stand: unpackers differ in where they look for it.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - (1 << 16) - _END_BYTES))
    tail = file.read()
    file.seek(0)
    at = tail.find(_END)
    while at >= 0:
        length = int.from_bytes(tail[at + 12 : at + 16], "little")
        if length > MAX_DIRECTORY_BYTES or tail[at - 20 : at - 16] == _END_64:
            raise UsageError("its directory is far too long")
        at = tail.find(_END, at + 1)


def usable_members(archive: zipfile.ZipFile, faults: Faults, top: str = "") -> dict[str, str]:
    """The files of a zip that can safely be read, by what they are called without folders.

    Bounds: ``MAX_FILES`` of ``MAX_BYTES`` together, unpacked; no member gives more than the
    directory says.

    Args:
        archive: the zip.
        faults: gets one for everything that does not belong there.
        top: a folder that the files may lie in.

    Returns:
        from the file's own name to that in the zip; empty if nothing should be read.
    """
    members = archive.infolist()
    size = sum(member.file_size for member in members)
    name = Path(str(archive.filename)).name
    if size > MAX_BYTES or len(members) > MAX_FILES:
        text = f"{len(members):,} files of {size / 1e6:,.0f} MB when unpacked: far too much"
        faults.add("zip size", name, 0, text)
        return {}
    found: dict[str, str] = {}
    folders: set[str] = set()
    for member in members:
        path = PurePosixPath(member.filename)
        shown = member.filename.encode("ascii", "backslashreplace").decode()[:120]
        if _hostile(member):
            text = "there is no name, it leads out of the folder, or it is a link"
            faults.add("zip path", shown, 0, text)
        elif any(_JUNK.fullmatch(part) for part in path.parts):
            faults.add("zip junk", shown, 0, "the operating system has added this file")
        elif member.flag_bits & 1:
            faults.add("zip", shown, 0, "the file is encrypted")
        elif member.compress_type not in _METHODS:
            faults.add("zip", shown, 0, "the file is packed in an unusual way")
        else:
            folder = str(path if member.is_dir() else path.parent)
            if folder not in (".", top) and folder not in folders:
                folders.add(folder)
                text = f"there is a folder '{folder}' in the zip"
                faults.add("zip folder", shown, 0, text)
            if member.is_dir():
                continue
            if path.name in found:
                faults.add("unexpected file", shown, 0, f"'{path.name}' is in the zip twice")
            else:
                found[path.name] = member.filename
    return found


def open_member(archive: zipfile.ZipFile, name: str) -> BinaryIO:
    """A member for reading, in a block of `damage_noted`."""
    return BufferedReader(archive.open(name))  # type: ignore[type-var]


def match_names(given: Iterable[str], wanted: Iterable[str], faults: Faults) -> dict[str, str]:
    """Which of the files that are there is meant by each wanted one.

    Names that are nearly right, such as ``a.mp4.txt`` for ``a.txt``, count and are a fault; so is
    every file that nobody wants. What is missing is left to the caller.

    Returns:
        from the wanted name to the given one.
    """
    names, wanted = set(given), list(wanted)
    found = {name: name for name in wanted if name in names}
    left = {plain_name(name).lower(): name for name in wanted if name not in found}
    for name in sorted(names - found.keys()):
        meant = left.pop(plain_name(name).lower(), "")
        if not meant and len(left) == len(wanted) == len(names) == 1:
            meant = left.popitem()[1]
        if meant:
            found[meant] = name
            faults.add("file name", name, 0, f"the file should be called '{meant}'")
        else:
            faults.add("unexpected file", name, 0, "there should be no such file")
    return {name: found[name] for name in wanted if name in found}


def plain_name(name: str) -> str:
    """A file's name without blanks around it and without any suffix of texts and videos."""
    return _SUFFIXES.sub("", name.strip())


def _hostile(member: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(member.filename)
    return (
        not path.name
        or path.is_absolute()
        or ".." in path.parts
        or "\\" in member.filename
        or bool(re.match(r"[A-Za-z]:", member.filename))
        or not member.filename.isprintable()
        or stat.S_ISLNK(member.external_attr >> 16)
    )
