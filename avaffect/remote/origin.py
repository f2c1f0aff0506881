"""Which content lies at an address: told without reading it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from avaffect.errors import InputNotFoundError, RemoteError
from avaffect.remote.address import Address

# What a store says of a content, the best first; a time where it says nothing else.
_STAMPS = ("ETag", "etag", "md5Hash", "checksum", "generation", "LastModified", "updated",
           "mtime", "created")  # fmt: skip
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Origin:
    """Where a file came from.

    Attributes:
        address: without secrets.
        stamp: what the store says of the content, its ETag; another content has another one.
        size: bytes.
        sha256: of the content; empty as long as it was not read.
        md5: of the content, if the store seems to state it, else empty.
    """

    address: str
    stamp: str
    size: int
    sha256: str = ""
    md5: str = ""

    def is_same(self, other: Origin) -> bool:
        """Whether both are the same content at the same address."""
        mine, theirs = ((each.address, each.stamp, each.size) for each in (self, other))
        return mine == theirs


def look(address: Address) -> Origin:
    """What lies at an address; one request.

    Raises:
        InputNotFoundError: nothing, or a folder.
        RemoteError: the store does not say how long it is.
    """
    info = address.info()
    if info is None or info.get("type") == "directory":
        raise InputNotFoundError(f"there is no file '{address}'", "check the address")
    return origin_of(address, info)


def look_inside(address: Address, places: Iterable[str]) -> Origin:
    """What lies in places of a folder, as one content; nothing of it is read.

    Args:
        address: the folder.
        places: see :func:`listed`.
    """
    found = listed(address, places)
    digest = hashlib.sha256()
    for name in sorted(found):
        digest.update(f"{name} {found[name].stamp} {found[name].size}\n".encode())
    return Origin(str(address), digest.hexdigest(), sum(each.size for each in found.values()))


def listed(address: Address, places: Iterable[str]) -> dict[str, Origin]:
    """What lies in some places below an address, by its name relative to the address.

    Args:
        address: a folder in a store.
        places: files or folders in it, with ``/``; what is not there is left out, and what names
            lead out of the folder. A file is one request, a folder one for each thousand in it.
    """
    found: dict[str, Origin] = {}
    store, base = address.store, address.path.rstrip("/")
    for place in places:
        info = address.child(place).info()
        if info is None:
            continue
        if info.get("type") != "directory":
            found[place] = origin_of(address.child(place), info)
            continue
        inside = address.ask(partial(store.find, f"{base}/{place}", detail=True))
        for path, each in inside.items():
            name = path[len(base) + 1 :]
            if ".." not in name.split("/"):
                found[name] = origin_of(address.child(name), each)
    return found


def origin_of(address: Address, info: dict[str, Any]) -> Origin:
    """What the store says of a file, as an `Origin`; see :func:`look`."""
    size = info.get("size")
    if not isinstance(size, int) or size < 0:
        raise RemoteError(f"the store does not say how long '{address}' is", "copy it by hand")
    stamp = next((str(info[name]) for name in _STAMPS if info.get(name)), "")
    return Origin(str(address), stamp.strip('"'), size, md5=_md5_of(info))


def _md5_of(info: dict[str, Any]) -> str:
    """The MD5 that a store states, 32 hex digits: S3's ETag of what came in one part, GCS' own."""
    tag = str(info.get("ETag") or info.get("etag") or "").strip('"').lower()
    if _MD5.fullmatch(tag):
        return tag
    try:
        digest = base64.b64decode(str(info.get("md5Hash") or ""), validate=True).hex()
    except (binascii.Error, ValueError):
        return ""
    return digest if _MD5.fullmatch(digest) else ""
