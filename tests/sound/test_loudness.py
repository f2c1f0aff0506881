"""How loud a sound is: tones of known level, where there is none, and what was left out."""

from __future__ import annotations

import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avaffect.config import SAMPLE_RATE
from avaffect.errors import MediaError
from avaffect.media.sound import SoundInfo
from avaffect.sound.loudness import SILENCE_DB, Loudness

INFO = SoundInfo(2 * SAMPLE_RATE, SAMPLE_RATE, 2.0, 0.5, 1.5, 0)


def write(path: Path, samples: np.ndarray, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((samples * 32767).round().astype("<i2").tobytes())
    return path


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """Two seconds: silence, then from 0.5 to 1.5 s a sine of amplitude 0.1."""
    at = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    there = (at >= 0.5) & (at < 1.5)
    return write(tmp_path / "tone.wav", 0.1 * np.sin(2 * np.pi * 400 * at) * there)


def test_a_sine_is_3_db_below_its_amplitude(tone: Path) -> None:
    level = Loudness.of(tone).at(np.array([0.2, 1.0, 1.7]))
    np.testing.assert_allclose(level, [SILENCE_DB, -23.01, SILENCE_DB], atol=0.02)


def test_it_is_missing_where_there_is_no_sound(tone: Path) -> None:
    loudness = Loudness.of(tone, INFO)
    level = loudness.at(np.array([-1, 0.3, 0.51, 1.0, 1.49, 1.7, 9]))
    assert np.isnan(level).tolist() == [True, True, False, False, False, True, True]
    # What lies before the sound does not count as silence in it.
    np.testing.assert_allclose(level[2:5], -23.01, atol=0.1)
    assert np.isnan(Loudness.of(tone, replace(INFO, start_s=0, end_s=0)).at(np.ones(1))).all()


def test_times_behind_a_cut_are_found_again(tone: Path) -> None:
    cut = replace(INFO, start_s=0, end_s=102.0, cuts=((0.25, 100.0),))
    assert Loudness.of(tone, cut).at(np.array([101.0]))[0] == pytest.approx(-23.01, abs=0.02)


def test_two_channels_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "two.wav", np.zeros(SAMPLE_RATE), channels=2)
    with pytest.raises(MediaError, match="2 channels"):
        Loudness.of(path)
