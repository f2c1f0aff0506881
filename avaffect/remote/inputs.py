"""Which files in a store an address stands for."""

from __future__ import annotations

from collections.abc import Iterator
from glob import has_magic
from pathlib import PurePosixPath

from avaffect.errors import InputNotFoundError, UsageError
from avaffect.files.names import RECORD
from avaffect.files.outside import MOST_SUBJECTS
from avaffect.media.endings import EXTENSIONS, PICTURE_EXTENSIONS, SOUND_EXTENSIONS
from avaffect.remote.address import Address


def find_files(address: Address, recursive: bool = False) -> list[Address]:
    """The videos or sound files that an address means, as `media.inputs.expand_inputs` does.

    A file stands for itself, a folder for the videos in it, or else for the sound files; ``*``
    and ``?`` match within a folder, ``**`` over folders.

    Args:
        address: file, folder or pattern.
        recursive: folders in a folder too.

    Raises:
        InputNotFoundError: it stands for nothing.
        UsageError: it stands for more than `outside.MOST_SUBJECTS` files, or a picture.
    """
    info = address.info()
    if info is not None and info.get("type") != "directory":
        if _ends(address.name, PICTURE_EXTENSIONS):
            raise UsageError(f"'{address}' is a picture", "copy pictures to a local disk first")
        return [address]
    if info is not None:
        found = _bounded(address, [name for name, _ in _walk(address, recursive)])
    elif has_magic(address.path):
        store, path = address.store, address.path
        matches = address.ask(lambda: store.glob(path, detail=True))
        found = _bounded(
            address, [name for name, each in matches.items() if each.get("type") != "directory"]
        )
        found = [name for name in found if not _ends(name, PICTURE_EXTENSIONS)]
        if found:
            return [_at(address, name) for name in sorted(found)]
    else:
        raise InputNotFoundError(f"there is no '{address}'", "check the address")
    for endings in (EXTENSIONS, SOUND_EXTENSIONS):
        if of_kind := sorted(name for name in found if _ends(name, endings)):
            return [_at(address, name) for name in of_kind]
    raise InputNotFoundError(
        f"'{address}' holds no video or sound file",
        "recursive=True also searches its subfolders" if not recursive else "check the address",
    )


def find_prepared(address: Address, deep: bool = True) -> list[Address]:
    """The folders that `preprocess` wrote at an address: itself, or those in it, sorted."""
    inside = _listing(address)
    if any(name == f"{address.path.rstrip('/')}/{RECORD}" for name, _ in inside):
        return [address]
    folders = [_at(address, name) for name, is_folder in inside if is_folder and deep]
    return [
        found
        for folder in sorted(folders, key=lambda each: each.text)
        if not folder.name.startswith(".")
        for found in find_prepared(folder)
    ]


def _walk(address: Address, recursive: bool) -> Iterator[tuple[str, bool]]:
    for name, is_folder in _listing(address):
        if PurePosixPath(name).name.startswith("."):
            continue
        if not is_folder:
            yield name, False
        elif recursive:
            yield from _walk(_at(address, name), True)


def _listing(address: Address) -> list[tuple[str, bool]]:
    """What lies in a folder, and whether each is one itself; nothing if there is none."""
    store, path = address.store, address.path
    try:
        found = address.ask(lambda: store.ls(path, detail=True))
    except InputNotFoundError:
        return []
    names = [(str(each["name"]).rstrip("/"), each.get("type") == "directory") for each in found]
    return [(name, folder) for name, folder in names if name != path.rstrip("/")]


def _bounded(address: Address, names: list[str]) -> list[str]:
    if len(names) > MOST_SUBJECTS:
        raise UsageError(f"'{address}' stands for more than {MOST_SUBJECTS:,} files", "split it")
    return names


def _at(address: Address, path: str) -> Address:
    """The address of what the store calls ``path``."""
    return Address(f"{address.scheme}://{path}")


def _ends(name: str, endings: frozenset[str]) -> bool:
    return PurePosixPath(name).suffix.lower() in endings
