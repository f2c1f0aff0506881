"""From the local disk into a store: all of a source's results, or nothing that looks complete.

What is in the way and not ours stays as it is. First a receipt claims what will be written; then
the old record goes, which says that results are complete, if they change; then everything but the
records is uploaded and its length looked up; then the records; the receipt last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from avaffect.errors import ForeignFileError, RemoteError
from avaffect.remote.address import WHOLE, Address, together
from avaffect.remote.origin import Origin, listed
from avaffect.remote.receipt import Receipt, read_receipt, write_receipt


def publish(
    folder: Path,
    target: Address,
    receipt: Receipt,
    name: str,
    *,
    records: Collection[str] = (),
    ours: Collection[str] = (),
) -> int:
    """Upload what ``receipt.files`` names from ``folder`` to below ``target``.

    Args:
        folder: the local output folder.
        target: the one in the store.
        receipt: of the source; it becomes ``done``.
        name: where the receipt lies below ``target``.
        records: those of its files that say that results are complete; uploaded after all others.
        ours: what avaffect wrote there beside what an earlier receipt of that name names.

    Returns:
        how many files were uploaded; those that are there already are not.

    Raises:
        ForeignFileError: something is in the way that avaffect did not write there.
        RemoteError: the store does not take it; nothing looks complete then.
    """
    earlier = read_receipt(target.child(name))
    known = {*ours, *(earlier.files if earlier else ())}
    here = {file: folder / file for place in receipt.files for file in _files(folder, place)}
    there = listed(target, {*known, *receipt.files})
    for file in there:
        if not _is_named(file, known):
            raise ForeignFileError(
                f"'{target.child(file)}' is there and no receipt says that avaffect wrote it",
                "move it away, or choose another output folder",
            )
    changed = [
        file for file, path in here.items() if file not in there or not _is_same(there[file], path)
    ]
    gone = [file for file in there if file not in here]
    claim = replace(receipt, done=False, files=tuple(sorted({*known, *receipt.files})))
    write_receipt(target.child(name), claim)
    if changed or gone:
        together(lambda file: _remove(target.child(file)), [f for f in records if f in there])
        changed = list(dict.fromkeys([*changed, *(f for f in records if f in here)]))
    first = [file for file in changed if file not in records]
    last = [file for file in changed if file in records]
    for batch in (first, last):
        together(lambda file: _put(here[file], target.child(file)), batch)
        _require_whole(target, {file: here[file] for file in batch}, receipt.files)
    together(lambda file: _remove(target.child(file)), gone)
    write_receipt(target.child(name), replace(receipt, done=True))
    return len(changed)


def _files(folder: Path, place: str) -> list[str]:
    """The files that are meant by a place of a local folder."""
    path = folder / place
    if path.is_file():
        return [place]
    inside = (each for each in sorted(path.rglob("*")) if each.is_file())
    return [
        each.relative_to(folder).as_posix()
        for each in inside
        if not any(part.startswith(".") for part in each.relative_to(path).parts)
    ]


def _is_named(file: str, places: Collection[str]) -> bool:
    parts = file.split("/")
    return any("/".join(parts[:end]) in places for end in range(1, len(parts) + 1))


def _is_same(there: Origin, path: Path) -> bool:
    """Whether a file in the store is known to be that on the disk."""
    if not there.md5 or there.size != path.stat().st_size:
        return False
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
    return digest.hexdigest() == there.md5


def _put(path: Path, address: Address) -> None:
    store, place = address.store, address.path
    if address.scheme in WHOLE:
        # Of several parts: nothing is there before all are, and a failure gives them up.
        address.ask(lambda: store.put_file(str(path), place))
        return
    folder, _, name = place.rpartition("/")
    temporary = f"{folder}/.{name}.tmp"
    address.ask(lambda: store.makedirs(folder, exist_ok=True))
    address.ask(lambda: store.put_file(str(path), temporary))
    address.ask(lambda: store.mv(temporary, place))


def _remove(address: Address) -> None:
    address.ask(lambda: address.store.rm_file(address.path))


def _require_whole(target: Address, files: Mapping[str, Path], places: Collection[str]) -> None:
    """Look up whether what was uploaded is there as long as it is here."""
    if not files:
        return
    touched = [
        place
        for place in places
        if any(file == place or file.startswith(f"{place}/") for file in files)
    ]
    there = listed(target, touched)
    for file, path in files.items():
        size = there[file].size if file in there else 0
        if file not in there or size != path.stat().st_size:
            raise RemoteError(
                f"'{target.child(file)}' has {size:,} bytes in the store, and "
                f"{path.stat().st_size:,} were uploaded",
                "run the same command again",
            )
