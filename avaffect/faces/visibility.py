"""Which parts of a face can be seen: brows, eyes, mouth.

The landmark net draws lips on a surgical mask and lids on dark glasses, and is as sure of them as
of real ones. So the picture decides: five small grey patches at the places where the mesh has
brows, eyes and mouth, and for each a linear classifier on histograms of gradients (Dalal
& Triggs, CVPR 2005), taught by ``starter_training/visibility.py`` with faces that things were
painted on. What it misses, and how often it is wrong on bare faces, stands in ``docs/formats.md``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.faces.align import warp
from avaffect.faces.landmarks import ROI_SCALE, roi_from_mesh

Values = NDArray[np.float32]

WEIGHTS = Path(__file__).with_name("visibility.json")
PARTS = ("brow_left", "brow_right", "eye_left", "eye_right", "mouth")
KINDS = ("brow", "eye", "mouth")
SIDE = 24  # of a patch in pixels: a face of about 60 pixels, so that small faces are judged alike
# A face smaller than this (pixels, longer side) shows too little to be judged: nothing is hidden.
SMALLEST = 40.0

# fmt: off
_POINTS = (
    [70, 63, 105, 66, 107], [336, 296, 334, 293, 300],
    [33, 133, 159, 145], [362, 263, 386, 374],
    [61, 291, 0, 17, 13, 14],
)
# fmt: on
_KIND = (0, 0, 1, 1, 2)
_MIRRORED = (1, 3)  # those of the picture's right look as their counterparts in the mirror
_EXTENT = (0.34, 0.34, 0.30, 0.30, 0.46, 1.0)  # side of a patch, in sides of the face
_CELLS, _BINS = 4, 8
FEATURES = _CELLS * _CELLS * (_BINS + 2) + 4


def grey_around(
    image: NDArray[np.uint8], mesh: Values
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The part of a picture that a face is judged by, in grey, and the mesh in it.

    Args:
        image: uint8 [H, W, 3], RGB.
        mesh: float32 [478, 3], in pixels.

    Returns:
        uint8 [h, w], from the face's middle as far as any patch reaches and what is averaged
        around it, as far as there is a picture; and float32 [478, 3].
    """
    roi = roi_from_mesh(mesh)
    face = roi.size / ROI_SCALE
    turned = abs(math.cos(roi.angle)) + abs(math.sin(roi.angle))
    reach = 0.75 * face * turned + 4 * (1 + face / SIDE)
    height, width = image.shape[:2]
    left, right = (min(max(int(roi.x + side), 0), width) for side in (-reach, reach + 1))
    top, bottom = (min(max(int(roi.y + side), 0), height) for side in (-reach, reach + 1))
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    if not part.size:  # the face lies outside
        part, left, top = image[:1, :1], 0, 0
    grey = np.asarray(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), np.uint8)
    return grey, mesh - np.array([left, top, 0], np.float32)


def patches(image: NDArray[np.uint8], mesh: Values) -> NDArray[np.uint8]:
    """uint8 [6, SIDE, SIDE], the grey patches of :data:`PARTS`, and last the whole face.

    Args:
        image: uint8 [H, W, 3], RGB, or grey [H, W].
        mesh: float32 [478, 3], in pixels.
    """
    if image.ndim == 3:
        image, mesh = grey_around(image, mesh)
    roi = roi_from_mesh(mesh)
    face = roi.size / ROI_SCALE
    cos, sin = math.cos(roi.angle), math.sin(roi.angle)
    places = [tuple(mesh[points, :2].mean(0).tolist()) for points in _POINTS]
    out = np.empty((len(places) + 1, SIDE, SIDE), np.uint8)
    for at, ((x, y), extent) in enumerate(zip([*places, (roi.x, roi.y)], _EXTENT, strict=True)):
        scale = SIDE / max(extent * face, 1e-3)
        a, b, half = cos * scale, sin * scale, (SIDE - 1) / 2
        matrix = np.array([[a, b, half - a * x - b * y], [-b, a, half + b * x - a * y]])
        patch = warp(image, matrix, SIDE)
        out[at] = patch[:, ::-1] if at in _MIRRORED else patch
    return out


def features(grey: NDArray[np.uint8]) -> Values:
    """float32 [5, FEATURES] of :func:`patches`: where which edges are, and how strong."""
    light = grey.astype(np.float32)
    contrast = max(float(light[-1].std()), 4.0)
    light = light[:-1] / contrast
    down, along = _steps(light, 1), _steps(light, 2)
    strength = np.hypot(down, along)
    # Edges have no sign: dark on light or light on dark. With it here: lips are a dark line.
    angle = np.arctan2(down, along) * np.float32(_BINS / (2 * np.pi))
    whole_angle = np.floor(angle)
    part = angle - whole_angle
    low = whole_angle.astype(np.intp)
    # Each pixel's strength goes to the two nearest directions of its cell.
    first = _cell_places(len(light))
    places = np.concatenate([first + low % _BINS, first + (low + 1) % _BINS]).reshape(-1)
    shares = np.concatenate([strength * (1 - part), strength * part]).reshape(-1)
    size = (len(light), _CELLS, _CELLS, _BINS)
    sums = np.bincount(places, shares, math.prod(size)).astype(np.float32)
    cells = sums.reshape(size) * np.float32((_CELLS / SIDE) ** 2)
    energy = cells.sum(3)
    whole = np.sqrt((cells**2).sum((1, 2, 3), keepdims=True)) + 0.02
    tone = light.mean((1, 2)) - float(grey[-1].mean()) / contrast
    shares = np.sqrt(cells / whole).reshape(len(cells), -1)
    levels = np.concatenate(
        [
            np.log(energy + 0.02).reshape(len(cells), -1),
            np.stack([np.log(light.std((1, 2)) + 0.05), tone], axis=1),
        ],
        axis=1,
    )
    # Squares: a part is covered where there is too little to be seen, and where too much.
    return np.concatenate([shares, levels, levels**2], axis=1).astype(np.float32)


def _steps(light: Values, axis: int) -> Values:
    """As ``numpy.gradient`` along ``axis``, which takes longer to begin than to end."""
    rolled = np.moveaxis(light, axis, 0)
    out = np.empty_like(rolled)
    out[1:-1] = (rolled[2:] - rolled[:-2]) / 2
    out[0], out[-1] = rolled[1] - rolled[0], rolled[-1] - rolled[-2]
    return np.moveaxis(out, 0, axis)


@cache
def _cell_places(patches: int) -> NDArray[np.intp]:
    """[patches, SIDE, SIDE], by pixel the first bin of its cell."""
    cell = np.arange(SIDE) // (SIDE // _CELLS)
    own = np.arange(patches)[:, None, None] * _CELLS**2 + cell[:, None] * _CELLS + cell
    return own * _BINS


@dataclass(frozen=True, eq=False)
class Visibility:
    """The classifiers.

    Attributes:
        weights: float32 [3, FEATURES], of :data:`KINDS`; a part is covered where the sum of
            weighted features and bias is above 0.
        bias: float32 [3].
    """

    weights: Values
    bias: Values

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Visibility:
        """From the content of ``visibility.json``."""
        return cls(
            np.array([table[kind]["weights"] for kind in KINDS], np.float32),
            np.array([table[kind]["bias"] for kind in KINDS], np.float32),
        )

    @classmethod
    def packaged(cls) -> Visibility:
        """Those that come with avaffect."""
        return _packaged()

    def __call__(self, image: NDArray[np.uint8], mesh: Values) -> Values:
        """float32 [5] in 0..1: how surely each of :data:`PARTS` is bare, below 0.5: covered.

        Args:
            image: uint8 [H, W, 3], RGB, or grey [H, W].
            mesh: float32 [478, 3], in pixels.
        """
        if float((mesh[:, :2].max(0) - mesh[:, :2].min(0)).max()) < SMALLEST:
            return np.ones(len(PARTS), np.float32)
        kinds = list(_KIND)
        found = features(patches(image, mesh))
        raw = (found * self.weights[kinds]).sum(1) + self.bias[kinds]
        return np.asarray(1 / (1 + np.exp(np.clip(raw, -30, 30))), np.float32)


@cache
def _packaged() -> Visibility:
    return Visibility.from_table(json.loads(WEIGHTS.read_text(encoding="utf-8")))
