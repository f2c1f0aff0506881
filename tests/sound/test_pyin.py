"""The pitch is librosa's, to the value: tests/sound/pyin.json holds what it said.

It was written by ``python tests/sound/test_pyin.py``, which is no part of the tests: Numba, which
compiles librosa's as it is called, crashed on one of the machines that run them.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE
from avaffect.sound import pyin as module
from avaffect.sound.pyin import FRAME, HIGHEST_HZ, HOP, LOWEST_HZ, pyin

THEIRS = Path(__file__).with_name("pyin.json")
# A step is a fifth of a semitone; half a step off is the rounding of another processor.
STEP = 2 ** (1 / 60)


def glide(noise: float) -> NDArray[np.float32]:
    """Two words that glide and tremble, the second an octave higher, with noise and silence."""
    at = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    octaves = 0.3 * np.sin(2 * np.pi * at) + 0.02 * np.sin(30 * at)
    hz = np.where(at < 1.5, 110, 220) * 2**octaves
    phase = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE
    loud = np.clip(np.sin(2 * np.pi * at / 1.5), 0, 1) * (at < 2.7)
    voice = loud * sum(np.sin(k * phase) / k for k in range(1, 9)) / 3
    hiss = np.random.default_rng(7).normal(0, noise, len(at)) * (at < 2.7)
    return (voice + hiss).astype(np.float32)


SOUNDS = {
    "clean": glide(0.0),
    "noisy": glide(0.05),
    "noise": glide(0.0) * 0 + np.random.default_rng(1).normal(0, 0.1, 48_000).astype(np.float32),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_the_pitch_is_librosas(name: str) -> None:
    theirs = json.loads(THEIRS.read_text("utf-8"))[name]
    hz = np.array([np.nan if value is None else value for value in theirs["hz"]])
    ours, voiced = pyin(SOUNDS[name])
    assert len(ours) == len(voiced) == len(hz) == 301
    # Rounding may turn a value that lies between two steps.
    same = np.isclose(ours, hz, rtol=STEP - 1, equal_nan=True)
    assert same.mean() > 0.99
    assert np.isclose(voiced, theirs["voiced"], atol=0.011).mean() > 0.99
    assert voiced.min() >= 0 and voiced.max() <= 1


def test_the_reference_says_something() -> None:
    theirs = json.loads(THEIRS.read_text("utf-8"))
    known = {name: sum(value is not None for value in theirs[name]["hz"]) for name in theirs}
    assert known["clean"] > 150 and known["noisy"] > 100 and known["noise"] < 30


@pytest.mark.parametrize("samples", [0, 1, HOP - 1, HOP, FRAME + 1])
def test_one_value_a_hop_of_whatever_length(samples: int) -> None:
    f0, voiced = pyin(np.zeros(samples, np.float32))
    assert f0.shape == voiced.shape == (1 + samples // HOP,)
    assert np.isnan(f0).all() and (voiced == 0).all()


@given(hz=st.floats(LOWEST_HZ * 1.05, HIGHEST_HZ / 1.05), loud=st.floats(1e-3, 1))
def test_a_tone_is_its_own_pitch_however_loud(hz: float, loud: float) -> None:
    at = np.arange(SAMPLE_RATE // 4) / SAMPLE_RATE
    tone = loud * sum(np.sin(2 * np.pi * hz * k * at) / k for k in range(1, 5)) / 2
    found = pyin(tone.astype(np.float32))[0][5:-5]
    assert np.isfinite(found).all()
    # Half a step of rounding, and what YIN itself is off.
    assert np.abs(np.log(found / hz)).max() < 1.5 * np.log(STEP)


def test_the_likelihoods_of_thresholds_and_moves_are_whole() -> None:
    assert module._CHANCES.sum() == pytest.approx(1)
    # From each pitch, all that it may move to.
    gone = np.zeros(module._PITCHES)
    for to, row in enumerate(np.exp(module._MOVES)):
        for offset, share in zip(range(-module._REACH, module._REACH + 1), row, strict=True):
            if 0 <= to + offset < module._PITCHES:
                gone[to + offset] += share
    np.testing.assert_allclose(gone, 1)


def _write() -> None:
    import librosa

    said = {}
    for name, sound in SOUNDS.items():
        hz, _, voiced = librosa.pyin(
            sound,
            fmin=LOWEST_HZ,
            fmax=HIGHEST_HZ,
            sr=SAMPLE_RATE,
            frame_length=FRAME,
            hop_length=HOP,
            resolution=0.2,
        )
        said[name] = {
            "hz": [None if np.isnan(value) else round(value, 3) for value in hz],
            "voiced": [round(value, 4) for value in voiced],
        }
    THEIRS.write_text(json.dumps(said) + "\n", "utf-8")


if __name__ == "__main__":
    _write()
