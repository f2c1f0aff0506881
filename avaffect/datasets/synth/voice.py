"""An artificial voice: harmonics of a pitch, shaped by the resonances of a throat.

A source of harmonics that fall off with frequency, as a voice's do, goes through formants that
glide from vowel to vowel, one a syllable (Klatt, "Software for a cascade/parallel formant
synthesizer", JASA 1980, in its simplest form). There are no words, and nobody spoke them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE
from avaffect.errors import UsageError

CONTROL_RATE = 100
"""Values a second of a :class:`Speech`."""

Floats = NDArray[np.float64]

# First three formants in hertz of a, e, i, o, u and a neutral vowel (Peterson and Barney 1952).
_VOWELS = np.array(
    [
        [730.0, 1090.0, 2440.0],
        [530.0, 1840.0, 2480.0],
        [270.0, 2290.0, 3010.0],
        [570.0, 840.0, 2410.0],
        [300.0, 870.0, 2240.0],
        [500.0, 1500.0, 2500.0],
    ]
)
_BANDWIDTHS = np.array([90.0, 120.0, 180.0])
_HARMONICS = 36
_TOP_HZ = 7000.0
# What the voice does at its lowest and its highest: octaves, decibels, syllables a second.
_PITCH_OCTAVES = 0.5
_BRIGHTNESS_DB = 6.0
_LOUDNESS_DB = 12.0
_RATE = (3.0, 6.0)


@dataclass(frozen=True)
class SynthVoice:
    """How one artificial person sounds.

    Attributes:
        hertz: the pitch when it is neither high nor low.
        formants: factor of all formants; a longer throat has lower ones.
        gain_db: how loud the recording is; 0 is a root mean square of 1 in the midst of a
            syllable of medium energy.
        noise_db: how loud the room is, relative to the voice.
    """

    hertz: float = 160.0
    formants: float = 1.0
    gain_db: float = -27.0
    noise_db: float = -40.0


@dataclass(frozen=True, eq=False)
class Speech:
    """The state of a voice, :data:`CONTROL_RATE` times a second.

    Attributes:
        pitch: float64 [K], -1 (low and dull) to 1 (high and bright).
        energy: float64 [K], 0 (soft and slow) to 1 (loud and fast).
        speaking: float64 [K], 0 in a pause, 1 in a phrase, smooth between them.
    """

    pitch: Floats
    energy: Floats
    speaking: Floats

    def __post_init__(self) -> None:
        if not len(self.pitch) == len(self.energy) == len(self.speaking):
            raise UsageError("pitch, energy and speaking differ in length")

    def at(self, times: Floats) -> tuple[Floats, Floats]:
        """Pitch and energy at some times (seconds).

        Returns:
            float64 [N], the pitch, -1..1 (0 in a pause), and float64 [N], the energy, 0..1 (0 in
            a pause).
        """
        place = np.arange(len(self.pitch)) / CONTROL_RATE
        pitch = np.interp(times, place, self.speaking * self.pitch)
        return pitch, np.interp(times, place, self.speaking * self.energy)


def random_voice(rng: np.random.Generator) -> SynthVoice:
    """Someone's voice, or other's."""
    high = rng.random()
    return SynthVoice(
        hertz=round(105 * 2**high, 1),
        formants=round(0.92 + 0.18 * high + rng.uniform(-0.03, 0.03), 3),
        gain_db=round(rng.uniform(-28, -26), 1),
        noise_db=round(rng.uniform(-50, -36), 1),
    )


def speak(voice: SynthVoice, speech: Speech, rng: np.random.Generator) -> NDArray[np.float32]:
    """The sound.

    Args:
        voice: whose.
        speech: what the voice does.
        rng: of vowels, consonants and noise.

    Returns:
        float32 [K / CONTROL_RATE * SAMPLE_RATE] in -1..1.
    """
    length = len(speech.pitch) * SAMPLE_RATE // CONTROL_RATE
    control = np.arange(len(speech.pitch)) / CONTROL_RATE
    times = np.arange(length) / SAMPLE_RATE

    rate = _RATE[0] + (_RATE[1] - _RATE[0]) * speech.energy
    syllable = np.cumsum(rate) / CONTROL_RATE + rng.random()
    vowels = rng.integers(0, len(_VOWELS), int(syllable[-1]) + 2)
    formants = voice.formants * _glide(_VOWELS[vowels][syllable.astype(int)])
    # Each syllable swells and fades, and begins with the hiss of a consonant.
    phase = syllable % 1.0
    swell = 0.5 + 0.5 * np.sin(np.pi * phase) ** 2
    hiss = np.where(phase < 0.2, np.sin(np.pi * phase / 0.2), 0.0)
    melody = 0.03 * np.sin(2 * np.pi * 0.7 * control + 2 * np.pi * rng.random())
    hertz = voice.hertz * 2 ** (_PITCH_OCTAVES * speech.pitch + melody)
    tilt = 12.0 - _BRIGHTNESS_DB * speech.pitch  # decibels an octave
    loud = speech.speaking * 10 ** (_LOUDNESS_DB * (2 * speech.energy - 1) / 20)

    cycles = np.cumsum(np.interp(times, control, hertz)) / SAMPLE_RATE
    gains = [
        10 ** (-tilt * np.log2(number) / 20)
        * _resonance(number * hertz, formants)
        * (number * hertz < _TOP_HZ)
        for number in range(1, _HARMONICS + 1)
    ]
    # Loudness says nothing of pitch or vowel.
    level = loud * swell / np.sqrt(np.square(gains).sum(axis=0) / 2)
    sound = np.zeros(length)
    for number, gain in enumerate(gains, start=1):
        sound += np.interp(times, control, level * gain) * np.sin(2 * np.pi * number * cycles)
    noise = rng.standard_normal(length)
    # The difference of white noise rises with frequency, as an s does.
    sound += 0.15 * np.interp(times, control, loud * hiss) * np.diff(noise, prepend=0.0)
    sound += 10 ** (voice.noise_db / 20) * rng.standard_normal(length)
    return np.clip(10 ** (voice.gain_db / 20) * sound, -1, 1).astype(np.float32)


def _glide(values: Floats) -> Floats:
    """Float [K, 3] without jumps: the mean of 80 ms."""
    width = CONTROL_RATE // 12
    padded = np.pad(values, ((width // 2, width - 1 - width // 2), (0, 0)), mode="edge")
    sums = np.cumsum(np.concatenate([np.zeros((1, 3)), padded]), axis=0)
    return (sums[width:] - sums[:-width]) / width


def _resonance(pitch: Floats, formants: Floats) -> Floats:
    """Gain of a throat at a frequency: float [K] for frequencies [K] and formants [K, 3]."""
    off = (pitch[:, None] - formants) / _BANDWIDTHS
    return (np.array([1.0, 0.7, 0.5]) / np.sqrt(1 + off * off)).sum(axis=1) + 0.02
