"""Picture files: JPEG and PNG become RGB of one size; what is damaged or huge is refused."""

import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from avaffect.errors import FeatureError
from avaffect.files import picture_file
from avaffect.files.picture_file import is_picture, picture_size, read_picture

RED = np.zeros((8, 8, 3), np.uint8) + np.uint8([0, 0, 250])  # cv2 wants blue first


def encoded(image, suffix, *options):
    return cv2.imencode(suffix, image, list(options))[1].tobytes()


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_colours_are_red_green_blue(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encoded(RED, suffix))
    found = read_picture(path, 8)
    assert (found.dtype, found.shape) == (np.uint8, (8, 8, 3))
    assert np.abs(found.astype(int) - (250, 0, 0)).max() < 8


def test_a_grey_picture_has_three_equal_colours(tmp_path: Path) -> None:
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    (tmp_path / "a.png").write_bytes(encoded(grey, ".png"))
    found = read_picture(tmp_path / "a.png", 8)
    np.testing.assert_array_equal(found, np.repeat(grey[:, :, None], 3, axis=2))


@pytest.mark.parametrize(("shape", "side"), [((16, 16), 8), ((4, 4), 8), ((6, 12), 8)])
def test_other_sizes_are_resized(tmp_path: Path, shape, side: int) -> None:
    image = np.zeros((*shape, 3), np.uint8)
    image[:, shape[1] // 2 :] = 200
    (tmp_path / "a.png").write_bytes(encoded(image, ".png"))
    found = read_picture(tmp_path / "a.png", side)
    assert found.shape == (side, side, 3)
    assert (found[:, 0].max(), found[:, -1].min()) == (0, 200)


@given(
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.sampled_from([(".png",), (".jpg",), (".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)]),
    st.sampled_from([(), (3,)]),
)
def test_the_size_is_read_from_the_header(
    tmp_path_factory: pytest.TempPathFactory, size, kind, colours
) -> None:
    path = tmp_path_factory.getbasetemp() / "sized"
    path.write_bytes(encoded(np.zeros((*size, *colours), np.uint8), *kind))
    assert picture_size(path) == size


def test_segments_and_fill_bytes_before_the_jpeg_header(tmp_path: Path) -> None:
    data = encoded(np.zeros((5, 9), np.uint8), ".jpg")
    comment = b"\xff\xff\xff\xfe\x00\x06\xff\xc0ab"  # that looks like a frame header
    (tmp_path / "a.jpg").write_bytes(data[:2] + comment + data[2:])
    assert picture_size(tmp_path / "a.jpg") == (5, 9)
    assert read_picture(tmp_path / "a.jpg", 4).shape == (4, 4, 3)


def huge_png(side=60000):
    """Many pixels in a few bytes, all checksums right."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def huge_jpeg():
    data = encoded(np.zeros((8, 8), np.uint8), ".jpg")
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", 60000, 60000) + data[at + 4 :]


# Above our own bound, where Pillow warns of a bomb, and where it refuses it.
@pytest.mark.parametrize("data", [huge_png(6000), huge_png(11000), huge_png(), huge_jpeg()])
def test_more_pixels_than_memory_are_never_decoded(
    tmp_path: Path, data, monkeypatch: pytest.MonkeyPatch, recwarn
) -> None:
    (tmp_path / "a.png").write_bytes(data)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    for look in (picture_size, lambda path: read_picture(path, 8)):
        with pytest.raises(FeatureError, match=r"a\.png' has more than 33,554,432 pixels"):
            look(tmp_path / "a.png")
    assert not recwarn.list


def test_a_huge_file_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_file, "_MOST_BYTES", 1 << 10)
    path = tmp_path / "a.png"
    path.write_bytes(encoded(RED, ".png"))
    os.truncate(path, 1 << 10)
    assert read_picture(path, 8).shape == (8, 8, 3)
    os.truncate(path, 1 << 40)  # sparse: takes no space
    with pytest.raises(FeatureError, match=r"a\.png' is too large"):
        read_picture(path, 8)


JPEG, PNG = encoded(RED, ".jpg"), encoded(RED, ".png")


@given(st.sampled_from([JPEG, PNG]).flatmap(lambda data: st.binary().map(lambda x: data[:9] + x)))
@example(b"")
@example(b"GIF89a")
@example(JPEG[:2])
@example(JPEG[:40])
@example(PNG[:20])
@example(PNG[:40])
@example(huge_png()[:16] + bytes(8) + huge_png()[24:])
@example(b"\xff\xd8" + b"\xff" * 50)
@example(b"\xff\xd8\xff\xe0\x00\x00" * 9)
def test_damaged_files_are_named(tmp_path_factory: pytest.TempPathFactory, data) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    path.write_bytes(data)
    with pytest.raises(FeatureError, match=r"damaged\.png"):
        read_picture(path, 8)


def test_files_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for name in ("missing.jpg", "pipe.jpg", "folder.jpg"):
        with pytest.raises(FeatureError, match=name):
            read_picture(tmp_path / name, 8)


def test_which_names_are_pictures() -> None:
    names = ("a.jpg", "a.JPEG", "a.b.Png", "a.gif", "jpg", "a.jpg.txt")
    assert [is_picture(name) for name in names] == [True, True, True, False, False, False]
