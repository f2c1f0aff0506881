"""Pixels that are not square: sizes, and points there and back."""

from fractions import Fraction

import numpy as np
import pytest

from avaffect.media.aspect import SQUARE, PixelScale, plausible, square_size


@pytest.mark.parametrize(
    ("size", "aspect", "expected"),
    [
        ((1440, 1080), Fraction(4, 3), (1920, 1080)),
        ((720, 576), Fraction(64, 45), (1024, 576)),
        ((720, 480), Fraction(8, 9), (720, 540)),
        ((640, 480), None, (640, 480)),
        ((640, 480), Fraction(1), (640, 480)),
        ((640, 480), Fraction(1000), (640, 480)),
        ((640, 480), Fraction(1, 1000), (640, 480)),
        ((1, 1), Fraction(1, 5), (1, 5)),
    ],
)
def test_the_short_side_grows(
    size: tuple[int, int], aspect: Fraction, expected: tuple[int, int]
) -> None:
    assert square_size(*size, aspect, 16_384, 100_000_000) == expected


def test_beyond_the_limits_the_long_side_shrinks() -> None:
    assert square_size(1440, 1080, Fraction(4, 3), 1800, 10**9) == (1440, 810)
    assert square_size(1440, 1080, Fraction(4, 3), 9999, 1_600_000) == (1440, 810)
    assert square_size(720, 480, Fraction(1, 2), 900, 10**9) == (360, 480)


def test_what_no_camera_makes_is_not_believed() -> None:
    assert plausible(None) and plausible(Fraction(2)) and plausible(Fraction(1, 2))
    assert not plausible(Fraction(1000)) and not plausible(Fraction(1, 1000))


def test_points_count_from_the_middle_of_the_first_pixel() -> None:
    scale = PixelScale(2.0, 1.0)
    # The middle of the picture's first two pixels is that of the file's first one.
    np.testing.assert_allclose(scale.to_file(np.array([[0.5, 7.0]], np.float32)), [[0, 7]])
    np.testing.assert_allclose(scale.to_picture(np.array([[0, 7]], np.float32)), [[0.5, 7]])


def test_there_and_back() -> None:
    points = np.random.default_rng(0).uniform(0, 4000, (5, 2)).astype(np.float32)
    for scale in (PixelScale(4 / 3), PixelScale(1.0, 1.125), SQUARE):
        back = scale.to_picture(scale.to_file(points))
        assert back.dtype == np.float32
        np.testing.assert_allclose(back, points, atol=1e-3)
    assert SQUARE.to_file(points) is points
