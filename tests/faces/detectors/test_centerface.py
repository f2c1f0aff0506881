import numpy as np
import pytest

from avaffect.faces.detectors import centerface
from avaffect.faces.detectors.centerface import CenterFace


class FakeNet:
    """Says what it is told to: rows of (row, column, score, size) in cells and pixels."""

    def __init__(self, *faces):
        self.faces = faces
        self.seen = None

    def __call__(self, picture):
        self.seen = picture
        height, width = picture.shape[2] // 4, picture.shape[3] // 4
        heat = np.zeros((1, 1, height, width), np.float32)
        log_size = np.zeros((1, 2, height, width), np.float32)
        offset = np.zeros((1, 2, height, width), np.float32)
        points = np.zeros((1, 10, height, width), np.float32)
        for row, column, score, (face_width, face_height) in self.faces:
            at = (0, slice(None), row, column)
            heat[at] = score
            log_size[at] = np.log(np.array([face_height, face_width]) / 4)
            offset[at] = (0.25, -0.25)
            # y, x of each point: 0.1, 0.2, then 0.3, 0.4 ...
            points[at] = np.arange(1, 11) / 10
        return heat, log_size, offset, points


def test_a_face_comes_out_in_pixels_of_the_picture() -> None:
    (face,) = CenterFace(FakeNet((10, 20, 0.9, (40, 60))), 0.5)(np.zeros((128, 192, 3), np.uint8))
    # Middle: x (20 - 0.25 + 0.5) * 4 = 81, y (10 + 0.25 + 0.5) * 4 = 43.
    assert np.allclose(face.box, [61, 13, 101, 73], atol=1e-3)
    assert np.allclose(face.points[0], [61 + 0.2 * 40, 13 + 0.1 * 60], atol=1e-3)
    assert np.allclose(face.points[4], [61 + 1.0 * 40, 13 + 0.9 * 60], atol=1e-3)
    assert face.score == pytest.approx(0.9)


def test_the_net_sees_rgb_padded_to_a_multiple_of_32() -> None:
    net = FakeNet()
    picture = np.full((50, 70, 3), (10, 20, 250), np.uint8)
    CenterFace(net, 0.5)(picture)
    assert net.seen.shape == (1, 3, 64, 96) and net.seen.dtype == np.float32
    assert net.seen[0, :, 49, 69].tolist() == [10, 20, 250]
    assert net.seen[0, :, 50, 69].tolist() == [0, 0, 0]


@pytest.mark.parametrize("shape", [(960, 1920), (1920, 480)])
def test_a_large_picture_is_reduced_and_its_faces_are_in_its_own_pixels(shape) -> None:
    net = FakeNet((10, 20, 0.9, (40, 60)))
    (face,) = CenterFace(net, 0.5)(np.zeros((*shape, 3), np.uint8))
    assert max(net.seen.shape) == centerface.MAX_SIDE
    assert np.allclose(face.box, np.array([61, 13, 101, 73]) * 2, atol=1e-3)
    assert np.allclose(face.points[0], np.array([69, 19]) * 2, atol=1e-3)


def test_low_scores_and_neighbours_of_a_better_face_are_dropped() -> None:
    net = FakeNet(
        (10, 20, 0.9, (40, 60)),
        (10, 21, 0.8, (40, 60)),
        (20, 10, 0.6, (20, 20)),
        (5, 40, 0.3, (20, 20)),
    )
    faces = CenterFace(net, 0.5)(np.zeros((128, 192, 3), np.uint8))
    assert [face.score for face in faces] == pytest.approx([0.9, 0.6])


def test_nothing_in_the_picture() -> None:
    assert CenterFace(FakeNet(), 0.5)(np.zeros((1, 1, 3), np.uint8)) == []
