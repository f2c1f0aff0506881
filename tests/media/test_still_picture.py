"""Single pictures are read as a video's frames are."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from avaffect.errors import InputNotFoundError, MediaError
from avaffect.media.still_picture import read_still, split_stills

Y, X = np.mgrid[0:48, 0:64]
COLOURS = np.stack([X * 4, Y * 5, 128 + 0 * X], -1).astype(np.uint8)
PICTURE = Image.fromarray(COLOURS)


def exif(orientation: int) -> Image.Exif:
    made = Image.Exif()
    made[0x112] = orientation
    return made


def deep(path: Path) -> None:
    Image.fromarray(np.asarray(PICTURE.convert("L")).astype(np.uint16) * 257).save(path)


SAVED: dict[str, Callable[[Path], None]] = {
    "plain.png": lambda path: PICTURE.save(path),
    "grey.png": lambda path: PICTURE.convert("L").save(path),
    "bits.png": lambda path: PICTURE.convert("1").save(path),
    "palette.png": lambda path: PICTURE.convert("P").save(path),
    "deep.png": deep,
    "cmyk.jpg": lambda path: PICTURE.convert("CMYK").save(path, quality=95),
    "turned.jpg": lambda path: PICTURE.save(path, quality=95, exif=exif(6)),
    "mirrored.jpg": lambda path: PICTURE.save(path, quality=95, exif=exif(5)),
    "x.tif": lambda path: PICTURE.save(path),
    "x.bmp": lambda path: PICTURE.save(path),
}


@pytest.mark.parametrize("name", SAVED)
def test_a_picture_is_what_a_viewer_shows(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    SAVED[name](path)
    with Image.open(path) as opened:
        shown = ImageOps.exif_transpose(opened)
        # Pillow does not bring 16 bits to 8.
        shown = PICTURE.convert("L") if name.startswith("deep") else shown
        wanted = np.asarray(shown.convert("RGB")).astype(int)
    still = read_still(path)
    assert (still.height, still.width) == wanted.shape[:2]
    assert np.abs(still.frame.image - wanted).mean() < 3
    assert (still.moves, still.damage) == (False, None)


def test_what_is_transparent_has_the_colours_that_lie_below(tmp_path: Path) -> None:
    clear = PICTURE.copy()
    clear.putalpha(Image.new("L", PICTURE.size, 0))
    clear.save(tmp_path / "a.png")
    assert (read_still(tmp_path / "a.png").frame.image == COLOURS).all()


def test_of_several_pictures_in_a_file_the_first_counts(tmp_path: Path) -> None:
    others = [ImageOps.invert(PICTURE)] * 2
    PICTURE.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=100)
    still = read_still(tmp_path / "a.gif")
    assert still.moves
    assert np.abs(still.frame.image.astype(int) - COLOURS).mean() < 15


def test_what_is_no_picture_is_told_in_a_line(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "whole.jpg")
    part = (tmp_path / "whole.jpg").read_bytes()[:200]
    size = struct.pack(">II5B", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + size
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk
    bomb += struct.pack(">I", zlib.crc32(chunk))
    for name, content in (("a.jpg", part), ("b.png", b"text"), ("c.jpg", b""), ("d.png", bomb)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(MediaError, match=f"{name}' cannot be used as a picture") as raised:
            read_still(tmp_path / name)
        assert "\n" not in str(raised.value)
    with pytest.raises(InputNotFoundError):
        read_still(tmp_path / "none.jpg")


def test_a_gif_beside_pictures_is_one(tmp_path: Path) -> None:
    names = ("a/1.jpg", "a/2.gif", "b/3.gif", "b/4.mp4")
    files = [tmp_path / name for name in names]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.touch()
    assert split_stills(files) == (files[:2], files[2:])
