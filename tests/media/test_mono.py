"""Sound by PyAV is sound by the program ffmpeg."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
import soundfile
from media.conftest import Maker

from avaffect.config import MediaConfig
from avaffect.media import mono, sound
from avaffect.media.channels import Mix, choose_mix
from avaffect.media.mono import mono_pieces
from avaffect.media.piped import piped_pieces
from avaffect.media.sound import extract_sound
from avaffect.media.tracks import choose_track


def both(path: Path, mix: Mix | None = None) -> tuple[np.ndarray, np.ndarray, list[list[int]]]:
    """Samples by PyAV and by ffmpeg, and the places of the first and the last piece of each."""
    track = choose_track(path, MediaConfig())
    assert track is not None
    mix = mix or choose_mix(path, track)
    found, places = [], []
    for read in (mono_pieces, piped_pieces):
        pieces = list(read(path, track, mix, lambda text: pytest.fail(text)))
        found.append(np.frombuffer(b"".join(data for _, data in pieces), np.int16))
        places.append([pieces[0][0], pieces[-1][0] + len(pieces[-1][1]) // 2])
    return found[0], found[1], places


@pytest.mark.parametrize(
    ("name", "rate", "channels", "coding"),
    [
        ("a.m4a", 44100, 2, ["-c:a", "aac"]),
        ("b.mp4", 48000, 6, ["-c:a", "aac"]),
        ("c.ts", 48000, 6, ["-c:a", "ac3"]),
        ("d.mpg", 48000, 2, ["-c:a", "mp2"]),
        ("e.webm", 48000, 2, ["-c:a", "libopus"]),
        ("f.mp3", 22050, 1, []),
        ("g.mkv", 8000, 1, ["-c:a", "flac"]),
        ("h.wav", 16000, 1, []),
        ("i.wav", 11025, 3, ["-c:a", "pcm_f32le"]),
    ],
)
def test_it_is_what_ffmpeg_says(
    name: str, rate: int, channels: int, coding: list[str], make: Maker
) -> None:
    make.clicks("clicks.wav", [0.2, 0.8], 1.3, rate, channels)
    make.ffmpeg("-i", "clicks.wav", *coding, name)
    ours, theirs, places = both(make.folder / name)
    assert len(ours) == len(theirs)
    # Half a millisecond is nothing beside MIN_GAP_S: pieces that follow each other are joined.
    assert np.abs(np.subtract(*places)).max() <= 8
    # Whole numbers; other versions of FFmpeg round others of them up.
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert np.abs(ours.astype(int)).max() > 5000


def test_a_chosen_channel(make: Maker) -> None:
    clock = np.arange(16_000) / 16_000
    each = np.stack([np.sin(2000 * clock), np.sin(900 * clock)], 1) / 2
    soundfile.write(make.folder / "two.wav", each, 16_000)
    ours, theirs, _ = both(make.folder / "two.wav", Mix("channel 1", channel=1))
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    assert np.corrcoef(ours, each[:, 1])[0, 1] > 0.999


def test_what_is_cut_out_of_the_packets_of_an_mp4_is_not_heard(make: Maker) -> None:
    make.clicks("clicks.wav", [0.2], 1.0, 44100, 1)
    make.ffmpeg("-i", "clicks.wav", "-c:a", "aac", "end.m4a")
    ours, theirs, _ = both(make.folder / "end.m4a")
    assert len(ours) == len(theirs) == 16_000


def test_an_ffmpeg_of_the_users_own(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make.clicks("clicks.wav", [0.2], 0.5, 16_000, 1)
    monkeypatch.setattr(sound, "mono_pieces", None)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", imageio_ffmpeg.get_ffmpeg_exe())
    info = extract_sound(path, MediaConfig(), make.folder / "out.wav", first_time_s=None)
    assert info is not None and info.samples == 8000


def frame(time: float | None, samples: int = 1600, rate: int = 16_000) -> Any:
    return SimpleNamespace(time=time, samples=samples, sample_rate=rate)


@pytest.mark.parametrize(
    ("restarts", "stamps", "times"),
    [
        (False, [5.0, 5.1, 5.2], [0.0, 0.1, 0.2]),
        (False, [None, None, 7.0], [0.0, 0.1, 0.0]),
        (False, [5.0, None, 5.2], [0.0, 0.1, 0.2]),
        # A pause of seconds is one; where clocks may restart a jump of more than ten is none.
        (True, [5.0, 9.0], [0.0, 4.0]),
        (False, [5.0, 905.0, 905.1], [0.0, 900.0, 900.1]),
        (True, [5.0, 905.0, 905.1], [0.0, 0.1, 0.2]),
        (True, [5.0, 5.1, 1.0, 1.1], [0.0, 0.1, 0.2, 0.3]),
    ],
)
def test_times(restarts: bool, stamps: list[float | None], times: list[float]) -> None:
    clock = mono._Clock(restarts)
    assert [clock.time(frame(stamp)) for stamp in stamps] == pytest.approx(times)


def test_complaints_are_kept_within_bounds(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make.clicks("clicks.wav", [0.2], 0.5, 16_000, 1)

    def noisy(*arguments: Any) -> Any:
        for _ in range(1000):
            arguments[3]("bad")
        yield 0, b"\0\0"

    monkeypatch.setattr(sound, "mono_pieces", noisy)
    info = extract_sound(path, MediaConfig(), make.folder / "out.wav", first_time_s=None)
    assert info is not None and info.errors == 20
