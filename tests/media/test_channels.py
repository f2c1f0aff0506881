"""No channel that holds speech is lost on the way to one channel."""

from functools import cache

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from avaffect.config import MediaConfig
from avaffect.errors import MediaError
from avaffect.media.channels import Mix, choose_mix
from avaffect.media.sound import extract_sound
from avaffect.media.tracks import choose_track
from avaffect.progress import Notice

RATE = 48_000
SECONDS = 3.0
CLOCK = np.arange(round(SECONDS * RATE)) / RATE


@cache
def speech(seed: int = 0, level: float = 0.3) -> np.ndarray:
    """Noise in the band of speech that comes and goes, other for each seed; not to be changed."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.normal(size=len(CLOCK)))
    hertz = np.fft.rfftfreq(len(CLOCK), 1 / RATE)
    spectrum[(hertz < 200) | (hertz > 4000)] = 0
    sound = np.fft.irfft(spectrum, len(CLOCK)) * (1.2 + np.sin(2 * np.pi * (CLOCK + seed)))
    return level * sound / np.abs(sound).max()


def listen(path, channel: int | None = None):
    """The wav made of ``path``, what is recorded of it, and the notices."""
    events = []
    out = path.with_name("out.wav")
    config = MediaConfig(channel=channel)
    info = extract_sound(path, config, out, first_time_s=None, on_event=events.append)
    assert info is not None
    samples, _ = soundfile.read(out)
    return samples, info, [event.text for event in events if isinstance(event, Notice)]


def likeness(samples: np.ndarray, wanted: np.ndarray) -> float:
    """How much of ``wanted`` is in ``samples``: 1 is the same but for its level."""
    wanted = resample_poly(wanted, 1, 3)
    length = min(len(samples), len(wanted))
    samples, wanted = samples[100 : length - 100], wanted[100 : length - 100]
    return float(samples @ wanted / np.sqrt((samples @ samples) * (wanted @ wanted)))


def write(make, channels, name: str = "many.wav"):
    path = make.folder / name
    soundfile.write(path, np.stack(channels, 1), RATE, subtype="PCM_16")
    return path


@pytest.mark.parametrize("louder", [0, 1])
def test_channels_that_cancel_leave_the_louder(make, louder: int) -> None:
    voice = speech()
    levels = [1.0, 0.97] if louder == 0 else [0.97, 1.0]
    path = write(make, [levels[0] * voice, -levels[1] * voice])
    samples, info, notices = listen(path)
    assert info.mix == f"channel {louder}"
    assert np.abs(samples).max() > 0.2
    assert abs(likeness(samples, voice)) > 0.99
    (notice,) = notices
    assert "cancel" in notice
    assert f"channel {louder}" in notice


def test_channels_that_cancel_in_a_part_of_the_file(make) -> None:
    voice = speech()
    other = np.where(CLOCK < 2, voice, -voice)
    samples, info, _ = listen(write(make, [voice, other]))
    assert info.mix == "channel 0"
    assert likeness(samples, voice) > 0.99


def test_the_front_of_a_surround_sound_that_cancels(make) -> None:
    voice, none = speech(), np.zeros(len(CLOCK))
    samples, info, _ = listen(write(make, [voice, -voice, none, none, none, none]))
    assert info.mix == "channel 0"
    assert likeness(samples, voice) > 0.99


@pytest.mark.parametrize(
    "channels",
    [
        [speech(0), speech(1)],
        [speech(0), np.zeros(len(CLOCK))],
        [speech(0), -0.4 * speech(0)],
        [speech(0), speech(0)],
        [np.zeros(len(CLOCK))] * 2,
        [speech(i) for i in (0, 1, 2)] + [0.2 * np.sin(2 * np.pi * 50 * CLOCK), *[speech(5)] * 2],
    ],
)
def test_ordinary_sound_is_mixed_by_ffmpeg(make, channels) -> None:
    """The low rumble that belongs on LFE is left out as before."""
    samples, info, notices = listen(write(make, channels))
    assert (info.mix, notices) == ("downmix", [])
    make.ffmpeg("-i", "many.wav", "-ac", "1", "-ar", "16000", "mono.wav")
    assert np.array_equal(samples, soundfile.read(make.folder / "mono.wav")[0])


@pytest.mark.parametrize(("count", "where"), [(3, 2), (6, 3), (8, 3)])
def test_speech_on_the_low_frequency_channel(make, count: int, where: int) -> None:
    """A recorder's WAV of 3, 6 or 8 channels names no layout, and FFmpeg takes one for LFE."""
    channels = [speech(9, 0.002) for _ in range(count)]
    channels[where] = speech(0)
    samples, info, notices = listen(write(make, channels))
    assert likeness(samples, channels[where]) > 0.9
    assert str(where) in info.mix
    assert len(notices) == 1


@pytest.mark.parametrize("count", [9, 20, 60])
def test_more_channels_than_there_is_a_layout_for(make, count: int) -> None:
    none = np.zeros(len(CLOCK))
    channels = [speech(0) if i == 1 else none for i in range(count)]
    samples, info, notices = listen(write(make, channels))
    assert (info.mix, info.channels) == ("channel 1", count)
    assert likeness(samples, channels[1]) > 0.99
    assert "no layout" in notices[0]
    channels[count - 1] = speech(1)
    samples, info, _ = listen(write(make, channels))
    assert info.mix == f"mean of channels 1, {count - 1}"
    assert likeness(samples, channels[1]) > 0.5
    assert likeness(samples, channels[-1]) > 0.5


def test_channels_without_a_layout_that_cancel(make) -> None:
    channels = [np.zeros(len(CLOCK)) for _ in range(9)]
    channels[2], channels[5] = speech(0), -speech(0)
    samples, info, _ = listen(write(make, channels))
    assert info.mix in ("channel 2", "channel 5")
    assert abs(likeness(samples, channels[2])) > 0.99


def test_eight_planes(make) -> None:
    """PyAV 18 reads behind the end of a frame of eight planes."""
    write(make, [speech(i) for i in range(8)])
    make.ffmpeg("-i", "many.wav", "-c:a", "aac", "-b:a", "512k", "eight.m4a")
    samples, info, _ = listen(make.folder / "eight.m4a")
    assert (info.channels, info.mix) == (8, "downmix")
    assert np.abs(samples).max() > 0.1


def test_a_chosen_channel(make) -> None:
    path = write(make, [speech(0), speech(1), speech(2)])
    samples, info, notices = listen(path, channel=2)
    assert (info.mix, notices) == ("channel 2", [])
    assert likeness(samples, speech(2)) > 0.99
    with pytest.raises(MediaError, match="no channel 3: it has 3, counted from 0"):
        listen(path, channel=3)


def test_more_channels_than_can_be_resampled(make) -> None:
    with pytest.raises(MediaError, match="70 channels of sound, at most 64"):
        listen(write(make, [speech(0, 0.01)] * 70))


def test_a_layout_that_changes_in_mid_stream(make) -> None:
    """A broadcast: stereo of opposite phase, then surround sound, which stays a downmix."""
    voice, none = speech(), np.zeros(len(CLOCK))
    write(make, [voice, -0.9 * voice], "two.wav")
    write(make, [none, none, voice, none, none, none], "six.wav")
    for name, offset in (("two", 0), ("six", 3)):
        coding = ["-c:a", "aac", "-b:a", "256k", "-output_ts_offset", str(offset), f"{name}.ts"]
        make.ffmpeg("-i", f"{name}.wav", *coding)
    path = make.folder / "both.ts"
    parts = [(make.folder / f"{name}.ts").read_bytes() for name in ("two", "six")]
    path.write_bytes(b"".join(parts))
    samples, info, _ = listen(path)
    assert info.mix == "channel 0"
    for start in (0, 3):
        part = samples[start * 16_000 + 8000 : start * 16_000 + 40_000]
        assert np.abs(part).max() > 0.05, start


def test_the_expression_for_ffmpeg() -> None:
    assert Mix().expression is None
    assert Mix(channel=3).expression == "val(3)"
    mix = Mix("x", {2: (0.0, 1.0), 3: (0.5, 0.0, 0.5)})
    assert mix.expression == (
        "if(eq(nb_in_channels,3),0.5*val(0)+0.5*val(2),if(eq(nb_in_channels,2),1*val(1),val(0)))"
    )


def test_one_channel_is_not_listened_to_first(make, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(make, [speech()])
    track = choose_track(path, MediaConfig())
    monkeypatch.setattr("avaffect.media.channels.pieces", None)
    assert choose_mix(path, track) == Mix()
