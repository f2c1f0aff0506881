"""The pitch of tones of known height, over the borders of blocks, and on another clock."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from avaffect.config import SAMPLE_RATE
from avaffect.sound import pitch
from avaffect.sound.pitch import STEP_S, Pitch, measure_pitch


def write(path: Path, samples: np.ndarray) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((samples * 20_000).round().astype("<i2").tobytes())
    return path


def voice(hz: float, seconds: float) -> np.ndarray:
    """Eight harmonics, softer and softer."""
    at = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    parts = np.array([np.sin(2 * np.pi * hz * k * at) / k for k in range(1, 9)])
    return parts.sum(axis=0) / 3


@pytest.mark.parametrize("block", [2000, 130])
def test_tones_of_known_height(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pitch, "_BLOCK", block)
    parts = [voice(110, 1.5), np.zeros(SAMPLE_RATE), voice(220, 1.5), voice(401, 0.7)]
    found = measure_pitch(write(tmp_path / "a.wav", np.concatenate(parts)))
    at = np.arange(len(found.f0)) * STEP_S
    assert abs(at[-1] - 4.7) <= 0.011
    for hz, start, end in [(110, 0.1, 1.4), (220, 2.6, 3.9), (401, 4.1, 4.6)]:
        mine = found.f0[(at > start) & (at < end)]
        assert np.isfinite(mine).mean() > 0.95
        # Steps are a fifth of a semitone, so that half of one is 0.6 %.
        assert np.nanmax(np.abs(mine / hz - 1)) < 0.01
    assert np.isnan(found.f0[(at > 1.6) & (at < 2.4)]).all()


def test_shorter_than_a_window(tmp_path: Path) -> None:
    assert len(measure_pitch(write(tmp_path / "a.wav", np.zeros(100))).f0) == 1
    assert len(measure_pitch(write(tmp_path / "b.wav", np.zeros(0))).f0) == 0


def test_on_the_frames_clock() -> None:
    f0 = np.full(100, np.nan)
    f0[40:60] = 200.0
    f0[50:60:2] = 100.0
    found = Pitch(f0, np.linspace(0, 1, 100))
    hz, likely = found.at(np.array([0.1, 0.45, 0.55, 0.4, 0.38, 0.98, 5.0]))
    assert np.isnan(hz[[0, 4, 5, 6]]).all() and np.isnan(likely[6])
    assert hz[1] == pytest.approx(200) and hz[3] == pytest.approx(200)
    assert hz[2] == pytest.approx(100 * 2 ** (3 / 5)) or hz[2] == pytest.approx(100 * 2 ** (2 / 5))
    assert likely[1] == pytest.approx(45 / 99)
