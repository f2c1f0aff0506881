"""Which of several audio streams is heard."""

import numpy as np
import pytest
import soundfile

from avaffect.config import MediaConfig
from avaffect.errors import MediaError
from avaffect.media.sound import extract_sound
from avaffect.media.tracks import choose_track
from avaffect.progress import Notice

RATE = 48_000


def streams(make, name, levels, *coding):
    """A file with a picture and an audio stream of a tone for each of ``levels``; 0 is mute."""
    inputs, maps = ["-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=2"], ["-map", "0"]
    for i, level in enumerate(levels):
        tone = level * np.sin(2 * np.pi * 500 * (i + 1) * np.arange(2 * RATE) / RATE)
        soundfile.write(make.folder / f"{i}.wav", tone, RATE)
        inputs += ["-i", f"{i}.wav"]
        maps += ["-map", str(i + 1)]
    make.ffmpeg(*inputs, *maps, *coding, name)
    return make.folder / name


def heard(path, **config):
    events = []
    out = path.with_suffix(".out.wav")
    settings = MediaConfig(**config)
    info = extract_sound(path, settings, out, first_time_s=0, on_event=events.append)
    samples, rate = soundfile.read(out)
    spectrum = np.abs(np.fft.rfft(samples))
    peak = np.fft.rfftfreq(len(samples), 1 / rate)[spectrum.argmax()]
    return (
        info,
        round(peak / 500) - 1,
        [event.text for event in events if isinstance(event, Notice)],
    )


MUTE_FIRST = [
    ("a.mkv", ["-c:v", "mjpeg", "-c:a", "aac"]),
    ("a.mp4", ["-c:v", "libx264", "-c:a", "aac"]),
    ("a.mxf", ["-c:v", "mpeg2video", "-c:a", "pcm_s16le"]),
]


@pytest.mark.parametrize(("name", "coding"), MUTE_FIRST)
def test_a_mute_stream_is_passed_over(make, name: str, coding) -> None:
    path = streams(make, name, [0, 0, 0.3, 0.3], *coding)
    info, tone, notices = heard(path)
    assert (info.stream, info.streams, tone) == (2, 4, 2)
    assert notices == [
        f"'{name}' has 4 audio streams: stream 2 is heard, the first that is not mute "
        "(audio_stream=N takes another, counted from 0)"
    ]


def test_the_default_is_told_too(make) -> None:
    path = streams(make, "b.mkv", [0.3, 0.3], "-c:a", "flac", "-disposition:a:1", "default",
                   "-disposition:a:0", "0")  # fmt: skip
    info, tone, notices = heard(path)
    assert (info.stream, tone) == (1, 1)
    assert "stream 1 is heard, the default one" in notices[0]


def test_the_one_that_was_asked_for_is_taken_in_silence(make) -> None:
    path = streams(make, "c.mkv", [0.3, 0.3, 0], "-c:a", "flac")
    info, tone, notices = heard(path, audio_stream=1)
    assert (info.stream, tone, notices) == (1, 1, [])
    assert heard(path, audio_stream=2)[0].stream == 2


def test_all_are_mute(make) -> None:
    info, _, notices = heard(streams(make, "d.mkv", [0, 0], "-c:a", "flac"))
    assert info.stream == 0
    assert "all are mute" in notices[0]


def test_a_stream_that_does_not_decode_is_passed_over(make) -> None:
    path = streams(make, "e.mkv", [0.3, 0.3], "-c:a", "aac")
    make.ffmpeg("-i", path.name, "-map", "0", "-c", "copy", "-bsf:a:0", "noise=drop=1", "f.mkv")
    info, tone, _ = heard(make.folder / "f.mkv")
    assert (info.stream, tone) == (1, 1)


def test_one_stream_is_not_worth_a_word(make) -> None:
    info, tone, notices = heard(streams(make, "g.mkv", [0.3], "-c:a", "flac"))
    assert (info.stream, info.streams, tone, notices) == (0, 1, 0, [])
    assert choose_track(make.test_card("h.mp4"), MediaConfig()) is None


def wav_of_rate(folder, rate):
    """16 bit mono, 26,000 samples that claim this rate."""
    data = (1000 * np.sin(np.arange(26_000) / 5)).astype("<i2").tobytes()
    head = b"RIFF" + (36 + len(data)).to_bytes(4, "little") + b"WAVEfmt \x10\0\0\0\1\0\1\0"
    head += rate.to_bytes(4, "little") + (2 * rate % 2**32).to_bytes(4, "little") + b"\2\0\x10\0"
    path = folder / f"rate{rate}.wav"
    path.write_bytes(head + b"data" + len(data).to_bytes(4, "little") + data)
    return path


@pytest.mark.parametrize("rate", [1, 100, 1999, 768_001, 1_000_000_000])
def test_rates_that_nobody_records_at_are_refused(make, rate: int) -> None:
    with pytest.raises(MediaError, match=r"2,000 to 768,000 Hz"):
        choose_track(wav_of_rate(make.folder, rate), MediaConfig())


@pytest.mark.parametrize("rate", [2000, 8000, 705_600, 768_000])
def test_rates_that_somebody_records_at(make, rate: int) -> None:
    info, _, _ = heard(wav_of_rate(make.folder, rate))
    assert info.duration_s == pytest.approx(26_000 / rate, abs=0.01)
