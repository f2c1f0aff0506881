from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avaffect.faces.align import AFFWILD2, CropSpec, align, similarity_transform, warp

angles = st.floats(-3.1, 3.1)
scales = st.floats(0.05, 20)
shifts = st.tuples(st.floats(-2000, 2000), st.floats(-2000, 2000))


def similarity(angle, scale, shift):
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])


def apply(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


def disc_picture(points, radius, shape):
    """Black, with a disc of its own grey at each of the points."""
    y, x = np.indices(shape)
    picture = np.zeros((*shape, 3), np.uint8)
    for level, (px, py) in zip((60, 100, 140, 180, 220), points, strict=True):
        picture[(x - px) ** 2 + (y - py) ** 2 <= radius**2] = level
    return picture


@given(angles, scales, shifts)
def test_a_known_similarity_is_recovered(angle, scale, shift) -> None:
    true = similarity(angle, scale, shift)
    points = AFFWILD2.template_px
    found = similarity_transform(points, apply(true, points))
    assert np.allclose(apply(found, points), apply(true, points), atol=2e-3 * (1 + scale))
    assert np.allclose(found[:, :2], true[:, :2], atol=1e-3 * scale)


@given(angles, scales, shifts)
def test_there_and_back_is_where_we_were(angle, scale, shift) -> None:
    there = AFFWILD2.template_px
    here = apply(similarity(angle, scale, shift), there)
    forward = similarity_transform(here, there)
    backward = similarity_transform(there, here)
    # What is lost is float32's rounding of the shift, in template pixels.
    tolerance = 1e-5 * (1 + np.abs(here).max()) * max(1, 1 / scale) + 1e-2
    assert np.allclose(apply(forward, apply(backward, there)), there, atol=tolerance)


@given(arrays(np.float64, (5, 2), elements=st.floats(-8, 8)), angles)
def test_no_other_similarity_fits_better(noise, angle) -> None:
    target = AFFWILD2.template_px.astype(float)
    points = apply(similarity(angle, 2, (50, 80)), target + noise)
    best = similarity_transform(points, target)
    error = np.square(apply(best, points) - target).sum()
    rng = np.random.default_rng(0)
    for _ in range(20):
        other = best.astype(float) + rng.normal(scale=1e-2) * np.array([[1, 0, 0], [0, 1, 0]])
        other[:, 2] += rng.normal(scale=0.5, size=2)
        assert np.square(apply(other, points) - target).sum() >= error - 1e-2


@given(arrays(np.float64, (5, 2), elements=st.floats(0, 2000)))
def test_never_a_reflection(points) -> None:
    try:
        matrix = similarity_transform(points, AFFWILD2.template_px)
    except ValueError:
        return
    assert np.linalg.det(matrix[:, :2].astype(float)) > 0


@pytest.mark.parametrize(
    "points",
    [
        np.full((5, 2), 7.0),
        np.full((5, 2), 1e5) + np.arange(10).reshape(5, 2) * 1e-4,
        np.full((5, 2), np.nan),
        np.full((5, 2), np.inf),
        np.where(np.eye(5, 2) > 0, np.inf, AFFWILD2.template_px),
        # Conjugate to a regular pentagon, whose best fit has the scale 0.
        np.stack([np.cos(np.arange(5) * 1.2566371), -np.sin(np.arange(5) * 1.2566371)], axis=1),
    ],
    ids=["coincide", "rounding", "nan", "inf", "one-inf", "mirrored"],
)
def test_points_without_an_alignment_are_refused(points) -> None:
    turned = np.arange(5) * 1.2566371
    target = np.stack([np.cos(turned), np.sin(turned)], axis=1) * 30 + 56
    with pytest.raises(ValueError, match="no alignment"):
        similarity_transform(points, target)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="points"):
        similarity_transform(np.zeros((4, 2)), AFFWILD2.template_px)
    with pytest.raises(ValueError, match="template"):
        CropSpec(112, np.zeros((4, 2), np.float32), "x")
    with pytest.raises(ValueError, match="size"):
        replace(AFFWILD2, size=0)


@pytest.mark.parametrize("size", [112, 224])
@pytest.mark.parametrize("scale", [0.6, 1.0, 2.6, 7.3])
@pytest.mark.parametrize("angle", [0.0, 0.5, 3.0])
def test_the_points_of_the_picture_land_on_the_template(
    scale: float, angle: float, size: int
) -> None:
    spec = replace(AFFWILD2, size=size)
    points = apply(similarity(angle, scale, (0, 0)), AFFWILD2.template_px)
    points += 40 - points.min(axis=0)
    width, height = (points.max(axis=0) + 60).astype(int)
    crop = align(disc_picture(points, max(3, 3 * scale), (height, width)), points, spec)
    assert crop.shape == (size, size, 3) and crop.dtype == np.uint8
    for level, target in zip((60, 100, 140, 180, 220), spec.template_px, strict=True):
        rows, columns = np.nonzero(np.abs(crop[..., 0].astype(int) - level) < 8)
        near = np.hypot(columns - target[0], rows - target[1]) < 8 * size / 112
        centre = np.array([columns[near].mean(), rows[near].mean()])
        assert np.allclose(centre, target, atol=0.5 * size / 112)


@pytest.mark.parametrize("factor", [1.0, 1.7, 2.0, 3.4, 8.0])
def test_a_smooth_picture_keeps_its_place_at_any_reduction(factor: float) -> None:
    """A ramp of one grey level a pixel tells where each crop pixel was read."""
    x = np.arange(256, dtype=np.uint8)
    ramp = np.stack([*np.meshgrid(x, x), np.zeros((256, 256), np.uint8)], axis=2)
    corner = np.array([3.0, 5.0])
    matrix = np.array([[1, 0, -corner[0]], [0, 1, -corner[1]]]) / factor
    size = int(240 / factor)
    crop = warp(ramp, matrix, size).astype(float)
    ticks = np.arange(1, size - 1) * factor
    # Half a level is lost to rounding, at most twice.
    assert np.abs(crop[size // 2, 1:-1, 0] - ticks - corner[0]).max() <= 1
    assert np.abs(crop[1:-1, size // 2, 1] - ticks - corner[1]).max() <= 1


def test_reduction_averages_instead_of_skipping() -> None:
    fine = np.zeros((1600, 1600, 3), np.uint8)
    fine[:, ::2] = 255
    crop = warp(fine, np.array([[1, 0, 0], [0, 1, 0]]) / 14.3, 112)
    assert np.abs(crop[2:-2, 2:-2].astype(int) - 127).max() <= 20


@pytest.mark.parametrize("scale", [1.0, 6.0])
def test_outside_the_picture_is_black_and_inside_is_not(scale: float) -> None:
    white = np.full((round(112 * scale), round(112 * scale), 3), 255, np.uint8)
    points = (AFFWILD2.template_px - (56, 0)) * scale
    crop = align(white, points)
    assert (crop[:, :54] == 0).all()
    assert (crop[3:-3, 58:-3] == 255).all()
    assert (align(white, points + 1e5) == 0).all()


def test_the_middle_of_a_large_picture_has_no_dark_seam() -> None:
    white = np.full((2000, 2000, 3), 255, np.uint8)
    points = AFFWILD2.template_px * 9.7 + 300
    assert (align(white, points) == 255).all()


@pytest.mark.parametrize("shift", [0, 1, 2, 3])
@pytest.mark.parametrize("factor", [2.0, 3.0, 4.2, 6.1])
def test_a_reduced_part_is_the_same_wherever_it_begins(factor: float, shift: int) -> None:
    """Also at the picture's ends, where no whole step fits."""
    x = np.linspace(0, 6, 403, dtype=np.float32)
    waves = np.round(127 + 60 * np.sin(x)[:, None] + 60 * np.cos(x)[None]).astype(np.uint8)
    size = int((400 - shift) / factor)
    matrix = np.array([[1, 0, -shift], [0, 1, -shift]]) / factor
    square = warp(waves, matrix, size)
    assert square.shape == (size, size)
    at = np.round(np.arange(size) * factor + shift).astype(int)
    there = waves[np.ix_(at, at)].astype(int)
    assert np.abs(square[2:-2, 2:-2] - there[2:-2, 2:-2]).max() <= 4


def test_grey_is_cut_out_as_colours_are() -> None:
    rng = np.random.default_rng(0)
    grey = cv2.GaussianBlur(rng.integers(0, 256, (300, 400)).astype(np.uint8), (0, 0), 2)
    for scale in (0.2, 0.7, 1.6):
        matrix = np.array([[scale, 0.1, -3], [-0.1, scale, 5]])
        colours = warp(np.stack([grey] * 3, axis=2), matrix, 64)
        assert np.abs(colours[..., 0].astype(int) - warp(grey, matrix, 64)).max() <= 1
