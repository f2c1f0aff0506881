"""What librosa makes of windows of sound, bit for bit, by NumPy alone: mel bands and their DCT.

For where librosa is not installed: it and what it brings (numba, a compiler) take 400 MB.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE

Doubles = NDArray[np.float64]

# Slaney's scale is linear up to this, then logarithmic: 27 mel for a factor of 6.4.
_LINEAR_HZ, _HZ_A_MEL = 1000.0, 200.0 / 3
_LOG_STEP = np.log(6.4) / 27.0


def band_power(windows: Doubles, length: int, n_mels: int) -> Doubles:
    """The power of each mel band, as ``librosa.feature.melspectrogram``.

    Args:
        windows: float64 [n, F], a window each, in the middle of as many samples as its FFT has.
        length: samples of the window proper.
        n_mels: number of bands, from 0 to 8 kHz.

    Returns:
        float64 [n, n_mels].
    """
    n_fft = windows.shape[1]
    before = (n_fft - length) // 2
    tapered = np.zeros(n_fft)
    tapered[before : before + length] = _hann(length)
    power = np.abs(np.fft.rfft(tapered * windows)) ** 2.0
    # As one product, like librosa: the sums of its columns are taken in the same order.
    return np.asarray(np.tensordot(power, _filters(n_fft, n_mels), (1, 1)))


def decibels(power: Doubles, floor: float) -> Doubles:
    """``power`` in decibels re 1, as ``librosa.power_to_db`` without a ``top_db``."""
    return np.asarray(10.0 * np.log10(np.maximum(floor, power)))


def dct(values: Doubles) -> Doubles:
    """The orthonormal DCT-II of each row of ``values`` [n, N], as ``scipy.fft.dct``.

    Through a real FFT of the same length (Makhoul, IEEE Transactions on Acoustics, Speech and
    Signal Processing 28, 1980).
    """
    length = values.shape[1]
    spectrum = np.zeros((len(values), length // 2 + 1), np.complex128)
    spectrum.real[:, 0] = 2 * values[:, 0]
    odd, even = values[:, 1:-1:2], values[:, 2::2]
    spectrum.real[:, 1 : 1 + even.shape[1]] = odd + even
    spectrum.imag[:, 1 : 1 + even.shape[1]] = even - odd
    if length % 2 == 0:
        spectrum.real[:, -1] = 2 * values[:, -1]
    turned = np.fft.irfft(spectrum, length, norm="forward") * (1 / np.sqrt(2 * length))
    angles = np.pi * np.arange(1, length) / (2 * length)
    cosine, sine = np.cos(angles), np.sin(angles)
    plain, mirrored = turned[:, 1:], turned[:, :0:-1]
    turned[:, 1:] = 0.5 * ((cosine * mirrored + sine * plain) + (cosine * plain - sine * mirrored))
    turned[:, 0] /= np.sqrt(2)
    return np.asarray(turned)


def _hann(length: int) -> Doubles:
    """As ``scipy.signal.get_window("hann", length)``."""
    if length == 1:
        return np.ones(1)
    return np.asarray(0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, length + 1)))[:-1]


@cache
def _filters(n_fft: int, n_mels: int) -> NDArray[np.float32]:
    """Slaney's triangles, each of unit area per Hz, as ``librosa.filters.mel``: [n_mels, F]."""
    top = SAMPLE_RATE / 2
    linear = _LINEAR_HZ / _HZ_A_MEL
    mels = np.linspace(0.0, linear + np.log(top / _LINEAR_HZ) / _LOG_STEP, n_mels + 2)
    edges = _HZ_A_MEL * mels
    high = mels >= linear
    edges[high] = _LINEAR_HZ * np.exp(_LOG_STEP * (mels[high] - linear))
    steps = np.diff(edges)
    ramps = np.subtract.outer(edges, np.fft.rfftfreq(n_fft, 1.0 / SAMPLE_RATE))
    rising, falling = -ramps[:-2] / steps[:-1, None], ramps[2:] / steps[1:, None]
    # In single precision twice, as there.
    found = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
    found *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return np.asarray(found)
