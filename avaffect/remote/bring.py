"""From a store to the local disk: whole and checked, or not there."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from avaffect.errors import DiskFullError, FormatError, RemoteError, UsageError
from avaffect.files.atomic import atomic_path, write_json
from avaffect.files.outside import read_kept
from avaffect.progress import EventCallback, Progress, ignore_events
from avaffect.remote.address import Address, together
from avaffect.remote.origin import Origin, listed, look

MOST_BYTES = 1 << 40
"""Of a file; a day of 4K video has less."""
PART = 32 << 20
"""Bytes of a request; as many are in memory."""
SPARE = 64 << 20
"""Bytes that stay free on the disk."""
_SHAPE = {"address": str, "stamp": str, "size": int, "sha256": str, "md5": str}


def bring(
    address: Address,
    target: Path,
    *,
    most_bytes: int = MOST_BYTES,
    on_event: EventCallback = ignore_events,
) -> Origin:
    """Copy a file from a store to ``target``, unless the same content lies there.

    It is read in parts of `PART` bytes under a temporary name; each part's length, then the MD5
    where the store states one, and that the file is still the same in the store, are checked
    before it is renamed. What may pass (no answer, 503, half an object) is tried again.

    Args:
        address: the file.
        target: where; its folders are made. A small hidden file beside it says what it is.
        most_bytes: larger files are refused.
        on_event: progress, stage ``download``, in bytes.

    Returns:
        where it came from, with its SHA-256.

    Raises:
        InputNotFoundError: there is no such file.
        UsageError: it is larger than ``most_bytes``.
        DiskFullError: it would fill the disk.
        RemoteError: it is not to be had, or comes damaged.
    """
    origin = look(address)
    if (known := brought(target)) is not None and known.is_same(origin):
        return known
    if origin.size > most_bytes:
        raise UsageError(f"'{address}' has {origin.size:,} bytes, more than {most_bytes:,}")
    target.parent.mkdir(parents=True, exist_ok=True)
    require_room(target.parent, origin.size, str(address))
    target.unlink(missing_ok=True)
    with atomic_path(target) as temporary:
        origin = _checked_copy(address, origin, temporary, on_event)
    write_json(_note(target), asdict(origin))
    return origin


def brought(target: Path) -> Origin | None:
    """Where ``target`` came from, if it is there as it was brought."""
    try:
        note = read_kept(_note(target), _SHAPE)
    except FormatError:
        return None
    if note is None or not target.is_file() or target.stat().st_size != note["size"]:
        return None
    return Origin(**{name: note[name] for name in _SHAPE})


def drop(target: Path) -> None:
    """Remove what was brought to ``target``."""
    target.unlink(missing_ok=True)
    _note(target).unlink(missing_ok=True)


def bring_folder(address: Address, target: Path, places: Iterable[str]) -> int:
    """Copy files and folders that lie below an address, many at once; those there are replaced.

    Args:
        address: the folder in the store.
        target: the local one.
        places: what of it, files or folders, relative with ``/``; what is not there is left out.

    Returns:
        how many files came.

    Raises:
        DiskFullError, RemoteError: as :func:`bring`.
    """
    wanted = listed(address, places)
    if not wanted:
        return 0
    target.mkdir(parents=True, exist_ok=True)
    require_room(target, sum(each.size for each in wanted.values()), str(address))

    def get(name: str) -> None:
        source, path = address.child(name), target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path, bulk=True) as temporary:
            _copy(source, wanted[name].size, temporary)

    together(get, wanted)
    return len(wanted)


def require_room(folder: Path, size: int, what: str) -> None:
    """Raise DiskFullError unless ``size`` bytes and `SPARE` fit onto the disk of ``folder``."""
    free = shutil.disk_usage(folder).free
    if size + SPARE > free:
        raise DiskFullError(
            f"'{what}' has {size / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free at '{folder}'",
            'free some space, or work in another folder with scratch="..."',
        )


def _checked_copy(
    address: Address, origin: Origin, temporary: Path, on_event: EventCallback
) -> Origin:
    for _ in range(2):
        sha256, md5 = _copy(address, origin.size, temporary, on_event)
        after = look(address)
        if after.is_same(origin) and (not origin.md5 or md5 == origin.md5 or _no_md5(address)):
            return replace(origin, sha256=sha256)
        origin = after
    raise RemoteError(
        f"'{address}' came twice otherwise than the store says (its ETag)",
        "see whether it is being replaced, and upload it again",
    )


def _copy(
    address: Address, size: int, target: Path, on_event: EventCallback = ignore_events
) -> tuple[str, str]:
    """Write the file to ``target``; its SHA-256 and MD5."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    done = 0
    with target.open("wb") as file:
        while done < size:
            data = address.ask(partial(_part, address, done, min(done + PART, size)))
            file.write(data)
            sha256.update(data)
            md5.update(data)
            done += len(data)
            on_event(Progress("download", done, size, "bytes", finished=done == size))
    return sha256.hexdigest(), md5.hexdigest()


def _part(address: Address, start: int, end: int) -> bytes:
    data: bytes = address.store.cat_file(address.path, start=start, end=end)
    if len(data) != end - start:
        raise OSError(f"{len(data)} bytes came instead of {end - start}")
    return data


def _no_md5(address: Address) -> bool:
    """Whether S3 keeps the file under a key of the user's: its ETag is no MD5 then."""
    if address.scheme not in ("s3", "s3a"):
        return False
    bucket, key, _ = address.store.split_path(address.path)
    head = address.ask(lambda: address.store.call_s3("head_object", Bucket=bucket, Key=key))
    return head.get("ServerSideEncryption") not in (None, "AES256") or bool(
        head.get("SSECustomerAlgorithm")
    )


def _note(target: Path) -> Path:
    return target.with_name(f".{target.name}.brought")
