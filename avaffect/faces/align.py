"""Aligned face crops: a similarity transform of five points onto a template."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import require_shape
from avaffect.errors import UsageError


@dataclass(frozen=True, eq=False)
class CropSpec:
    """What an aligned crop looks like.

    ``dataclasses.replace(spec, size=224)`` gives the same crop in another size.

    Attributes:
        size: side of the square crop in pixels.
        template: float32 [5, 2], where the five points (ordered as in
            :class:`avaffect.faces.face.Detection`) come to lie, in units of the crop's side.
        name: how it is called in provenance.
    """

    size: int
    template: NDArray[np.float32]
    name: str

    def __post_init__(self) -> None:
        if self.size < 1:
            raise UsageError("a crop's size must be at least 1 pixel")
        require_shape("template", self.template, (5, 2))

    @property
    def template_px(self) -> NDArray[np.float32]:
        """The template in pixels of the crop, float32 [5, 2]."""
        return self.template * np.float32(self.size)


# The five points of ArcFace (Deng et al., CVPR 2019), which the field uses for 112 x 112 crops.
AFFWILD2 = CropSpec(
    size=112,
    template=np.array(
        [
            [38.2946, 51.6963],
            [73.5318, 51.5014],
            [56.0252, 71.7366],
            [41.5493, 92.3655],
            [70.7299, 92.2041],
        ],
        np.float32,
    )
    / np.float32(112),
    name="affwild2",
)


def similarity_transform(
    points: NDArray[np.floating], template_px: NDArray[np.floating]
) -> NDArray[np.float32]:
    """The similarity (rotation, one scale, shift; no reflection) that fits best.

    Least squares in closed form: with points as complex numbers a similarity is ``z -> a z + b``.
    It is the solution of Umeyama (PAMI 1991) in two dimensions.

    Args:
        points: [5, 2], where the points are.
        template_px: [5, 2], where they should come to lie.

    Returns:
        float32 [2, 3], the matrix that takes ``points`` to ``template_px``.

    Raises:
        UsageError: the points are not finite, or coincide so that no similarity is determined.
    """
    require_shape("points", points, (5, 2))
    require_shape("template_px", template_px, (5, 2))
    if not np.isfinite(points).all():
        raise UsageError("the five points are not finite: no alignment exists")
    source = points.astype(np.float64) @ (1, 1j)
    target = template_px.astype(np.float64) @ (1, 1j)
    z, w = source - source.mean(), target - target.mean()
    spread = np.vdot(z, z).real
    # Below this the points' distances are rounding errors of their float32 coordinates.
    smallest = 5 * (1e-6 * (1 + np.abs(source).max())) ** 2
    if spread <= smallest:
        raise UsageError("the five points coincide: no alignment exists")
    a = np.vdot(z, w) / spread
    if abs(a) ** 2 * spread < 1e-6 * np.vdot(w, w).real:
        raise UsageError("the five points bear no likeness to the template: no alignment exists")
    b = target.mean() - a * source.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]], np.float32)


def warp(image: NDArray[np.uint8], matrix: NDArray[np.floating], size: int) -> NDArray[np.uint8]:
    """Cut a square out of a picture by an affine map.

    What lies outside the picture is black. A region more than twice as large as the square is
    first reduced by area averaging: bilinear sampling alone would skip pixels and flicker.

    Args:
        image: uint8 [H, W, 3], or grey [H, W].
        matrix: [2, 3], a similarity from the picture's pixels to the square's.
        size: side of the square in pixels.

    Returns:
        uint8 [size, size, 3], or [size, size].
    """
    # Plain numbers: a face has eight of these, and arrays of four would cost more than pixels.
    (a, b, x), (c, d, y) = matrix.tolist()
    factor = max(1, int(1 / math.hypot(a, c)))
    # The part of the picture under the square, with a margin for interpolation.
    last = size - 1
    corners = [(u - x, v - y) for u in (0, last) for v in (0, last)]
    whole = a * d - b * c
    height, width = image.shape[:2]
    left, right = _within([(d * u - b * v) / whole for u, v in corners], factor, width)
    top, bottom = _within([(a * v - c * u) / whole for u, v in corners], factor, height)
    if right <= left or bottom <= top:
        return np.zeros((size, size, *image.shape[2:]), np.uint8)
    region = image[top:bottom, left:right]
    wide, high = right - left, bottom - top
    if factor > 1:
        region = _reduced(region, factor)

    # From the region's pixels to the picture's: middles of pixels, hence the halves.
    step_x, step_y = wide / region.shape[1], high / region.shape[0]
    u, v = left + (step_x - 1) / 2, top + (step_y - 1) / 2
    from_region = np.array(
        [
            [a * step_x, b * step_y, x + a * u + b * v],
            [c * step_x, d * step_y, y + c * u + d * v],
        ]
    )
    square = cv2.warpAffine(
        region, from_region, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return np.asarray(square, np.uint8)


def _within(places: list[float], factor: int, length: int) -> tuple[int, int]:
    """From the first to behind the last pixel of ``length`` that ``places`` reach.

    A little more, so that ``factor`` divides it: whole steps are averaged three times as fast.
    Where ``length`` is too short for that it stays as it is.
    """
    low, high = math.floor(min(places)) - 2 * factor, math.ceil(max(places)) + 2 * factor
    low, high = min(max(low, 0), length), min(max(high, 0), length)
    missing = -(high - low) % factor
    after = min(missing, length - high)
    before = missing - after
    return (low - before, high + after) if before <= low < high else (low, high)


def _reduced(region: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """``region`` so many times smaller, by means of areas.

    By halves as far as that goes: several times as fast, and the same to the rounding of each.
    """
    height, width = region.shape[:2]
    while factor % 2 == 0 and height % 2 == 0 and width % 2 == 0:
        factor, height, width = factor // 2, height // 2, width // 2
        region = _smaller(region, width, height)
    return _smaller(region, -(-width // factor), -(-height // factor)) if factor > 1 else region


def _smaller(region: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(region, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def align(
    image: NDArray[np.uint8], points: NDArray[np.floating], spec: CropSpec = AFFWILD2
) -> NDArray[np.uint8]:
    """Cut out a face, upright and in the template's size.

    Args:
        image: uint8 [H, W, 3].
        points: [5, 2], x and y in pixels (0, 0 is the middle of the first pixel).
        spec: the crop.

    Returns:
        uint8 [size, size, 3], see :func:`warp`.

    Raises:
        UsageError: the points coincide or are not finite.
    """
    return warp(image, similarity_transform(points, spec.template_px), spec.size)
