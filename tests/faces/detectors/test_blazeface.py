import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.faces.detectors.blazeface import (
    BACK,
    FULL,
    BlazeFace,
    anchor_centres,
    five_points,
    letterbox,
)


class FakeNet:
    """Says what it is told to: rows of (anchor, raw score, centre, size, six points)."""

    def __init__(self, variant, rows, swapped=False):
        self.anchors = anchor_centres(variant)
        self.rows, self.swapped = rows, swapped
        self.seen = None

    def __call__(self, picture):
        self.seen = picture
        scores = np.full((1, len(self.anchors), 1), -100, np.float32)
        boxes = np.zeros((1, len(self.anchors), 16), np.float32)
        for anchor, score, centre, size, points in self.rows:
            scores[0, anchor] = score
            origin = self.anchors[anchor]
            boxes[0, anchor] = np.concatenate([centre - origin, size, (points - origin).ravel()])
        return (scores, boxes) if self.swapped else (boxes, scores)


POINTS = np.array([[80, 70], [110, 72], [95, 85], [94, 98], [70, 75], [122, 78]], np.float32)
FACE = (100, 3.0, np.array([96, 84], np.float32), np.array([60, 50], np.float32), POINTS)


def black(height, width):
    return np.zeros((height, width, 3), np.uint8)


def test_anchors_are_mediapipes() -> None:
    full, back = anchor_centres(FULL), anchor_centres(BACK)
    assert full.shape == (2304, 2) and back.shape == (896, 2)
    assert full[:3].tolist() == [[2, 2], [6, 2], [10, 2]] and full[-1].tolist() == [190, 190]
    assert back[:3].tolist() == [[8, 8], [8, 8], [24, 8]]
    assert back[512:519].tolist() == [[16, 16]] * 6 + [[48, 16]]


@given(st.integers(1, 700), st.integers(1, 700))
def test_letterbox_keeps_the_whole_picture_and_says_where(height, width) -> None:
    square, scale, offset = letterbox(np.full((height, width, 3), 255, np.uint8), 192)
    assert square.shape == (192, 192, 3)
    rows, columns = np.nonzero(square[..., 0] == 255)
    low, high = offset, np.array([width, height]) * scale + offset
    assert np.allclose(low, [columns.min(), rows.min()], atol=1e-3)
    assert np.allclose(high, [columns.max() + 1, rows.max() + 1], atol=1e-3)
    assert (high - low).max() == pytest.approx(192, abs=1e-3)
    # Centred, to the pixel.
    assert np.abs(low + high - 192).max() <= 1 + 1e-3


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("height", "width", "scale", "offset"),
    [
        (192, 192, 1, (0, 0)),
        (384, 768, 4, (0, 48)),
        (576, 288, 3, (48, 0)),
        (48, 96, 0.5, (0, 48)),
    ],
)
def test_a_face_comes_out_in_pixels_of_the_picture(
    height: int, width: int, scale: float, offset, swapped: bool
) -> None:
    faces = BlazeFace(FakeNet(FULL, [FACE], swapped), FULL, 0.5)(black(height, width))
    assert len(faces) == 1
    corners = np.array([[66, 59], [126, 109]])
    assert np.allclose(faces[0].box.reshape(2, 2), (corners - offset) * scale, atol=1e-3)
    assert np.allclose(faces[0].points[:3], (POINTS[:3] - offset) * scale, atol=1e-3)
    assert np.allclose(faces[0].points[3:].mean(0), (POINTS[3] - offset) * scale, atol=1e-3)
    assert faces[0].score == pytest.approx(1 / (1 + np.exp(-3)))


def test_the_net_sees_the_range_that_it_was_trained_on() -> None:
    net = FakeNet(FULL, [])
    picture = black(100, 192)
    picture[:, 96:] = 255
    BlazeFace(net, FULL, 0.5)(picture)
    assert net.seen.shape == (1, 192, 192, 3) and net.seen.dtype == np.float32
    assert net.seen[0, 96, 20].tolist() == [-1] * 3
    assert net.seen[0, 96, 180].tolist() == [1] * 3
    assert net.seen[0, 5, 180].tolist() == [-1] * 3


@pytest.mark.parametrize(("min_score", "count"), [(0.5, 2), (0.9, 1), (0.96, 0)])
def test_faces_below_the_lowest_score_are_dropped(min_score: float, count: int) -> None:
    other = (900, 0.5, np.array([20, 150], np.float32), np.array([20, 20], np.float32), POINTS)
    faces = BlazeFace(FakeNet(FULL, [FACE, other]), FULL, min_score)(black(192, 192))
    assert len(faces) == count


def test_anchors_that_see_one_face_are_averaged_by_score() -> None:
    again = (101, 1.0, FACE[2] + 6, FACE[3], POINTS + 6)
    (face,) = BlazeFace(FakeNet(BACK, [FACE, again]), BACK, 0.5)(black(256, 256))
    high, low = 1 / (1 + np.exp(-3)), 1 / (1 + np.exp(-1))
    shift = 6 * low / (high + low)
    assert np.allclose(face.box, np.array([66, 59, 126, 109]) + shift, atol=1e-3)
    assert np.allclose(face.points[2], POINTS[2] + shift, atol=1e-3)
    assert face.score == pytest.approx(high)


def test_faces_come_largest_first() -> None:
    small = (900, 5.0, np.array([20, 150], np.float32), np.array([20, 20], np.float32), POINTS)
    faces = BlazeFace(FakeNet(FULL, [FACE, small]), FULL, 0.5)(black(192, 192))
    assert [round(float(face.box[2] - face.box[0])) for face in faces] == [60, 20]


def test_the_estimated_mouth_lies_across_its_middle_along_the_eyes() -> None:
    five = five_points(POINTS[None])[0]
    assert np.allclose((five[3] + five[4]) / 2, POINTS[3])
    mouth, eyes = five[4] - five[3], five[1] - five[0]
    assert np.allclose(mouth / np.linalg.norm(mouth), eyes / np.linalg.norm(eyes))
    assert 0.7 < np.linalg.norm(mouth) / np.linalg.norm(eyes) < 0.95
