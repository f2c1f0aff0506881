"""Sound as it comes: at its place, at 16 kHz, and nothing of what follows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from avaffect.config import AnalysisConfig, AudioConfig
from avaffect.errors import UsageError
from avaffect.live.listening import Listener
from avaffect.sound.speech import detect_speech

RATE = 16_000
VOICE = AnalysisConfig(audio=None, voice="starter-2-voice")


@pytest.fixture(scope="module")
def spoken(
    sample: Callable[[str], Path],
    ffmpeg: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    path = tmp_path_factory.mktemp("live") / "spoken.wav"
    ffmpeg("-i", sample("one_person.mp4"), "-ar", RATE, "-ac", 1, "-t", 4, path)
    return path


@pytest.fixture(scope="module")
def samples(spoken: Path) -> NDArray[np.float32]:
    return soundfile.read(spoken, dtype="float32")[0]


def rows(listener: Listener, samples: NDArray[np.float32], piece: int) -> NDArray[np.float32]:
    """The voice at each 0.1 s, of sound that comes in pieces."""
    found = []
    for start in range(0, len(samples), piece):
        listener.push(samples[start : start + piece], RATE, start / RATE)
        if start % 1600 < piece:
            found.append(listener.rows(start / RATE, 0.1)["voice"])
    return np.stack(found)


def test_speech_is_heard_where_it_is_and_so_is_the_voice(
    samples: NDArray[np.float32], spoken: Path
) -> None:
    found = rows(Listener(VOICE), samples, 1600)
    speech = detect_speech(spoken)
    at = np.arange(len(found)) * 0.1
    expected = speech.mean(np.maximum(at - 0.2, 0), np.maximum(at, 0.01))
    assert np.nanmax(found[:, -1]) > 0.9
    np.testing.assert_allclose(found[5:, -1], expected[5:], atol=0.05)
    heard = ~np.isnan(found[:, 0])
    assert heard.any()
    np.testing.assert_allclose(found[heard, :8].sum(1), 1, atol=1e-4)
    # No voice before anybody spoke.
    first = int(np.flatnonzero(speech.probability > 0.5)[0]) * 0.032
    assert at[heard][0] >= first


def test_later_sound_changes_nothing(samples: NDArray[np.float32]) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    ours = rows(Listener(VOICE), samples[: 3 * RATE], 1600)
    theirs = rows(Listener(VOICE), np.concatenate([samples[: 2 * RATE], noise]), 1600)
    np.testing.assert_array_equal(ours[:20], theirs[:20])


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_any_rate_and_channels_are_one_sound(rate: int) -> None:
    listener = Listener(VOICE)
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate)
    for start in range(0, len(tone), 1000):
        piece = tone[start : start + 1000]
        listener.push(np.stack([piece, piece]), rate, start / rate)
    assert listener.end == pytest.approx(2, abs=0.01)
    kept = listener._samples[2000:-2000]
    spectrum = np.abs(np.fft.rfft(kept))
    assert spectrum.argmax() * RATE / len(kept) == pytest.approx(440, abs=2)
    assert kept.max() == pytest.approx(0.5, abs=0.02)


def test_memory_does_not_grow() -> None:
    listener = Listener(VOICE)
    quiet = np.zeros(RATE // 2, np.float32)
    sizes = set()
    for half in range(120):
        listener.push(quiet, RATE, half / 2)
        if half >= 60:
            sizes.add((len(listener._samples), len(listener._chances), len(listener._windows)))
    assert len(sizes) == 1


def test_gaps_become_silence_and_hours_of_them_cost_nothing() -> None:
    listener = Listener(VOICE)
    ones = np.full(1600, 0.5, np.float32)
    listener.push(ones, RATE, 5.0)
    listener.push(ones, RATE, 6.0)
    assert listener.end == pytest.approx(6.1)
    np.testing.assert_array_equal(listener._samples[[0, 1599, 1600, 15_999, 16_000]],
                                  [0.5, 0.5, 0, 0, 0.5])  # fmt: skip
    listener.push(ones, RATE, 86_400.0)
    assert listener.end == pytest.approx(86_400.1)
    # What comes again follows.
    listener.push(ones, RATE, 10.0)
    assert listener.end == pytest.approx(10.1)


def test_sound_features_of_a_frame_end_with_it(
    samples: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    # By NumPy: librosa takes long to load.
    monkeypatch.setattr("avaffect.sound.mfcc.is_installed", lambda name: False)
    config = AnalysisConfig(voice=None)
    listener, other = Listener(config), Listener(config)
    assert not listener.rows(1.0, 0.04)["has_sound"]
    listener.push(samples[: 2 * RATE], RATE, 0.0)
    other.push(samples[: 3 * RATE], RATE, 0.0)
    ours, theirs = (each.rows(2.0, 0.04) for each in (listener, other))
    assert ours["audio"].shape == (168,)
    assert ours["has_sound"]
    np.testing.assert_array_equal(ours["audio"], theirs["audio"])
    with pytest.raises(UsageError, match="whole clip"):
        Listener(AnalysisConfig(audio=AudioConfig(normalise="clip")))


def test_an_hour_at_once_is_refused() -> None:
    with pytest.raises(UsageError, match="at a time"):
        Listener(VOICE).push(np.zeros(61 * 1000, np.float32), 1000, 0)
