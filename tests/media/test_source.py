"""A source: what its header says is what the parts say that look at a file on their own."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from avaffect.config import MediaConfig
from avaffect.errors import InputNotFoundError, MediaError, NoVideoStreamError, UsageError
from avaffect.media.probe import probe
from avaffect.media.source import open_source, read_header
from avaffect.media.stills import stills
from avaffect.media.tracks import choose_track

CODING = {
    "a.mp4": ["-c:v", "libx264", "-c:a", "aac"],
    "b.mp4": ["-c:v", "libx264", "-bf", "3", "-c:a", "aac"],
    "a.mkv": ["-c:v", "libx264", "-c:a", "libopus"],
    "a.ts": ["-c:v", "mpeg2video", "-c:a", "mp2"],
    "b.ts": ["-c:v", "libx264", "-c:a", "aac"],
    "a.avi": ["-c:v", "mpeg4", "-c:a", "libmp3lame"],
    "a.mpg": ["-c:v", "mpeg1video", "-c:a", "mp2"],
    "silent.h264": ["-c:v", "libx264", "-an"],
}


@pytest.mark.parametrize("name", CODING)
def test_a_video_is_probed_as_if_nothing_was_read_before(
    name, sample, ffmpeg, tmp_path: Path
) -> None:
    path = tmp_path / name
    ffmpeg("-i", sample("one_person.mp4"), "-t", 1, *CODING[name], path)
    found = open_source(path)
    assert found.kind == "video"
    assert found.media == probe(path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert choose_track(path, MediaConfig(), tracks=found.header.tracks) == choose_track(
        path, MediaConfig()
    )


@pytest.mark.parametrize("frames", [1, 2, 9, 12])
def test_a_short_video_beside_short_sound(frames: int, sample, ffmpeg, tmp_path: Path) -> None:
    """Shorter than what is read to tell stills from a film."""
    path = tmp_path / "short.mp4"
    ffmpeg("-i", sample("one_person.mp4"), "-frames:v", frames, "-t", frames / 25, path)
    found = read_header(path)
    assert (found.stills, found.media) == (stills(path), probe(path))


def test_a_song_with_a_cover(sample, ffmpeg, tmp_path: Path) -> None:
    cover, song = tmp_path / "cover.jpg", tmp_path / "song.mp4"
    ffmpeg("-i", sample("one_person.mp4"), "-frames:v", 1, cover)
    ffmpeg("-i", sample("one_person.mp4"), "-i", cover, "-map", "0:a", "-map", "1:v",
           "-c:v", "mjpeg", "-disposition:v", "0", song)  # fmt: skip
    found = open_source(song)
    assert (found.kind, found.header.stills) == ("sound", 1)
    with pytest.raises(UsageError, match="nothing but sound"):
        _ = found.media
    # Whoever names a stream of the picture means a video.
    shown = open_source(song, MediaConfig(video_stream=0))
    assert (shown.kind, shown.media.video.codec) == ("video", "mjpeg")


def test_what_cannot_be_used(sample, ffmpeg, tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError):
        open_source(tmp_path / "gone.mp4")
    silent = tmp_path / "cover.mp3"
    ffmpeg("-i", sample("one_person.mp4"), "-vn", silent)
    assert open_source(silent).kind == "sound"
    with pytest.raises(NoVideoStreamError):
        open_source(silent, MediaConfig(video_stream=0))
    with pytest.raises(MediaError, match="no audio stream 3"):
        open_source(silent, MediaConfig(audio_stream=3))
    with pytest.raises(MediaError, match="no channel 7"):
        open_source(sample("one_person.mp4"), MediaConfig(channel=7))


def test_a_source_cannot_be_changed(sample) -> None:
    found = open_source(sample("no_face.mp4"))
    with pytest.raises(AttributeError):
        found.sha256 = "0"
    assert replace(found, sha256="0") != found
