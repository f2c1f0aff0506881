"""What a microphone may make of a voice: rooms, noise, bands, codecs, loudness; and its features.

All sounds are mono float32 at 16 kHz. Everything random comes from a generator that is given, so
that the same seed makes the same sounds.
"""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE, AudioConfig
from avaffect.media.ffmpeg import ffmpeg_binary
from avaffect.sound.front_end import speech_features

Sound = NDArray[np.float32]
Rng = np.random.Generator

RATE_HZ = 50
STEP = SAMPLE_RATE // RATE_HZ
MFCC = AudioConfig().n_mfcc

# ffmpeg's options behind the input, and the container; a rate of 8 kHz is a telephone's.
CODECS: dict[str, tuple[str, ...]] = {
    "opus8": ("-c:a", "libopus", "-b:a", "8k", "-application", "voip", "-f", "ogg"),
    "opus12": ("-c:a", "libopus", "-b:a", "12k", "-application", "voip", "-f", "ogg"),
    "opus16": ("-c:a", "libopus", "-b:a", "16k", "-application", "voip", "-f", "ogg"),
    "mp3": ("-c:a", "libmp3lame", "-b:a", "32k", "-f", "mp3"),
    "aac": ("-c:a", "aac", "-b:a", "32k", "-f", "adts"),
    "amr": ("-ar", "8000", "-c:a", "libopencore_amrnb", "-b:a", "7.95k", "-f", "amr"),
    "mulaw": ("-ar", "8000", "-c:a", "pcm_mulaw", "-f", "wav"),
}


def speech_span(sound: Sound, below_db: float = 30.0) -> tuple[int, int]:
    """First and last sample of the speech in a studio take: what is not much below its loudest."""
    rows = len(sound) // STEP
    power = np.square(sound[: rows * STEP].reshape(rows, STEP)).mean(axis=1)
    loud = np.flatnonzero(power > np.quantile(power, 0.98) * 10 ** (-below_db / 10))
    return int(loud[0]) * STEP, (int(loud[-1]) + 1) * STEP


def faded(sound: Sound, seconds: float = 0.02) -> Sound:
    """Without clicks at its ends."""
    count = min(round(seconds * SAMPLE_RATE), len(sound) // 2)
    ramp = np.linspace(0, 1, count, dtype=np.float32)
    out = sound.copy()
    out[:count] *= ramp
    out[len(out) - count :] *= ramp[::-1]
    return out


def played(sound: Sound, speed: float) -> Sound:
    """Faster and higher, or slower and lower."""
    from scipy.signal import resample_poly

    return resample_poly(sound, 100, round(100 * speed)).astype(np.float32)


def room(sound: Sound, rt60_s: float, direct_db: float, rng: Rng) -> Sound:
    """In a room: some first reflections and a tail of noise that decays by 60 dB in ``rt60_s``.

    Args:
        sound: the voice.
        rt60_s: the room's reverberation time.
        direct_db: energy of the direct sound over that of everything reflected.
        rng: draws the room.
    """
    from scipy.signal import fftconvolve

    count = round(rt60_s * SAMPLE_RATE)
    at = np.arange(count) / SAMPLE_RATE
    response = rng.normal(size=count) * np.exp(-np.log(1000) * at / rt60_s)
    early = rng.integers(round(0.002 * SAMPLE_RATE), round(0.04 * SAMPLE_RATE), size=6)
    response[: early.min()] = 0
    size = np.abs(response).max()
    response[early[early < count]] += size * rng.choice([-1, 1], size=(early < count).sum())
    response *= np.sqrt(10 ** (-direct_db / 10) / np.square(response).sum())
    response[0] = 1
    return fftconvolve(sound, response)[: len(sound)].astype(np.float32)


def coloured(count: int, slope: float, rng: Rng) -> Sound:
    """Noise whose power falls as 1 / f^slope: white 0, pink 1, brown 2."""
    spectrum = np.fft.rfft(rng.normal(size=count))
    spectrum *= np.maximum(np.fft.rfftfreq(count, 1 / SAMPLE_RATE), 20.0) ** (-slope / 2)
    return np.fft.irfft(spectrum, count).astype(np.float32)


def hum(count: int, rng: Rng) -> Sound:
    """Mains at 50 or 60 Hz with harmonics, over a little noise."""
    at = np.arange(count) / SAMPLE_RATE
    base = rng.choice([50, 60])
    tones = [
        rng.uniform(0, 1) / k * np.sin(2 * np.pi * (base * k * at + rng.uniform()))
        for k in range(1, 13)
    ]
    return (np.sum(tones, axis=0) + 0.02 * rng.normal(size=count)).astype(np.float32)


def music(count: int, rng: Rng) -> Sound:
    """Three voices of notes with harmonics that fade, and a beat."""
    out = np.zeros(count)
    step = round(rng.uniform(0.15, 0.6) * SAMPLE_RATE)
    scale = np.array([0, 2, 4, 5, 7, 9, 11]) + rng.integers(12)
    decay, bright = rng.uniform(0.1, 1.0), rng.uniform(0.3, 0.9)
    for octave in (36, 48, 60):
        for begin in range(0, count, step * int(rng.choice([1, 2, 4]))):
            note = np.arange(min(2 * step, count - begin)) / SAMPLE_RATE
            hertz = 440 * 2 ** ((octave + rng.choice(scale) - 69) / 12)
            tone = sum(bright**k * np.sin(2 * np.pi * hertz * k * note) for k in range(1, 7))
            out[begin : begin + len(note)] += tone * np.exp(-note / decay)
    for begin in range(0, count, step):
        beat = rng.normal(size=min(1600, count - begin))
        out[begin : begin + len(beat)] += beat * np.exp(-np.arange(len(beat)) / 300)
    return out.astype(np.float32)


def babble(count: int, voices: Sequence[Sound], rng: Rng) -> Sound:
    """Some of ``voices`` at a time, each over and over."""
    out = np.zeros(count, np.float32)
    several = min(len(voices), int(rng.integers(3, 8)))
    for i in rng.choice(len(voices), size=several, replace=False):
        voice = voices[i] / (np.sqrt(np.square(voices[i]).mean()) + 1e-9)
        out += np.resize(np.roll(voice, rng.integers(len(voice))), count)
    return out


NOISES: dict[str, Callable[[int, Sequence[Sound], Rng], Sound]] = {
    "white": lambda count, voices, rng: coloured(count, 0, rng),
    "pink": lambda count, voices, rng: coloured(count, 1, rng),
    "brown": lambda count, voices, rng: coloured(count, 2, rng),
    "hum": lambda count, voices, rng: hum(count, rng),
    "music": lambda count, voices, rng: music(count, rng),
    "babble": babble,
}


def mixed(sound: Sound, noise: Sound, snr_db: float, speech: slice) -> Sound:
    """``sound`` with ``noise`` so much below the power of its part ``speech``."""
    power = np.square(sound[speech]).mean() / (np.square(noise).mean() + 1e-12)
    return sound + noise * np.float32(np.sqrt(power * 10 ** (-snr_db / 10)))


def band(sound: Sound, low_hz: float, high_hz: float) -> Sound:
    """Without what lies outside; 0 and half of the rate leave that side open."""
    from scipy.signal import butter, sosfilt

    for hertz, kind in ((low_hz, "highpass"), (high_hz, "lowpass")):
        if 0 < hertz < SAMPLE_RATE / 2:
            sound = sosfilt(butter(4, hertz, kind, fs=SAMPLE_RATE, output="sos"), sound)
    return sound.astype(np.float32)


def coded(sounds: Sequence[Sound], codec: str) -> list[Sound]:
    """Through a codec of :data:`CODECS` and back, all in one stream; lengths stay.

    Raises:
        CalledProcessError: this ffmpeg does not have it.
    """
    raw = ("-f", "f32le", "-ar", str(SAMPLE_RATE), "-ac", "1")
    begin = (ffmpeg_binary(), "-hide_banner", "-loglevel", "fatal")
    joined = np.concatenate(sounds).astype("<f4").tobytes()
    packed = _piped((*begin, *raw, "-i", "-", "-ac", "1", *CODECS[codec], "-"), joined)
    back = np.frombuffer(_piped((*begin, "-i", "-", *raw, "-"), packed), "<f4")
    lengths = [len(one) for one in sounds]
    back = np.pad(back, (0, max(0, sum(lengths) - len(back))))[: sum(lengths)]
    return [np.array(one) for one in np.split(back, np.cumsum(lengths)[:-1])]


def _piped(command: Sequence[str], data: bytes) -> bytes:
    return subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def recorded(sound: Sound, peak_db: float) -> Sound:
    """As a file of 16 bits whose peak is at ``peak_db`` re full scale; above 0 it clips."""
    scaled = sound * (10 ** (peak_db / 20) / (np.abs(sound).max() + 1e-9))
    return (np.round(np.clip(scaled, -1, 1) * 32767) / 32768).astype(np.float32)


@dataclass(frozen=True)
class Scene:
    """A voice somewhere.

    Attributes:
        sound: what is heard.
        speech: first and last sample of the voice.
        codec: what it has still to go through, None for nothing.
        peak_db: how loud it is recorded then; None leaves the level.
    """

    sound: Sound
    speech: tuple[int, int]
    codec: str | None = None
    peak_db: float | None = None


def training_scene(takes: Sequence[Sound], voices: Sequence[Sound], rng: Rng) -> Scene:
    """One or two takes of one emotion by one actor, somewhere.

    Args:
        takes: one or two, cut to their speech.
        voices: others that may babble.
        rng: draws everything.
    """
    gap = np.zeros(round(rng.uniform(0.1, 0.7) * SAMPLE_RATE), np.float32)
    parts = [faded(one) for one in takes]
    voice = parts[0] if len(parts) == 1 else np.concatenate([parts[0], gap, parts[1]])
    voice = played(voice, rng.uniform(0.9, 1.1))
    before, behind = (round(rng.uniform(0.6, 1.5) * SAMPLE_RATE) for _ in range(2))
    sound = np.pad(voice, (before, behind))
    speech = (before, before + len(voice))
    if rng.random() < 0.5:
        sound = room(sound, np.exp(rng.uniform(np.log(0.1), 0)), rng.uniform(-3, 12), rng)
    if rng.random() < 0.85:
        kind = rng.choice(list(NOISES))
        snr_db = rng.uniform(5 if kind == "babble" else 0, 30)
        sound = mixed(sound, NOISES[kind](len(sound), voices, rng), snr_db, slice(*speech))
    if rng.random() < 0.3:
        low = rng.uniform(60, 350) if rng.random() < 0.6 else 0
        high = rng.uniform(3000, 7000) if rng.random() < 0.6 else 0
        sound = band(sound, low, high)
    codec = rng.choice(list(CODECS)) if rng.random() < 0.5 else None
    return Scene(sound, speech, codec, rng.uniform(-35, 6))


def degraded_scene(take: Sound, voices: Sequence[Sound], rng: Rng) -> Scene:
    """A whole take in a room, with noise at 10 dB, through Opus at 16 kbit/s: for tests alone."""
    speech = speech_span(take)
    sound = room(take, rng.uniform(0.3, 0.7), rng.uniform(0, 8), rng)
    noise = NOISES[rng.choice(list(NOISES))](len(sound), voices, rng)
    return Scene(mixed(sound, noise, 10, slice(*speech)), speech, "opus16", -6)


def finished(scenes: Sequence[Scene]) -> list[Scene]:
    """Through the codecs, each once for all, and recorded."""
    out = list(scenes)
    for codec in CODECS:
        mine = [i for i, scene in enumerate(scenes) if scene.codec == codec]
        if mine:
            for i, sound in zip(mine, coded([scenes[i].sound for i in mine], codec), strict=True):
                out[i] = replace(out[i], sound=sound)
    return [
        one if one.peak_db is None else replace(one, sound=recorded(one.sound, one.peak_db))
        for one in out
    ]


def mel_rows(sound: Sound) -> NDArray[np.float16]:
    """The toolkit's 128 mel bands in decibels, 50 rows a second; the MFCC follow from them."""
    times = np.arange(-(-len(sound) // STEP)) / RATE_HZ
    chunks = speech_features([sound], times)
    return np.concatenate([values[:, MFCC:] for values in chunks]).astype(np.float16)


def load_take(data: bytes) -> Sound:
    """A recording as it is in its file; one not mono at 16 kHz is made so."""
    import soundfile

    sound, rate = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    mono = sound.mean(axis=1)
    if rate != SAMPLE_RATE:
        from scipy.signal import resample_poly

        # TESS's 24414 Hz would take a filter of 244,000 taps; this is right to 1 in 40,000.
        ratio = Fraction(SAMPLE_RATE, rate).limit_denominator(200)
        mono = resample_poly(mono, ratio.numerator, ratio.denominator)
    return mono.astype(np.float32)
