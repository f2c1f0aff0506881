"""Pictures for the face net: aligned as at inference, and spoiled as videos are."""

from __future__ import annotations

import cv2
import numpy as np
from fer2013 import ENLARGE, MARGIN, SIDE, Fer2013, similarity
from numpy.typing import NDArray

from avaffect.faces.align import warp

Floats = NDArray[np.float32]


def upright(data: Fer2013, row: int) -> NDArray[np.uint8]:
    """uint8 [48, 48], cut out as at inference: aligned from the enlarged picture, by area."""
    a, b = similarity(data, row)
    large = cv2.resize(
        data.images[row], None, fx=ENLARGE, fy=ENLARGE, interpolation=cv2.INTER_CUBIC
    )
    # These pictures end where the face does; in a video it goes on.
    large = cv2.copyMakeBorder(large, *[MARGIN] * 4, cv2.BORDER_REPLICATE)
    # From the enlarged picture's pixels: middles of pixels, hence the halves.
    half = 0.5 + 0.5j
    shift = (half * (1 - 2 * MARGIN)) / ENLARGE - half
    crop = warp(
        np.repeat(np.asarray(large, np.uint8)[:, :, None], 3, axis=2),
        _matrix(a / ENLARGE, b + a * shift),
        SIDE,
    )
    return crop[:, :, 0]


def spoiled(
    data: Fer2013, row: int, size: int, rng: np.random.Generator, share: float = 1.0
) -> Floats:
    """float32 [size, size] in 0..255: turned, moved, blurred, compressed, lit otherwise, covered.

    One time in seven the picture's own framing instead of the aligned one. Of ``share`` of the
    pictures; the others are turned, moved and mirrored only.
    """
    picture, scale = data.images[row], size / SIDE
    a, b = similarity(data, row) if rng.random() < 0.85 else (1 + 0j, 0j)
    middle, half = (size - 1) / 2 * (1 + 1j), 0.5 + 0.5j
    a, b = scale * a, scale * (b + half) - half
    turn = np.exp(rng.normal(0, 0.10)) * np.exp(1j * np.deg2rad(rng.normal(0, 8)))
    shift = complex(*rng.normal(0, 0.035, 2)) * size
    a, b = turn * a, turn * (b - middle) + middle + shift
    soft = cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC
    spoils = rng.random() < share
    crop = cv2.warpAffine(
        _coarser(picture, rng) if spoils else picture,
        _matrix(a, b),
        (size, size),
        flags=soft,
        # Now and then black, as where a face is half out of a video's frame.
        borderMode=cv2.BORDER_CONSTANT if rng.random() < 0.15 else cv2.BORDER_REPLICATE,
    )
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    crop = np.asarray(crop, np.float32)
    return np.clip(_covered(_relit(crop, rng), rng), 0, 255) if spoils else crop


def _coarser(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A small, a blurred, a compressed face, or the picture as it is."""
    kind = rng.random()
    if kind < 0.25:
        side = int(rng.integers(18, 44))
        small = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
        picture = np.asarray(cv2.resize(small, (SIDE, SIDE)), np.uint8)
    elif kind < 0.4:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.2)), np.uint8)
    if rng.random() < 0.2:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))]
        picture = np.asarray(
            cv2.imdecode(cv2.imencode(".jpg", picture, quality)[1], cv2.IMREAD_GRAYSCALE), np.uint8
        )
    return picture


def _relit(crop: Floats, rng: np.random.Generator) -> Floats:
    """Another exposure, contrast and gamma; light from one side; noise."""
    size = len(crop)
    if rng.random() < 0.8:
        crop = 255 * np.clip(crop / 255, 0, 1) ** np.exp(rng.normal(0, 0.25))
        mean = crop.mean()
        crop = (crop - mean) * np.exp(rng.normal(0, 0.2)) + mean + rng.normal(0, 18)
    if rng.random() < 0.25:
        angle = rng.uniform(0, 2 * np.pi)
        y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
        crop = crop * (1 + rng.uniform(0.1, 0.5) * (np.cos(angle) * x + np.sin(angle) * y))
    if rng.random() < 0.2:
        noise = rng.normal(0, rng.uniform(2, 12), (SIDE, SIDE))
        crop = crop + cv2.resize(noise, (size, size))
    return crop.astype(np.float32)


def _covered(crop: Floats, rng: np.random.Generator) -> Floats:
    """A hand, a microphone, hair: a rectangle of one grey (Zhong et al., Random Erasing, 2020)."""
    if rng.random() >= 0.3:
        return crop
    size = len(crop)
    height, width = (rng.uniform(0.12, 0.4, 2) * size).astype(int)
    top, left = int(rng.integers(0, size - height)), int(rng.integers(0, size - width))
    crop = crop.copy()
    crop[top : top + height, left : left + width] = rng.uniform(0, 255)
    return crop


def _matrix(a: complex, b: complex) -> NDArray[np.float64]:
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])
