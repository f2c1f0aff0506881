"""HDR pictures (PQ and HLG) as the SDR pictures that every net was trained on.

Signals become light by ITU-R BT.2100-2, light becomes a BT.709 picture for a BT.1886 display:

1. *Light of each primary*, in nits. PQ (table 4), of the signal E in 0..1::

       F = 10000 (max(E^(1/m2) - c1, 0) / (c2 - c3 E^(1/m2)))^(1/m1)
       m1 = 2610/16384, m2 = 2523/32, c1 = 3424/4096, c2 = 2413/128, c3 = 2392/128

   HLG (table 5), with the system gamma of a display of 1000 nits, 1.2, for each primary alone::

       L = E^2 / 3  up to E = 1/2, else (exp((E - c) / a) + b) / 12;   F = 1000 L^1.2
       a = 0.17883277, b = 1 - 4a, c = 1/2 - a ln(4a)

2. *Tone curve*: F / 203 (the white of BT.2408) up to a knee at 0.9 of the signal, from where on an
   exponential brings all that is brighter below white. White itself comes to 0.963.
3. *Primaries*: from BT.2020 (or P3) to BT.709, in linear light; what lies outside is clipped.
4. *Signal*: L^(1/2.4), the inverse of BT.1886.

Some 50 ms for a frame of 1920x1080 on one core, beside the 17 ms of its conversion to RGB.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

# AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67
PQ, HLG = 16, 18
WHITE_NITS = 203.0
HLG_PEAK_NITS = 1000.0
KNEE = 0.9
GAMMA = 2.4

# CIE xy of red, green, blue (ITU-T H.273, table 2), all with the white D65.
_BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_BT2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_D65 = (0.3127, 0.3290)
# By AVCOL_PRI_*; all others are taken for BT.2020, the primaries of BT.2100.
_PRIMARIES = {1: _BT709, 12: _P3}
# Signals of 12 bits, the finest that there are; their table fits into the nearest cache.
_BITS = 12
# So many rows at a time that what lies between the steps stays in the processor's cache.
_ROWS = 32


def is_hdr(transfer: int) -> bool:
    """Whether the transfer function (AVCOL_TRC_*) is that of HDR."""
    return transfer in (PQ, HLG)


def to_sdr(rgb: NDArray[np.uint16], transfer: int, primaries: int) -> NDArray[np.uint8]:
    """An HDR picture as an SDR one, see the module.

    Args:
        rgb: uint16 [H, W, 3], the signal, 65535 standing for 1.
        transfer: ``PQ`` or ``HLG``.
        primaries: AVCOL_PRI_*.

    Returns:
        uint8 [H, W, 3], sRGB's primaries, gamma 2.4.
    """
    table, matrix = _light(transfer), _to_bt709(primaries)
    out = np.empty(rgb.shape, np.uint8)
    for start in range(0, len(rgb), _ROWS):
        rows = slice(start, start + _ROWS)
        linear = cv2.transform(table[rgb[rows] >> (16 - _BITS)], matrix)
        signal = cv2.pow(np.maximum(linear, 0, out=linear), 1 / GAMMA)
        # Rounds, and clips what is brighter than white.
        out[rows] = cv2.convertScaleAbs(signal, alpha=255)
    return out


def nits(signal: NDArray[np.float64], transfer: int) -> NDArray[np.float64]:
    """The light that a signal in 0..1 stands for (step 1), for one primary."""
    if transfer == PQ:
        m1, m2 = 2610 / 16384, 2523 / 32
        c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
        power = signal ** (1 / m2)
        pq: NDArray[np.float64] = 1e4 * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
        return pq
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    hlg: NDArray[np.float64] = HLG_PEAK_NITS * scene**1.2
    return hlg


def toned(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear light in 0..1 for a display of 100 nits, from nits (step 2)."""
    signal = (light / WHITE_NITS) ** (1 / GAMMA)
    above = np.maximum(signal - KNEE, 0) / (1 - KNEE)
    rolled = KNEE + (1 - KNEE) * -np.expm1(-above)
    result: NDArray[np.float64] = np.where(signal > KNEE, rolled, signal) ** GAMMA
    return result


@cache
def _light(transfer: int) -> NDArray[np.float32]:
    """float32 [4096], steps 1 and 2 for every signal."""
    return toned(nits(np.linspace(0, 1, 1 << _BITS), transfer)).astype(np.float32)


@cache
def _to_bt709(primaries: int) -> NDArray[np.float32]:
    """float32 [3, 3], step 3."""
    source = _to_xyz(_PRIMARIES.get(primaries, _BT2020))
    return np.linalg.solve(_to_xyz(_BT709), source).astype(np.float32)


def _to_xyz(primaries: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """float64 [3, 3], from linear RGB to CIE XYZ (SMPTE RP 177)."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in (*primaries, _D65)]).T
    colours, white = columns[:, :3], columns[:, 3]
    scaled: NDArray[np.float64] = colours * np.linalg.solve(colours, white)
    return scaled
