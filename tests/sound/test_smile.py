"""openSMILE's descriptors, where it is installed, and one line where it is not."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from avaffect.config import SAMPLE_RATE
from avaffect.errors import UnknownNameError, UsageError
from avaffect.sound import smile
from avaffect.sound.smile import measure_smile


@pytest.fixture
def tone(tmp_path: Path) -> Path:
    """Three seconds of a voice of 150 Hz."""
    at = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    samples = sum(np.sin(2 * np.pi * 150 * k * at) / k for k in range(1, 8)) * 8000
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())
    return tmp_path / "a.wav"


def test_a_known_tone(tone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("opensmile")
    monkeypatch.setattr(smile, "_BLOCK_S", 1)
    found = measure_smile(tone, "eGeMAPSv02", np.array([0.5, 1.0, 1.02, 2.5, 9.0]))
    assert len(found) == 25
    f0 = 27.5 * 2 ** (found["F0semitoneFrom27.5Hz_sma3nz"] / 12)
    np.testing.assert_allclose(f0[:4], 150, rtol=0.01)
    assert np.isnan(f0[4])


def test_pieces_overlap_and_cover_all(tone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smile, "_BLOCK_S", 1)
    monkeypatch.setattr(smile, "_BESIDE_S", 0.25)
    found = [(len(x), offset, begin, end) for x, offset, begin, end in smile._pieces(tone)]
    assert found == [
        (20_000, 0, 0, 1), (24_000, 0.75, 1, 2), (20_000, 1.75, 2, float("inf")),
    ]  # fmt: skip


def test_without_it_one_line_says_so(tone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smile, "is_installed", lambda name: False)
    with pytest.raises(UsageError, match="pip install opensmile"):
        measure_smile(tone, "eGeMAPSv02", np.zeros(1))
    with pytest.raises(UnknownNameError, match="eGeMAPSv02"):
        measure_smile(tone, "egemaps", np.zeros(1))
