"""What the voice net hears: 40 MFCC and 128 mel bands of each row of sound, by NumPy alone.

The same features as ``sound.mfcc`` to 1e-4, but not by librosa. The net was trained with exactly
these numbers, and every `avaffect predict` listens: librosa and what it brings (numba, a
compiler) would be imported each time, for seconds and 100 MB. What is stored as ``audio`` comes
from ``sound.mfcc``.

Spectra are taken in double precision: bands 80 dB below a pure tone would otherwise hold the
FFT's rounding noise.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE
from avaffect.sound.frame_windows import Floats, Sound, fft_size, frame_windows, window_samples
from avaffect.sound.mel import dct

MFCC = 40
MEL = 128
WIDTH = MFCC + MEL
"""Features a row."""

_FFT = 2048
_FLOOR = 1e-10
_TOP_DB = 80.0


def speech_features(sound: Sound, times: NDArray[np.float64]) -> Iterator[Floats]:
    """Float32 [n, WIDTH] for consecutive rows, in order, in bounded memory.

    MFCC first, then the bands in decibels, each row at most 80 dB below its own loudest band.

    Args:
        sound: see ``frame_windows.frame_windows``.
        times: float64 [N], the rows' times in seconds, never decreasing.

    Raises:
        FeatureError: the wav cannot be read or is not mono 16 kHz.
    """
    length = window_samples(times)
    n_fft = fft_size(length, _FFT)
    hann = np.hanning(length + 1)[:-1]
    filters = mel_filters(n_fft, MEL).astype(np.float32)
    cosines = dct(np.eye(MEL))[:, :MFCC]
    for windows in frame_windows(sound, times, n_fft):
        spectrum = np.fft.rfft(windows.samples * hann, n=n_fft)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        bands = (power.astype(np.float32) @ filters).astype(np.float64)
        decibels = 10 * np.log10(np.maximum(bands, _FLOOR))
        decibels = np.maximum(decibels, decibels.max(axis=1, keepdims=True) - _TOP_DB)
        yield np.concatenate([decibels @ cosines, decibels], axis=1).astype(np.float32)


def mel_edges(bands: int) -> NDArray[np.float64]:
    """float64 [bands + 2], hertz of where Slaney's triangular filters over 0..8 kHz begin and end.

    Band i reaches from edge i to edge i + 2; its peak is at edge i + 1.
    """
    # The scale is linear up to 1 kHz = 15 mel, then logarithmic: 27 mel for a factor of 6.4.
    top = 15 + 27 * np.log(SAMPLE_RATE / 2 / 1000) / np.log(6.4)
    mels = np.linspace(0, top, bands + 2)
    return np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))


def mel_filters(n_fft: int, bands: int) -> NDArray[np.float64]:
    """Float64 [n_fft // 2 + 1, bands], those filters, each of unit area per Hz."""
    edges = mel_edges(bands)
    bins = np.linspace(0, SAMPLE_RATE / 2, n_fft // 2 + 1)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])
