"""The artificial voice is as high, as loud and as silent as it is told."""

from __future__ import annotations

import numpy as np
import pytest

from avaffect.config import SAMPLE_RATE
from avaffect.datasets.synth.voice import CONTROL_RATE, Speech, SynthVoice, random_voice, speak

LENGTH = 200
FLAT = np.zeros(LENGTH)
VOICE = SynthVoice(hertz=200.0, gain_db=-27.0, noise_db=-60.0)


def spoken(pitch=0.0, energy=0.5, speaking=1.0, voice=VOICE):
    speech = Speech(FLAT + pitch, FLAT + energy, FLAT + speaking)
    return speak(voice, speech, np.random.default_rng(3)).astype(np.float64)


def loudness(sound):
    return 20 * np.log10(np.sqrt(np.mean(sound**2)))


def hertz(sound):
    """The lag at which the sound is most like itself."""
    spectrum = np.abs(np.fft.rfft(sound, 2 * len(sound))) ** 2
    like = np.fft.irfft(spectrum)
    lags = np.arange(SAMPLE_RATE // 400, SAMPLE_RATE // 80)
    return SAMPLE_RATE / lags[np.argmax(like[lags])]


def test_length_type_and_range() -> None:
    sound = speak(VOICE, Speech(FLAT, FLAT + 1, FLAT + 1), np.random.default_rng(0))
    assert sound.dtype == np.float32
    assert len(sound) == LENGTH * SAMPLE_RATE // CONTROL_RATE
    assert 0.05 < np.abs(sound).max() <= 1


@pytest.mark.parametrize(("pitch", "expected"), [(-1, 141.4), (0, 200), (1, 282.8)])
def test_pitch(pitch: int, expected: float) -> None:
    assert hertz(spoken(pitch=pitch)) == pytest.approx(expected, rel=0.04)


def test_high_is_bright() -> None:
    def share_above(sound, limit):
        power = np.abs(np.fft.rfft(sound)) ** 2
        return power[np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE) > limit].sum() / power.sum()

    assert share_above(spoken(pitch=1), 1000) > 1.5 * share_above(spoken(pitch=-1), 1000)


def test_energy_is_loudness_and_rate() -> None:
    soft, loud = spoken(energy=0.0), spoken(energy=1.0)
    assert loudness(loud) - loudness(soft) == pytest.approx(24, abs=3)

    def syllables(sound):
        # The hiss at the start of each, above everything that is voiced.
        spectrum = np.fft.rfft(sound)
        spectrum[: len(spectrum) * 15 // 16] = 0
        hiss = np.abs(np.fft.irfft(spectrum)).reshape(LENGTH // 2, -1).mean(axis=1)
        above = hiss > 0.3 * hiss.max()
        return int((above[1:] & ~above[:-1]).sum())

    assert 4 <= syllables(soft) <= 8
    assert 10 <= syllables(loud) <= 14


def test_a_pause_is_silent_but_for_the_room() -> None:
    voice = SynthVoice(gain_db=-20.0, noise_db=-30.0)
    assert loudness(spoken(speaking=0.0, voice=voice)) == pytest.approx(-50, abs=0.5)
    assert loudness(spoken(voice=voice)) > -45


def test_what_is_heard_is_nothing_in_a_pause() -> None:
    speaking = np.repeat([1.0, 0.0], LENGTH // 2)
    pitch, energy = Speech(FLAT - 0.5, FLAT + 0.75, speaking).at(np.array([0.5, 1.5, 9.0]))
    np.testing.assert_allclose(pitch, [-0.5, 0, 0])
    np.testing.assert_allclose(energy, [0.75, 0, 0])


def test_loudest_voice_does_not_clip() -> None:
    for seed in range(5):
        voice = random_voice(np.random.default_rng(seed))
        assert np.abs(spoken(pitch=1, energy=1.0, voice=voice)).max() < 1


def test_seed() -> None:
    speech = Speech(FLAT, FLAT + 0.5, FLAT + 1)
    first, same, other = (speak(VOICE, speech, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="length"):
        Speech(FLAT, FLAT, FLAT[1:])
