"""Sound features: 40 MFCC and 128 mel bands per video frame (ABAW1, Rasipuram et al., I-B.1).

The paper asks for "N windows for N frames with 50 % overlap", see ``sound.frame_windows``. Each
window is treated alone: Hann window, zero-padding to the FFT size, power spectrum, Slaney's mel
bands, decibels (re 1.0, floor 1e-10, at most 80 dB below the window's own maximum), orthonormal
DCT-II. All of it is librosa's, given many windows at once as channels; where that is not installed
NumPy's, to the same bit (``sound.mel``); on a CUDA device it is torchaudio's. Spectra are taken in
double precision: bands 80 dB below a pure tone would otherwise hold the FFT's rounding noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE, AudioConfig
from avaffect.errors import UsageError
from avaffect.extras import is_installed
from avaffect.files.npy import ArraySpec
from avaffect.moments import Moments
from avaffect.progress import EventCallback, Progress, ignore_events
from avaffect.sound.frame_windows import Floats, Sound, fft_size, frame_windows, window_samples
from avaffect.sound.mel import band_power, dct, decibels

Rows = Callable[[Floats], Floats]

FLOOR = 1e-10
TOP_DB = 80.0
# Below float32's own resolution a column is constant.
_SINGLE = 1e-7


class AudioChunk(NamedTuple):
    """The features of some consecutive frames.

    Attributes:
        start: index of the first frame (0-based).
        values: float32 [n, n_mfcc + n_mels], MFCC, then mel bands from the lowest on.
        has_sound: bool [n], False where a frame's whole window lies before or behind the sound.
    """

    start: int
    values: Floats
    has_sound: NDArray[np.bool_]


def audio_specs(config: AudioConfig) -> dict[str, ArraySpec]:
    """The arrays that :class:`AudioChunk` fills, by name: ``audio`` and ``has_sound``."""
    return {
        "audio": ArraySpec((config.n_mfcc + config.n_mels,), "float32"),
        "has_sound": ArraySpec((), "bool"),
    }


def audio_features(
    sound: Sound,
    times: NDArray[np.float64],
    config: AudioConfig,
    device: str = "cpu",
    on_event: EventCallback = ignore_events,
) -> Iterator[AudioChunk]:
    """Features of the sound around every video frame, in frame order, in bounded memory.

    Sound before the beginning and behind the end counts as silence (zeros).

    With ``config.normalise == "clip"`` the sound is read twice, first for the mean and standard
    deviation of each column over the frames that have sound; frames without get zeros, the mean.
    A constant column becomes zero.

    Args:
        sound: see ``frame_windows.frame_windows``. A one-shot iterator cannot be normalised.
        times: float64 [N], each frame's time in seconds, never decreasing.
        config: see :class:`~avaffect.config.AudioConfig`.
        device: ``cpu`` for librosa or NumPy, or a torch device such as ``cuda`` for torchaudio.

    Raises:
        FeatureError: the wav cannot be read or is not mono 16 kHz.
        UsageError: times decrease or are not finite, or the sound cannot be read twice.
    """
    times = np.asarray(times, dtype=np.float64)
    if times.ndim != 1 or not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise UsageError("times must be one finite, never decreasing number per frame")
    clip = config.normalise == "clip"
    if clip and not isinstance(sound, str | Path) and iter(sound) is sound:
        raise UsageError("the sound is an iterator, which cannot be read twice to normalise it")
    if clip:
        return _normalised(sound, times, config, device, on_event)
    chunks = _raw(sound, times, config, device)
    return _counted(chunks, len(times), len(times), on_event)


def _raw(
    sound: Sound, times: NDArray[np.float64], config: AudioConfig, device: str
) -> Iterator[AudioChunk]:
    length = window_samples(times)
    n_fft = fft_size(length, config.n_fft)
    if device != "cpu":
        rows = by_torchaudio(config, length, n_fft, device)
    elif is_installed("librosa"):
        rows = by_librosa(config, length, n_fft)
    else:
        rows = by_numpy(config, length, n_fft)
    for windows in frame_windows(sound, times, n_fft):
        yield AudioChunk(windows.start, rows(windows.samples), windows.has_sound)


def by_librosa(config: AudioConfig, length: int, n_fft: int) -> Rows:
    """A function from windows, float32 [n, L], to their features, float32 [n, n_mfcc + n_mels].

    Args:
        config: the settings.
        length: L, samples of a window.
        n_fft: size of the FFT.
    """
    import librosa

    padding = _padding(length, n_fft)

    def rows(windows: Floats) -> Floats:
        power = librosa.feature.melspectrogram(
            y=np.pad(windows.astype(np.float64), ((0, 0), padding)),
            sr=SAMPLE_RATE,
            n_fft=n_fft,
            win_length=length,
            hop_length=n_fft,
            center=False,
            n_mels=config.n_mels,
        )
        # [n, n_mels, 1]; librosa's own top_db would be below the loudest of all windows.
        decibels = librosa.power_to_db(power, ref=1.0, amin=FLOOR, top_db=None)
        decibels = np.maximum(decibels, decibels.max(axis=1, keepdims=True) - TOP_DB)
        mfcc = librosa.feature.mfcc(S=decibels, n_mfcc=config.n_mfcc)
        mel = decibels if config.mel_scale == "log" else power
        return np.concatenate([mfcc, mel], axis=1)[:, :, 0].astype(np.float32)

    return rows


def by_numpy(config: AudioConfig, length: int, n_fft: int) -> Rows:
    """As :func:`by_librosa`, bit for bit, where librosa is not installed."""
    padding = _padding(length, n_fft)

    def rows(windows: Floats) -> Floats:
        padded = np.pad(windows.astype(np.float64), ((0, 0), padding))
        power = band_power(padded, length, config.n_mels)
        loudness = decibels(power, FLOOR)
        loudness = np.maximum(loudness, loudness.max(axis=1, keepdims=True) - TOP_DB)
        mfcc = dct(loudness)[:, : config.n_mfcc]
        mel = loudness if config.mel_scale == "log" else power
        return np.concatenate([mfcc, mel], axis=1).astype(np.float32)

    return rows


def by_torchaudio(config: AudioConfig, length: int, n_fft: int, device: str) -> Rows:
    """As librosa to 2e-3, since torchaudio makes filters and cosines in single precision.

    Args:
        config: the settings.
        length: samples of a window.
        n_fft: size of the FFT.
        device: a torch device.
    """
    import torch
    from torchaudio.functional import amplitude_to_DB, create_dct
    from torchaudio.transforms import MelSpectrogram

    padding = _padding(length, n_fft)
    cosines = create_dct(config.n_mfcc, config.n_mels, norm="ortho").to(device).double()
    spectrogram = MelSpectrogram(
        SAMPLE_RATE,
        n_fft=n_fft,
        win_length=length,
        hop_length=n_fft,
        center=False,
        n_mels=config.n_mels,
        norm="slaney",
        mel_scale="slaney",
    )
    spectrogram = spectrogram.to(device).double()

    def rows(windows: Floats) -> Floats:
        samples = torch.from_numpy(windows).to(device).double()
        power = spectrogram(torch.nn.functional.pad(samples, padding))[:, :, 0]
        decibels = amplitude_to_DB(power, 10.0, FLOOR, 0.0)
        decibels = torch.maximum(decibels, decibels.amax(1, keepdim=True) - TOP_DB)
        mel = decibels if config.mel_scale == "log" else power
        features: Floats = torch.cat([decibels @ cosines, mel], dim=1).float().cpu().numpy()
        return features

    return rows


def _padding(length: int, n_fft: int) -> tuple[int, int]:
    """Zeros before and behind a window, so that it lies in the middle of the FFT."""
    missing = n_fft - length
    return missing // 2, missing - missing // 2


def _counted(
    chunks: Iterable[AudioChunk], total: int, frames: int, on_event: EventCallback, done: int = 0
) -> Iterator[AudioChunk]:
    """Pass ``chunks`` on and report them."""
    for chunk in chunks:
        yield chunk
        on_event(Progress("audio", done + chunk.start + len(chunk.values), total))
    if done + frames == total:
        on_event(Progress("audio", total, total, finished=True))


def _normalised(
    sound: Sound,
    times: NDArray[np.float64],
    config: AudioConfig,
    device: str,
    on_event: EventCallback,
) -> Iterator[AudioChunk]:
    frames = len(times)
    moments = Moments(config.n_mfcc + config.n_mels)
    for chunk in _counted(_raw(sound, times, config, device), 2 * frames, frames, on_event):
        moments.add(chunk.values, chunk.has_sound)
    mean, deviation = moments.result(_SINGLE, constant=np.inf)
    again = _counted(_raw(sound, times, config, device), 2 * frames, frames, on_event, frames)
    for chunk in again:
        scaled = ((chunk.values - mean) / deviation).astype(np.float32)
        scaled[~chunk.has_sound] = 0
        yield chunk._replace(values=scaled)


AUDIO = ("audio", "has_sound")


SOUND = (*AUDIO, "voice")
"""The arrays that are made of sound, each if the configuration asks for it."""
