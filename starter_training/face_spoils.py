"""Faces for training: cut out as at inference, and spoiled as videos spoil them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.faces.align import AFFWILD2, warp

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Matrix = NDArray[np.floating]

# What is seen where the picture ends, and how often: black, as in a video whose frame cuts the
# face; the picture's edge drawn on; the picture mirrored; some colour.
BEYOND = (cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT_101, None)
HOW_OFTEN = (0.4, 0.25, 0.2, 0.15)


def upright(picture: Bytes, matrix: Matrix, side: int) -> Bytes:
    """uint8 [side, side, 3], as at inference.

    Args:
        picture: uint8 [H, W, channels].
        matrix: [2, 3], from its pixels to those of ArcFace's crop of 112.
        side: of the square.
    """
    return warp(_colour(picture), _at(matrix, side), side)


def spoiled(
    picture: Bytes, matrix: Matrix, side: int, rng: np.random.Generator, share: float = 1.0
) -> Bytes:
    """The same turned, moved, mirrored; small, blurred, compressed; lit otherwise; covered.

    The latter three of ``share`` of the pictures only.
    """
    picture, matrix, spoils = _colour(picture), _at(matrix, side), rng.random() < share
    if spoils:
        coarse = _coarser(picture, rng)
        # From the coarser picture's pixels to the picture's: middles of pixels, hence the halves.
        step = picture.shape[0] / coarse.shape[0]
        matrix = _after(matrix, np.array([[step, 0, (step - 1) / 2], [0, step, (step - 1) / 2]]))
        picture = coarse
    beyond = BEYOND[rng.choice(len(BEYOND), p=HOW_OFTEN)]
    face = np.asarray(
        cv2.warpAffine(
            picture,
            _after(_moved(side, rng), matrix),
            (side, side),
            flags=cv2.INTER_LINEAR if rng.random() < 0.7 else cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_CONSTANT if beyond is None else beyond,
            borderValue=rng.uniform(0, 255, 3).tolist() if beyond is None else 0,
        ),
        np.uint8,
    )
    if rng.random() < 0.5:
        face = face[:, ::-1]
    if spoils:
        lit = _relit(face.astype(np.float32), rng)
        face = np.clip(_covered(lit, rng) + 0.5, 0, 255).astype(np.uint8)
    return face


def _colour(picture: Bytes) -> Bytes:
    return picture if picture.shape[2] == 3 else np.repeat(picture, 3, axis=2)


def _at(matrix: Matrix, side: int) -> NDArray[np.float64]:
    """``matrix`` to a crop of ``side`` instead of 112: middles of pixels, hence the halves."""
    scale = side / AFFWILD2.size
    shift = (scale - 1) / 2
    return _after(np.array([[scale, 0, shift], [0, scale, shift]]), matrix)


def _after(second: Matrix, first: Matrix) -> NDArray[np.float64]:
    """Both affine maps in one, ``first`` before ``second``."""
    whole = np.eye(3)
    whole[:2] = first
    return np.asarray(second, np.float64) @ whole


def _moved(side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """[2, 3], turns by some degrees, makes larger or smaller, moves, and a little askew."""
    # Landmarks err little most of the time, and now and then much.
    much = 2.0 if rng.random() < 0.15 else 1.0
    angle, scale = np.deg2rad(rng.normal(0, 6 * much)), np.exp(rng.normal(0, 0.06 * much))
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cos, -sin], [sin, cos]])
    turn = turn @ np.array([[1, rng.normal(0, 0.03)], [0, np.exp(rng.normal(0, 0.04))]])
    middle = np.full(2, (side - 1) / 2)
    shift = rng.normal(0, 0.025 * much, 2) * side
    return np.column_stack([turn, middle - turn @ middle + shift])


def _coarser(picture: Bytes, rng: np.random.Generator) -> Bytes:
    """A small, a blurred, a compressed face, or the picture as it is."""
    kind = rng.random()
    if kind < 0.25:
        small = int(rng.integers(min(24, len(picture) // 2), len(picture)))
        picture = np.asarray(
            cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA), np.uint8
        )
    elif kind < 0.4:
        sigma = len(picture) * rng.uniform(0.007, 0.022)
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)
    if rng.random() < 0.2:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 85))]
        data = cv2.imencode(".jpg", picture, quality)[1]
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return picture


def _relit(face: Floats, rng: np.random.Generator) -> Floats:
    """Grey, or other colours; other exposure, contrast and gamma; light from a side; noise."""
    kind = rng.random()
    if kind < 0.25:
        face = np.repeat(face @ np.array([[0.299], [0.587], [0.114]], np.float32), 3, axis=2)
    elif kind < 0.75:
        face = face * np.exp(rng.normal(0, 0.1, 3)).astype(np.float32)
        grey = face.mean(axis=2, keepdims=True)
        face = grey + (face - grey) * np.float32(np.exp(rng.normal(0, 0.3)))
    if rng.random() < 0.8:
        curve = 255 * (np.arange(256) / 255) ** np.exp(rng.normal(0, 0.25))
        curve = (curve - 128) * np.exp(rng.normal(0, 0.2)) + 128 + rng.normal(0, 18)
        face = curve.astype(np.float32)[np.clip(face, 0, 255).astype(np.uint8)]
    if rng.random() < 0.06:
        face = face * np.float32(rng.uniform(0.1, 0.4))
    size = len(face)
    if rng.random() < 0.25:
        angle = rng.uniform(0, 2 * np.pi)
        y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
        slope = np.cos(angle) * x + np.sin(angle) * y
        face = face * (1 + np.float32(rng.uniform(0.1, 0.5)) * slope)[:, :, None]
    if rng.random() < 0.2:
        coarse = int(size * rng.uniform(0.4, 1))
        noise = rng.normal(0, rng.uniform(2, 12), (coarse, coarse, 3)).astype(np.float32)
        face = face + cv2.resize(noise, (size, size))
    return np.asarray(face, np.float32)


def _covered(face: Floats, rng: np.random.Generator) -> Floats:
    """A hand, a microphone, hair: a rectangle of one colour (Zhong et al., Random Erasing)."""
    if rng.random() >= 0.3:
        return face
    size = len(face)
    height, width = (rng.uniform(0.12, 0.4, 2) * size).astype(int)
    top, left = int(rng.integers(0, size - height)), int(rng.integers(0, size - width))
    face = face.copy()
    face[top : top + height, left : left + width] = rng.uniform(0, 255, 3)
    return face
