"""The complex steerable pyramid: what a picture holds at each scale, place and orientation.

Simoncelli and Freeman 1995 (the real pyramid), Portilla and Simoncelli 2000 (the complex one, of
which the imaginary part is the Hilbert transform of the real one along the band's direction).

A picture is split in the frequency domain into a high-pass residual, at each level complex
bands of K directions, and a low-pass residual; the squares of all filters add up to one. Only the
bands are made here. Frequencies are in units of Nyquist's: level 1, at full resolution, holds 1/4
to 1, most at 1/2 (waves of 4 pixels); every further level half of that, at half the resolution.
Band k passes waves that run along the direction ``pi k / K``, counted from the columns' axis (x,
to the right) to the rows' (y, downwards).

Coefficients are in the picture's units at every level: a wave of amplitude ``a`` in the middle of
a level and along a band's direction gives coefficients of modulus ``a * (2 ** (K - 1) *
(K - 1)! / sqrt(K * (2 * K - 2)!))``, which is ``a`` for one or two bands.

Why not a library: plenoptic has a good pyramid on torch, batched (this one agrees with that of
its version 2.1.1 to 3e-6, but for the factor of 4 a level that it gains). It brings pyrtools
(compiled), matplotlib, scikit-image and more into every install, though, and is made of
``torch.fft``, which ONNX operator set 17 does not know. pyrtools takes one NumPy picture at a
time. Here torch.fft does the work, and while a network is exported products with matrices of
cosines and sines do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avaffect.errors import UsageError

Pair = tuple[Tensor, Tensor]


def oriented_bands(pictures: Tensor, bands: int, levels: Sequence[int]) -> list[Pair]:
    """The bands of each picture at some levels, as real numbers; goes into ONNX.

    Args:
        pictures: real [..., H, W], taken to go on periodically; H and W multiples of
            ``2 ** max(levels)``.
        bands: directions K.
        levels: which, from 1 on.

    Returns:
        By level, the real and the imaginary part, float32 [..., K, h, w].

    Raises:
        UsageError: pictures of a size that cannot be halved so often, or no bands or levels.
    """
    height, width = size = _size(pictures, bands, max(levels))
    pictures, device = pictures.float(), pictures.device
    if not torch.onnx.is_in_onnx_export():
        spectrum = torch.fft.fft2(pictures)
        parts = (
            _invert(spectrum, size, level, _analysis(size, bands, level, device))
            for level in levels
        )
        return [(part.real, part.imag) for part in parts]
    waves = _waves(height, device), _waves(width, device)
    spectrum_pair = _transform((pictures, torch.zeros_like(pictures)), *waves)
    found = []
    for level in levels:
        rows, columns = _kept(size, level, device)
        real, imag = (
            picture.index_select(-2, rows).index_select(-1, columns)[..., None, :, :]
            for picture in spectrum_pair
        )
        mask = _oriented(size, bands, level)
        a, b = constant(mask.real, device), constant(mask.imag, device)
        # The inverse of a DFT is the conjugate of the DFT of the conjugate.
        filtered = (real * a - imag * b, -(real * b + imag * a))
        real, imag = _transform(filtered, _waves(len(rows), device), _waves(len(columns), device))
        found.append((real / (height * width), -imag / (height * width)))
    return found


def _size(pictures: Tensor, bands: int, levels: int) -> tuple[int, int]:
    height, width = (int(side) for side in pictures.shape[-2:])
    if bands < 1 or levels < 1:
        raise UsageError("a pyramid has at least one band and one level")
    if height % 2**levels or width % 2**levels:
        raise UsageError(
            f"pictures of {height}x{width} cannot be halved {levels} times: "
            f"their sides must be multiples of {2**levels}"
        )
    return height, width


def _invert(spectrum: Tensor, size: tuple[int, int], level: int, mask: Tensor) -> Tensor:
    """Complex [..., K, h, w]: a level of a spectrum, filtered, as a picture."""
    rows, columns = _kept(size, level, spectrum.device)
    if level > 1:
        spectrum = spectrum.index_select(-2, rows).index_select(-1, columns)
    # Fewer points carry the same waves: "forward" leaves out the division by their number.
    picture = torch.fft.ifft2(spectrum[..., None, :, :] * mask, norm="forward")
    return picture / (size[0] * size[1])


def _transform(pair: Pair, down: Pair, across: Pair) -> Pair:
    """The two-dimensional DFT, as products with ``cos - i sin`` from both sides."""
    (real, imag), (cos, sin) = pair, across
    real, imag = real @ cos + imag @ sin, imag @ cos - real @ sin
    cos, sin = down
    return cos @ real + sin @ imag, cos @ imag - sin @ real


def constant(values: NDArray[np.generic], device: torch.device) -> Tensor:
    """float32 or complex64 of NumPy's values, fit for a cache and for ONNX."""
    single = np.complex64 if np.iscomplexobj(values) else np.float32
    # An inference tensor in the cache could not take part in training later on.
    with torch.inference_mode(False):
        return torch.from_numpy(values.astype(single)).to(device)


@lru_cache(maxsize=32)
def _waves(count: int, device: torch.device) -> Pair:
    """Cosines and sines of the DFT of ``count`` points, float32 [count, count]."""
    at = np.arange(count)
    angle = 2 * np.pi * (np.outer(at, at) % count) / count
    return constant(np.cos(angle), device), constant(np.sin(angle), device)


@lru_cache(maxsize=32)
def _kept(size: tuple[int, int], level: int, device: torch.device) -> Pair:
    """The rows and columns of a spectrum that a level keeps, int64 [h] and [w]."""
    with torch.inference_mode(False):
        rows, columns = (torch.from_numpy(_lowest(side, level)).to(device) for side in size)
    return rows, columns


def _lowest(side: int, level: int) -> NDArray[np.int64]:
    kept = side // 2 ** (level - 1)
    return np.r_[: kept - kept // 2, side - kept // 2 : side].astype(np.int64)


@lru_cache(maxsize=32)
def _analysis(size: tuple[int, int], bands: int, level: int, device: torch.device) -> Tensor:
    return constant(_oriented(size, bands, level), device)


def _oriented(size: tuple[int, int], bands: int, level: int) -> NDArray[np.complex128]:
    """complex128 [K, h, w], a level's filters; they pass one half of the plane, twice."""
    across, down, radius = _frequencies(size, level)
    radial = _step(radius, level - 1)[1] * _step(radius, level)[0]
    order = bands - 1
    gain = 2**order * math.factorial(order) / math.sqrt(bands * math.factorial(2 * order))
    angle = np.pi * np.arange(bands)[:, None, None] / bands
    along = across * np.cos(angle) + down * np.sin(angle)
    steer = gain * (along / np.maximum(radius, 1e-9)) ** order
    # (-i) ** order makes the filters' answers real where they are odd functions of frequency.
    filters: NDArray[np.complex128] = (-1j) ** order * radial * steer
    return filters * (1 + np.sign(along))


def _frequencies(size: tuple[int, int], level: int) -> tuple[NDArray[np.float64], ...]:
    """Across [1, w], down [h, 1] and their radius [h, w], in units of Nyquist's frequency."""
    height, width = (2 * np.fft.fftfreq(side)[_lowest(side, level)] for side in size)
    across, down = np.meshgrid(width, height, sparse=True)
    radius: NDArray[np.float64] = np.hypot(across, down)
    return across, down, radius


def _step(
    radius: NDArray[np.float64], octave: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A high-pass and its low-pass, raised cosines over the octave below ``2 ** -octave``."""
    below: NDArray[np.float64] = np.clip(-np.log2(np.maximum(radius, 1e-9)) - octave, 0, 1)
    return np.cos(np.pi / 2 * below), np.sin(np.pi / 2 * below)
