"""What the header and the first frame say."""

import hashlib
from pathlib import Path

import pytest

from avaffect.config import MediaConfig
from avaffect.errors import MediaError, NoVideoStreamError
from avaffect.media.probe import first_frame_time, probe, video_hash

SINE = ["-f", "lavfi", "-i", "sine=d=1:r=44100"]


def test_streams_and_hints(make) -> None:
    path = make.test_card("a.mp4", *SINE, "-c:v", "libx264", "-c:a", "aac", "-ac", "2")
    info = probe(path)
    assert (info.path, info.bytes) == (path, path.stat().st_size)
    assert "mp4" in info.container
    assert (info.video_streams, info.audio_streams) == (1, 1)
    assert (info.video.width, info.video.height, info.video.rotation) == (160, 120, 0)
    assert (info.video.codec, info.video.fps, info.video.header_frames) == ("h264", 25, 25)
    assert (info.video.bit_depth, info.video.interlaced) == (8, False)
    assert (info.audio.codec, info.audio.sample_rate, info.audio.channels) == ("aac", 44100, 2)
    assert info.audio.duration_s == pytest.approx(1, abs=0.1)
    assert info.duration_s == pytest.approx(1, abs=0.1)
    assert info.frames_hint == 25


def test_the_hint_comes_from_the_duration_where_the_header_has_no_count(make) -> None:
    info = probe(make.test_card("a.mkv", "-c:v", "libx264", seconds=2))
    assert info.video.header_frames is None
    assert info.frames_hint == 50


def test_no_sound(make) -> None:
    info = probe(make.test_card("mute.mp4", "-c:v", "libx264"))
    assert (info.audio, info.audio_streams) == (None, 0)


def test_sound_alone_is_not_a_video(make) -> None:
    make.ffmpeg(*SINE, "sound.mp3")
    with pytest.raises(NoVideoStreamError, match="only sound"):
        probe(make.folder / "sound.mp3")


def test_a_cover_picture_is_taken_only_when_named(make) -> None:
    make.test_card("cover.png", "-frames:v", "1")
    tagged = ["-map", "0", "-map", "1", "-disposition:v", "attached_pic", "-c:v", "png"]
    make.ffmpeg(*SINE, "-i", "cover.png", *tagged, "song.mp3")
    path = make.folder / "song.mp3"
    with pytest.raises(NoVideoStreamError, match="only a cover picture"):
        probe(path)
    assert probe(path, MediaConfig(video_stream=0)).video.width == 160


def test_a_cover_picture_never_stands_for_the_video(make) -> None:
    make.test_card("cover.png", "-frames:v", "1", size="320x320")
    make.test_card("film.mp4", "-c:v", "libx264")
    order = ["-map", "0", "-map", "1", "-c", "copy", "-disposition:v:0", "attached_pic"]
    make.ffmpeg("-i", "cover.png", "-i", "film.mp4", *order, "both.mp4")
    assert probe(make.folder / "both.mp4").video.width == 160


def test_the_default_or_the_chosen_sound(make) -> None:
    sounds = ["-f", "lavfi", "-i", "sine=d=1:r=8000", "-f", "lavfi", "-i", "sine=d=1:r=16000"]
    maps = ["-map", "0", "-map", "1", "-map", "2", "-c:a", "pcm_s16le"]
    marks = ["-disposition:a:0", "0", "-disposition:a:1", "default"]
    path = make.test_card("two.mkv", *sounds, *maps, *marks, "-c:v", "ffv1")
    assert probe(path).audio.sample_rate == 16000
    assert probe(path, MediaConfig(audio_stream=0)).audio.sample_rate == 8000
    with pytest.raises(MediaError, match="no audio stream 2"):
        probe(path, MediaConfig(audio_stream=2))
    # Before the picture's pass, and not when the sound's turn comes.
    with pytest.raises(MediaError, match="no channel 1: it has 1, counted from 0"):
        probe(path, MediaConfig(audio_stream=0, channel=1))
    assert probe(path, MediaConfig(channel=1)).audio is not None


def test_the_time_of_the_first_frame(make) -> None:
    path = make.test_card("late.ts", "-c:v", "libx264", "-bf", "0", "-output_ts_offset", "7")
    assert first_frame_time(path) == pytest.approx(8.4)
    assert first_frame_time(make.test_card("now.mp4", "-c:v", "libx264")) == 0


def test_the_hash_is_that_of_the_content(tmp_path: Path) -> None:
    data = bytes(range(256)) * 20_000
    (tmp_path / "x").write_bytes(data)
    assert video_hash(tmp_path / "x") == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("name", "code", "fps"),
    [
        ("a.h264", ["-c:v", "libx264"], 50),
        ("a.264", ["-f", "h264", "-c:v", "libx264"], 50),
        ("a.h265", ["-f", "hevc", "-c:v", "libx265", "-x265-params", "log-level=0"], 50),
        ("a.m4v", ["-f", "m4v", "-c:v", "mpeg4"], 50),
        ("a.mpv", ["-f", "mpeg2video", "-c:v", "mpeg2video"], 50),
    ],
)
def test_a_bare_stream_says_how_fast_it_is(make, name: str, code, fps: int) -> None:
    path = make.test_card(name, "-r", str(fps), *code)
    info = probe(path)
    assert (info.video.fps, info.doubts) == (fps, ())
    other = probe(path, MediaConfig(fps=12.5))
    assert (other.video.fps, other.video.regular, other.doubts) == (12.5, True, ())


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a.hevc", ["-c:v", "libx265", "-x265-params", "vui-timing-info=0:log-level=0"]),
        ("a.mjpeg", ["-c:v", "mjpeg"]),
    ],
)
def test_what_a_bare_stream_does_not_say_is_assumed_aloud(make, name: str, code) -> None:
    path = make.test_card(name, "-r", "50", *code)
    info = probe(path)
    assert (info.video.fps, info.video.regular) == (25, True)
    assert info.doubts == (
        f"'{name}' does not say how many frames a second it has: 25 are assumed, say how many it "
        "has with fps=...",
    )
    assert probe(path, MediaConfig(fps=50)).doubts == ()


def test_a_file_with_times_keeps_them_and_says_so(make) -> None:
    path = make.test_card("a.mp4", "-c:v", "libx264")
    info = probe(path, MediaConfig(fps=50))
    assert (info.video.fps, info.video.regular) == (25, False)
    assert "fps=... is not used" in info.doubts[0]


def test_a_still_picture_needs_no_rate(make) -> None:
    path = make.test_card("a.png", "-frames:v", "1")
    assert probe(path).doubts == probe(path, MediaConfig(fps=50)).doubts == ()
