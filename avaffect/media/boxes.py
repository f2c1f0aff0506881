"""The boxes of MP4, MOV, HEIF and AVIF files (ISO/IEC 14496-12), as far as they are needed.

A box is its length (4 bytes, 1: 8 more bytes follow the type; 0: up to the end of what holds it),
its type, its content (section 4.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

# More than any honest file has at one level.
MAX_BOXES = 1000
# What such a file may begin with.
_FIRST = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp")
_TO_ENTRIES = (b"mdia", b"minf", b"stbl", b"stsd")


@dataclass(frozen=True, slots=True)
class Box:
    """A box in a file.

    Attributes:
        kind: its type, four characters.
        start: where its content begins.
        end: where it ends, at most where what holds it does.
        whole: whether all of it is there.
    """

    kind: bytes
    start: int
    end: int
    whole: bool


def boxes(file: BinaryIO, start: int, end: int) -> Iterator[Box]:
    """The boxes between two places of a file, at most 1000, up to the first that is none."""
    for _ in range(MAX_BOXES):
        file.seek(start)
        head = file.read(16)
        if len(head) < 8 or start + 8 > end:
            return
        length, header = int.from_bytes(head[:4], "big"), 8
        if length == 1:
            length, header = int.from_bytes(head[8:16], "big"), 16
        elif length == 0:
            length = end - start
        if length < header:
            return
        behind = start + length
        yield Box(head[4:8], start + header, min(behind, end), behind <= end)
        if behind >= end:
            return
        start = behind


def without_index(file: BinaryIO, size: int) -> bool:
    """Whether a file begins as an MP4 does and holds no whole index (``moov``)."""
    kinds = [box.kind for box in boxes(file, 0, size) if box.whole]
    return kinds[:1] == [b"ftyp"] and b"moov" not in kinds


def sample_kinds(file: BinaryIO, size: int) -> list[bytes]:
    """For each track how its samples are coded, e.g. ``avc1``; none if this is no such file."""
    kinds = []
    for track in _below(file, _top(file, size), b"moov", b"trak"):
        for entries in _below(file, boxes(file, track.start, track.end), *_TO_ENTRIES):
            # Version, flags and a count lie before the entries.
            kinds += [box.kind for box in boxes(file, entries.start + 8, entries.end)][:1]
    return kinds


def primary_item(file: BinaryIO, size: int) -> bytes | None:
    """How the picture of a HEIF or AVIF file is coded (ISO/IEC 23008-12), e.g. ``hvc1``.

    ``grid`` and others say that it is to be put together from other pictures. None if the file
    holds tracks or no such picture.
    """
    top = list(_top(file, size))
    if any(box.kind == b"moov" for box in top):
        return None
    for meta in (box for box in top if box.kind == b"meta"):
        inside = list(boxes(file, meta.start + 4, meta.end))
        primary = None
        for box in inside:
            if box.kind == b"pitm":
                file.seek(box.start)
                data = file.read(8)
                primary = int.from_bytes(data[4:8] if data[:1] != b"\0" else data[4:6], "big")
        for info in (box for box in inside if box.kind == b"iinf"):
            file.seek(info.start)
            wide = file.read(1) != b"\0"
            for entry in boxes(file, info.start + (8 if wide else 6), info.end):
                file.seek(entry.start)
                data = file.read(12)
                number, kind = data[4:6], data[8:12]
                if data[:1] == b"\3":
                    number, kind = data[4:8], data[10:12] + file.read(2)
                if int.from_bytes(number, "big") == primary:
                    return kind
    return None


def _top(file: BinaryIO, size: int) -> Iterator[Box]:
    for number, box in enumerate(boxes(file, 0, size)):
        if number == 0 and box.kind not in _FIRST:
            return
        yield box


def _below(file: BinaryIO, among: Iterator[Box], kind: bytes, *deeper: bytes) -> Iterator[Box]:
    """The boxes at the end of a path of kinds."""
    for box in among:
        if box.kind == kind:
            if deeper:
                yield from _below(file, boxes(file, box.start, box.end), *deeper)
            else:
                yield box
