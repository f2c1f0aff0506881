"""The zip of a submission: written the same each time, and opened as what a stranger sent."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from avaffect.errors import FormatError, InputNotFoundError
from avaffect.files.submission import Faults

MAX_BYTES = 512 << 20
MAX_FILES = 10_000
# What reading a damaged member may raise.
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
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
    """Whether ``path`` is such a zip as :func:`write_zip` makes, as its list says."""
    try:
        with zipfile.ZipFile(path) as archive:
            return all(
                one.date_time == _TIME
                and one.external_attr == _ATTRIBUTES
                and one.filename.endswith(".txt")
                for one in archive.infolist()
            )
    except (*DAMAGED, OSError, ValueError):
        return False


@contextmanager
def opened_zip(path: Path, faults: Faults) -> Iterator[zipfile.ZipFile | None]:
    """The zip at ``path``; None, and a fault, if it is none.

    Raises:
        InputNotFoundError: there is no such file.
        FormatError: it cannot be read.
    """
    try:
        archive = zipfile.ZipFile(path)
    except FileNotFoundError as error:
        raise InputNotFoundError(f"there is no file '{path}'", "check the path") from error
    except OSError as error:
        raise FormatError(f"cannot read '{path}' ({error.strerror})", "check the path") from error
    except (*DAMAGED, ValueError) as error:
        faults.add("zip", path.name, 0, f"this is no zip ({error})")
        yield None
        return
    with archive:
        yield archive


def usable_members(archive: zipfile.ZipFile, faults: Faults, top: str = "") -> dict[str, str]:
    """The files of a zip that can safely be read, by what they are called without folders.

    Args:
        archive: the zip.
        faults: gets one for everything that does not belong there.
        top: a folder that the files may lie in.

    Returns:
        from the file's own name to that in the zip; empty if nothing should be read.
    """
    members = archive.infolist()
    size = sum(one.file_size for one in members)
    name = Path(str(archive.filename)).name
    if size > MAX_BYTES or len(members) > MAX_FILES:
        text = f"{len(members):,} files of {size / 1e6:,.0f} MB when unpacked: far too much"
        faults.add("zip size", name, 0, text)
        return {}
    found: dict[str, str] = {}
    folders: set[str] = set()
    for one in members:
        path = PurePosixPath(one.filename)
        shown = one.filename.encode("ascii", "backslashreplace").decode()[:120]
        if _hostile(one):
            text = "the name leads out of the folder it is unpacked in, or it is a link"
            faults.add("zip path", shown, 0, text)
        elif any(_JUNK.fullmatch(part) for part in path.parts):
            faults.add("zip junk", shown, 0, "the operating system has added this file")
        elif one.flag_bits & 1:
            faults.add("zip", shown, 0, "the file is encrypted")
        else:
            folder = str(path if one.is_dir() else path.parent)
            if folder not in (".", top) and folder not in folders:
                folders.add(folder)
                text = f"there is a folder '{folder}' in the zip"
                faults.add("zip folder", shown, 0, text)
            if one.is_dir():
                continue
            if path.name in found:
                faults.add("unexpected file", shown, 0, f"'{path.name}' is in the zip twice")
            else:
                found[path.name] = one.filename
    return found


def open_member(archive: zipfile.ZipFile, name: str) -> BinaryIO:
    """A member for reading; it may raise what is in ``DAMAGED``, also while it is read."""
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


def _hostile(one: zipfile.ZipInfo) -> bool:
    path = PurePosixPath(one.filename)
    return (
        path.is_absolute()
        or ".." in path.parts
        or "\\" in one.filename
        or bool(re.match(r"[A-Za-z]:", one.filename))
        or not one.filename.isprintable()
        or stat.S_ISLNK(one.external_attr >> 16)
    )
