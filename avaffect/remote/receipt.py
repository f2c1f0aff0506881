"""The receipt of a source in an output folder: what was made of which content, written last.

It is what lets a later run, on whatever machine, leave out what is done without reading a byte of
it; and it names what is ours in a store, as records do on the disk. Before anything is uploaded a
receipt without ``done`` claims it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from avaffect.errors import FormatError, InputNotFoundError
from avaffect.files.atomic import json_text
from avaffect.files.outside import MOST_RECORD_BYTES, fits, parse_json, reading
from avaffect.remote.address import WHOLE, Address
from avaffect.remote.origin import Origin

_ORIGIN = {"address": str, "stamp": str, "size": int, "sha256": str}
_SHAPE = {
    "done": bool,
    "settings": str,
    "origin": _ORIGIN,
    "files": [str],
    "about": dict,
}


@dataclass(frozen=True)
class Receipt:
    """What an output folder knows of a source.

    Attributes:
        origin: which content.
        settings: fingerprint of all that the results depend on beside the content.
        files: what is ours, relative to the folder, with ``/``; a folder stands for all in it.
        done: whether all of it is there; False is a claim.
        about: of the results, for a table: ``frames``, ``faces``, ``subjects``.
    """

    origin: Origin
    settings: str
    files: tuple[str, ...]
    done: bool = False
    about: dict[str, Any] = field(default_factory=dict)

    def answers(self, origin: Origin, settings: str) -> bool:
        """Whether nothing is left to do for such a content and such settings."""
        same = self.origin.is_same(origin) or (
            bool(origin.sha256) and origin.sha256 == self.origin.sha256
        )
        return self.done and same and self.settings == settings


def read_receipt(address: Address) -> Receipt | None:
    """The receipt at an address; None if there is none.

    Bounds: `outside.MOST_RECORD_BYTES`.

    Raises:
        FormatError: it is damaged.
    """
    store, path = address.store, address.path
    try:
        if (address.ask(lambda: store.info(path)).get("size") or 0) > MOST_RECORD_BYTES:
            raise FormatError(f"'{address}' is no receipt of avaffect's", "move it away")
        data = address.ask(lambda: store.cat_file(path))
    except InputNotFoundError:
        return None
    with reading(str(address), FormatError, "is damaged or not written by avaffect"):
        found = parse_json(data)
        if not fits(found, _SHAPE) or any(".." in name.split("/") for name in found["files"]):
            raise FormatError(f"'{address}' is no receipt of avaffect's", "move it away")
        origin = Origin(**{name: found["origin"][name] for name in _ORIGIN})
        return Receipt(
            origin, found["settings"], tuple(found["files"]), found["done"], found["about"]
        )


def write_receipt(address: Address, receipt: Receipt) -> None:
    """Replace the receipt at an address.

    Raises:
        RemoteError: the store does not take it.
    """
    origin = asdict(receipt.origin)
    del origin["md5"]
    text = json_text({**asdict(receipt), "origin": origin}, indent=2) + "\n"
    put_bytes(address, text.encode())


def put_bytes(address: Address, data: bytes) -> None:
    """Write a small file into a store, whole or not at all.

    Raises:
        RemoteError: the store does not take it.
    """
    store, path = address.store, address.path
    if address.scheme in WHOLE:
        address.ask(lambda: store.pipe_file(path, data))
        return
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/.{name}.tmp"
    address.ask(lambda: store.makedirs(folder, exist_ok=True))
    address.ask(lambda: store.pipe_file(temporary, data))
    address.ask(lambda: store.mv(temporary, path))
