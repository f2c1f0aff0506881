"""The Face Landmarker: the same face wherever it is, and regions that are none."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.faces.align import align
from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.face import MESH_POINTS, Detection
from avaffect.faces.landmarks import (
    CROP,
    MESH_NET,
    ROI_SCALE,
    Landmarker,
    Roi,
    roi_from_detection,
    roi_from_mesh,
)
from avaffect.faces.shape import ShapeReader
from avaffect.media.frames import FrameReader
from avaffect.models.content import model_content
from avaffect.models.nets import TorchNet
from avaffect.models.session import read_bundle
from avaffect.models.tflite_graph import read_tflite


@pytest.fixture(scope="module")
def landmarker():
    return Landmarker()


@pytest.fixture(scope="module")
def shapes():
    return ShapeReader()


@pytest.fixture(scope="module")
def picture(sample):
    with FrameReader(sample("one_person.mp4")) as reader:
        return next(iter(reader)).image


@pytest.fixture(scope="module")
def found(picture):
    return build_detector("blazeface-full")(picture)[0]


@pytest.fixture(scope="module")
def face(picture, found, landmarker):
    return settled(landmarker, picture, roi_from_detection(found))


def settled(landmarker, picture, roi):
    """What following the face from its own landmarks comes to."""
    for _ in range(4):
        face = landmarker(picture, roi)
        roi = roi_from_mesh(face.mesh)
    return face


def placed(picture, face, scale, angle, x, y, size=(900, 700)):
    """A larger grey picture with the face in it, and the map there, [2, 3]."""
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    centre = (face.box[:2] + face.box[2:]) / 2
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0]])
    matrix[:, 2] = (x, y) - matrix[:, :2] @ centre
    larger = cv2.warpAffine(
        picture, matrix, size, flags=cv2.INTER_AREA, borderValue=(90, 110, 130)
    )
    return larger, matrix


rois = st.builds(
    Roi, st.floats(-500, 2500), st.floats(-500, 2500), st.floats(5, 3000), st.floats(-7, 7)
)


@given(rois)
def test_a_region_becomes_the_crop(roi) -> None:
    matrix = roi.to_crop().astype(np.float64)
    along = np.array([math.cos(roi.angle), math.sin(roi.angle)])
    down = np.array([-along[1], along[0]])
    centre = np.array([roi.x, roi.y])
    for right, below in [(0, 0), (1, 0), (0, 1), (-0.5, 0.5)]:
        point = centre + (right * along + below * down) * roi.size
        middle = (CROP - 1) / 2
        expected = middle + CROP * right, middle + CROP * below
        tolerance = 1e-3 + 2e-6 * CROP * (abs(roi.x) + abs(roi.y) + roi.size) / roi.size
        assert matrix @ [*point, 1] == pytest.approx(expected, abs=tolerance)


@given(st.floats(-math.pi, math.pi), st.floats(0.2, 5), st.floats(-900, 900))
def test_the_region_goes_with_the_mesh(face, angle, scale, shift) -> None:
    before = roi_from_mesh(face.mesh)
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    turn = np.array([[cos, -sin], [sin, cos]])
    mesh = face.mesh.copy()
    mesh[:, :2] = mesh[:, :2] @ turn.T + shift
    after = roi_from_mesh(mesh)
    assert (after.x, after.y) == pytest.approx(turn @ (before.x, before.y) + shift, abs=0.5)
    assert after.size == pytest.approx(before.size * scale, rel=0.01)
    assert math.remainder(after.angle - before.angle - angle, 2 * math.pi) == pytest.approx(
        0, abs=0.01
    )


def test_the_region_of_a_detection_is_a_square_along_the_eyes() -> None:
    points = np.array([[10, 10], [20, 20], [12, 20], [5, 22], [12, 30]], np.float32)
    roi = roi_from_detection(Detection(np.array([0, 10, 40, 30], np.float32), points, 0.9))
    assert (roi.x, roi.y, roi.size) == (20, 20, 60)
    assert roi.angle == pytest.approx(math.pi / 4)


def test_a_face_lies_where_it_was_detected(face, found) -> None:
    assert face.confidence > 0.95
    eyes = np.linalg.norm(found.points[1] - found.points[0])
    assert np.abs(face.points - found.points).max() < 0.35 * eyes
    low, high = face.box[:2], face.box[2:]
    assert (face.points > low).all() and (face.points < high).all()
    np.testing.assert_array_equal(face.mesh[:, :2].min(0), low)
    left, right, nose, mouth_left, mouth_right = face.points
    assert left[0] < nose[0] < right[0] and mouth_left[0] < mouth_right[0]
    assert left[1] < nose[1] < mouth_left[1]
    assert face.mesh[4, 2] < face.mesh[234, 2]  # the nose's tip is nearer than the temple


@pytest.mark.parametrize(
    ("scale", "angle", "x", "y"),
    [
        (1.0, 0, 250.5, 300.25),
        (1.0, 0, 620, 420),
        (2.0, 0, 450, 350),
        (0.6, 0, 200, 500),
        (1.0, 0.5, 450, 350),
        (1.0, -1.2, 450, 350),
        (0.8, math.pi / 2, 450, 350),
        (1.3, math.pi, 450, 350),
    ],
)
def test_a_face_is_the_same_wherever_it_is(
    picture, face, landmarker, shapes, scale: float, angle, x: float, y: float
) -> None:
    larger, matrix = placed(picture, face, scale, angle, x, y)
    before = roi_from_mesh(face.mesh)
    middle = matrix[:, :2] @ (before.x, before.y) + matrix[:, 2]
    roi = Roi(middle[0], middle[1], before.size * scale, before.angle + angle)
    other = settled(landmarker, larger, roi)
    eyes = np.linalg.norm(face.points[1] - face.points[0]) * scale
    expected = face.mesh[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    apart = np.linalg.norm(other.mesh[:, :2] - expected, axis=1) / eyes
    assert apart.mean() < 0.03
    assert apart.max() < 0.12
    # No shift in any direction: halves of pixels count.
    assert np.abs((other.mesh[:, :2] - expected).mean(0)).max() < 0.015 * eyes
    assert np.abs(shapes(other).blendshapes - shapes(face).blendshapes).max() < 0.1
    assert other.confidence > 0.95


def test_points_of_a_mirrored_face_are_mirrored(picture, face, landmarker) -> None:
    """To a tenth of a pixel: the net's pixels are counted as the picture's are."""
    width = picture.shape[1]
    roi = roi_from_mesh(face.mesh)
    mirror = np.ascontiguousarray(picture[:, ::-1])
    shifts = []
    for size in (0.9, 1.0, 1.1):
        face = landmarker(picture, Roi(roi.x, roi.y, roi.size * size, roi.angle))
        two = landmarker(mirror, Roi(width - 1 - roi.x, roi.y, roi.size * size, -roi.angle))
        back = two.points[[1, 0, 2, 4, 3]] * [-1, 1] + [width - 1, 0]
        shifts.append((face.points - back).mean(0) / 2)
    pixel = roi.size / CROP
    assert np.abs(np.mean(shifts, axis=0)[0]) < 0.25 * pixel


def test_a_region_without_a_face_gets_low_confidence(sample, landmarker) -> None:
    with FrameReader(sample("no_face.mp4")) as reader:
        coffee = next(iter(reader)).image
    for x, y, size in [(160, 120, 150), (100, 80, 60), (300, 30, 400)]:
        nothing = landmarker(coffee, Roi(x, y, size, 0))
        assert nothing is None or nothing.confidence < 0.5
    black = landmarker(np.zeros((100, 100, 3), np.uint8), Roi(50, 50, 80, 0))
    assert black is None or black.confidence < 0.5


@pytest.mark.parametrize("angle", [0, 0.7, 3])
def test_a_region_at_the_border_is_seen_as_far_as_it_is_there(
    picture, face, landmarker, angle: float
) -> None:
    beside = roi_from_mesh(face.mesh)
    for x in (-0.5 * beside.size, picture.shape[1] + 0.5 * beside.size):
        nothing = landmarker(picture, Roi(x, beside.y, beside.size, angle))
        assert nothing is None or nothing.confidence < 0.5


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    "roi",
    [
        Roi(NAN, 50, 80, 0),
        Roi(50, NAN, 80, 0),
        Roi(50, 50, NAN, 0),
        Roi(50, 50, 80, NAN),
        Roi(INF, 50, 80, 0),
        Roi(50, -INF, 80, 0),
        Roi(50, 50, INF, 0),
        Roi(50, 50, 80, INF),
        Roi(50, 50, 0, 0),
        Roi(50, 50, -80, 0),
        Roi(50, 50, 1e-30, 0),
        Roi(50, 50, 1e30, 0),
        Roi(1e300, 1e300, 80, 0),
        Roi(-200, 50, 80, 0),
        Roi(50, 1000, 80, 0),
    ],
)
def test_a_region_that_is_none_has_no_face(picture, landmarker, roi) -> None:
    assert landmarker(picture, roi) is None


@settings(max_examples=40, deadline=None)
@given(
    st.builds(
        Roi,
        st.floats(-1e6, 1e6) | st.floats(),
        st.floats(-1e6, 1e6) | st.floats(),
        st.floats(0, 1e5) | st.floats(),
        st.floats(-10, 10) | st.floats(),
    ),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_no_region_of_no_picture_is_too_much(landmarker, shapes, roi, height, width) -> None:
    noise = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)
    face = landmarker(noise, roi)
    if face is not None:
        assert np.isfinite(face.mesh).all()
        shape = shapes(face)
        assert np.isfinite(shape.pose).all() and np.isfinite(shape.blendshapes).all()
        assert 0 <= face.confidence <= 1
        assert align(noise, face.points).shape == (112, 112, 3)


@pytest.mark.parametrize("value", [128, math.nan])
def test_points_that_cannot_be_aligned_are_no_face(
    picture, face, landmarker, monkeypatch: pytest.MonkeyPatch, value
) -> None:
    mesh = np.full((MESH_POINTS, 3), value, np.float32)
    monkeypatch.setattr(landmarker, "_run_mesh", lambda crop: (mesh, 1.0))
    assert landmarker(picture, roi_from_mesh(face.mesh)) is None


@pytest.mark.usefixtures("as_on_gpu")
def test_torch_finds_the_same_points(picture, face, landmarker) -> None:
    there = Landmarker(device="cuda")
    assert (there.on_gpu, landmarker.on_gpu) == (True, False)
    roi = roi_from_mesh(face.mesh)
    known, found = landmarker(picture, roi), there(picture, roi)
    assert np.abs(found.mesh - known.mesh).max() < 0.01  # pixels
    assert found.confidence == pytest.approx(known.confidence, abs=1e-5)


def test_half_precision_moves_points_by_a_tenth_of_a_pixel_at_most(
    picture, face, landmarker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a face of 112 pixels. The last layer alone in float16 would round by an eighth."""
    content = read_bundle(model_content("face-landmarker"), MESH_NET)
    halved = Landmarker()
    monkeypatch.setattr(halved, "_mesh", TorchNet(read_tflite(content), "cpu", scale=1 / 255))
    monkeypatch.setattr(halved, "on_gpu", True)
    roi = roi_from_mesh(face.mesh)
    apart = np.abs(halved(picture, roi).mesh - landmarker(picture, roi).mesh)[:, :2]
    assert 0 < apart.max() * 112 * ROI_SCALE / roi.size < 0.1
