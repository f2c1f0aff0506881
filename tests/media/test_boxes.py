"""What the boxes of a file say of it."""

import io
import random
import struct

import pytest

from avaffect.media.boxes import boxes, primary_item, sample_kinds, without_index


def box(kind, *content):
    data = b"".join(content)
    return struct.pack(">I4s", len(data) + 8, kind) + data


def heif(kind, *, brand=b"heic", wide=False, number=7):
    """A HEIF file's description with two pictures, the second, ``number``, being the primary."""
    count = b"\1\0\0\0" + struct.pack(">I", 2) if wide else b"\0\0\0\0" + struct.pack(">H", 2)
    version, form = (b"\3", ">IH4sB") if wide else (b"\2", ">HH4sB")
    entries = [
        box(b"infe", version + b"\0\0\0", struct.pack(form, item, 0, code, 0))
        for item, code in ((1, b"hvc1"), (number, kind))
    ]
    which = b"\1\0\0\0" + struct.pack(">I", number) if wide else struct.pack(">IH", 0, number)
    meta = box(b"meta", bytes(4), box(b"pitm", which), box(b"iinf", count, *entries))
    return box(b"ftyp", brand, bytes(4), b"mif1", brand) + meta


def read(function, data):
    return function(io.BytesIO(data), len(data))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("kind", [b"grid", b"hvc1", b"av01", b"iovl"])
def test_the_primary_picture_of_a_heif_file(kind: bytes, wide: bool) -> None:
    assert read(primary_item, heif(kind, wide=wide)) == kind


def test_a_file_with_tracks_has_no_primary_picture() -> None:
    assert read(primary_item, heif(b"grid") + box(b"moov")) is None
    assert read(primary_item, b"RIFF....WEBP" * 4) is None


def track(kind, size=8):
    stsd = box(b"stsd", bytes(4), struct.pack(">I", 1), box(kind, bytes(size)))
    return box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", stsd))))


def test_how_tracks_are_coded() -> None:
    moov = box(b"moov", box(b"mvhd", bytes(20)), track(b"encv"), track(b"mp4a"))
    assert read(sample_kinds, box(b"ftyp", b"isom") + moov) == [b"encv", b"mp4a"]
    assert read(sample_kinds, moov) == [b"encv", b"mp4a"]
    assert read(sample_kinds, b"\x1aE\xdf\xa3" + moov) == []


def test_the_index() -> None:
    ftyp, mdat = box(b"ftyp", b"isom"), box(b"mdat", bytes(100))
    assert read(without_index, ftyp + mdat)
    assert read(without_index, ftyp + mdat + box(b"moov", bytes(50))[:-1])
    assert not read(without_index, ftyp + mdat + box(b"moov"))
    assert not read(without_index, mdat)


def test_lengths_of_every_kind() -> None:
    long = struct.pack(">I4sQ", 1, b"mdat", 20) + bytes(4)
    rest = struct.pack(">I4s", 0, b"free") + bytes(30)
    found = list(boxes(io.BytesIO(long + rest), 0, len(long + rest)))
    assert [(box.kind, box.start, box.end, box.whole) for box in found] == [
        (b"mdat", 16, 20, True),
        (b"free", 28, 58, True),
    ]
    (beyond,) = boxes(io.BytesIO(long), 0, 18)
    assert (beyond.end, beyond.whole) == (18, False)


def test_hostile_lengths_end_soon() -> None:
    dice = random.Random(0)
    good = heif(b"grid") + box(b"moov", track(b"encv"))
    for _ in range(2000):
        data = bytearray(good)
        for _ in range(3):
            data[dice.randrange(len(data))] = dice.choice((0, 1, 7, 255))
        for function in (primary_item, sample_kinds, without_index):
            read(function, bytes(data))
    empty = box(b"free") * 5000
    assert len(list(boxes(io.BytesIO(empty), 0, len(empty)))) == 1000
