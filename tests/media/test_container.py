"""What cannot be a video is refused in plain words, and a hostile file reads nothing else."""

import os
import struct
import zlib
from pathlib import Path

import av
import pytest

from avaffect.errors import (
    InputNotFoundError,
    MediaError,
    NoFramesError,
    NotMediaError,
    NoVideoStreamError,
)
from avaffect.media.container import check_size
from avaffect.media.probe import probe


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"hello\nthis is text\n" * 50, "is not a video"),
        (bytes(range(256)) * 40, "is not a video"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom", "truncated"),
    ],
)
def test_what_is_no_video(tmp_path: Path, content, message: str) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(content)
    with pytest.raises(NotMediaError, match=message) as caught:
        probe(path)
    assert caught.value.hint


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_an_mp4_that_was_cut_off_before_or_in_its_index(make, share: float) -> None:
    path = make.test_card("cut.mp4", "-c:v", "libx264")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(NotMediaError, match=r"truncated.*moov"):
        probe(path)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match="does not exist"):
        probe(tmp_path / "none.mp4")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputNotFoundError, match="does not exist"):
        probe(tmp_path / "file" / "none.mp4")
    with pytest.raises(NotMediaError, match="is a folder"):
        probe(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(NotMediaError, match="not a regular file"):
        probe(tmp_path / "pipe.mp4")


@pytest.mark.parametrize(
    "name",
    ["-i", "-y.mp4", "concat:a.mp4", "http:x", "data:,", 'it\'s "q" é 日本.mp4', "a%05d.mp4"],
)
def test_any_file_name_is_a_file(make, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    made = make.test_card("made.mp4", "-c:v", "libx264")
    made.rename(make.folder / name)
    monkeypatch.chdir(make.folder)
    assert probe(name).video.width == 160


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nsecret.ts\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile secret.ts\n",
    ],
)
@pytest.mark.parametrize("name", ["list.m3u8", "list.mp4"])
def test_a_playlist_cannot_name_another_file(make, playlist: str, name: str) -> None:
    make.test_card("secret.ts", "-c:v", "libx264")
    path = make.folder / name
    path.write_text(playlist)
    with pytest.raises(NotMediaError):
        probe(path)


def test_subtitles_are_no_video(tmp_path: Path) -> None:
    path = tmp_path / "x.srt"
    path.write_text("1\n00:00:00,000 --> 00:00:01,000\nhello\n")
    with pytest.raises((NotMediaError, NoVideoStreamError)):
        probe(path)


def png_header(width, height):
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = b"\x00\x00\x00\x00IEND\xaeB`\x82"
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\r" + head + struct.pack(">I", zlib.crc32(head)) + end


@pytest.mark.parametrize("size", [(60_000, 60_000), (20_000, 10), (12_000, 12_000)])
def test_absurd_picture_sizes_are_refused(tmp_path: Path, size) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(png_header(*size))
    with pytest.raises(MediaError):
        probe(path)


def test_the_limits_of_a_picture(tmp_path: Path) -> None:
    check_size(16_384, 4_000, tmp_path)
    for size in ((16_385, 10), (10, 16_385), (10_001, 10_000)):
        with pytest.raises(MediaError, match="claims pictures of"):
            check_size(*size, tmp_path)


def box(kind, *content):
    data = b"".join(content)
    return struct.pack(">I4s", len(data) + 8, kind) + data


@pytest.mark.parametrize("brand", [b"heic", b"mif1", b"avif"])
@pytest.mark.parametrize("kind", [b"grid", b"iovl"])
def test_a_picture_of_tiles_is_refused_by_its_name(make, brand: bytes, kind: bytes) -> None:
    """FFmpeg would give out one of the tiles."""
    entry = box(b"infe", b"\2\0\0\0", struct.pack(">HH4sB", 7, 0, kind, 0))
    iinf = box(b"iinf", struct.pack(">IH", 0, 1), entry)
    meta = box(b"meta", bytes(4), box(b"pitm", struct.pack(">IH", 0, 7)), iinf)
    path = make.folder / "photo.heic"
    path.write_bytes(box(b"ftyp", brand, bytes(4), b"mif1") + meta)
    with pytest.raises(NotMediaError, match="HEIC") as caught:
        probe(path)
    assert "JPEG" in caught.value.hint


def test_encrypted_video_is_called_so(make) -> None:
    key = ["-encryption_key", "0" * 32, "-encryption_kid", "1" * 32]
    path = make.test_card("drm.mp4", "-c:v", "libx264", "-encryption_scheme", "cenc-aes-ctr", *key)
    with pytest.raises(MediaError, match=r"encrypted \(DRM\)"):
        probe(path)


def test_an_animated_webp_is_read_or_called_so(make) -> None:
    """PyAV 19 brings an FFmpeg that can."""
    path = make.test_card("moving.webp", "-c:v", "libwebp_anim")
    if "webp_anim" in av.formats_available:
        assert probe(path).video.fps == 25
    else:
        with pytest.raises(NoFramesError, match="animated WebP"):
            probe(path)
    still = make.test_card("still.webp", "-frames:v", "1", "-c:v", "libwebp")
    assert probe(still).video.width == 160
