"""The face pose vector: what it must and must not depend on."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.face import Face
from avaffect.faces.face_pose import LANDMARK_VALUES, SIZE, face_pose, face_pose_names
from avaffect.faces.landmarks import Landmarker, roi_from_detection
from avaffect.faces.shape import ShapeReader
from avaffect.media.frames import FrameReader


@pytest.fixture(scope="module")
def landmarker():
    return Landmarker()


@pytest.fixture(scope="module")
def shapes():
    return ShapeReader()


@pytest.fixture(scope="module")
def face(sample, landmarker):
    with FrameReader(sample("one_person.mp4")) as reader:
        image = next(iter(reader)).image
    found = build_detector("blazeface-full")(image)[0]
    return landmarker(image, roi_from_detection(found))


def moved(face: Face, scale: float, shift: tuple[float, float], turn: float) -> Face:
    """The face elsewhere in the picture, in another size, turned in the picture's plane."""
    cos, sin = math.cos(turn), math.sin(turn)
    matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32)
    mesh = (face.mesh @ matrix.T * scale + np.array([*shift, 0])).astype(np.float32)
    return replace(face, mesh=mesh)


def test_it_has_a_name_for_each_of_its_263_values(face, shapes) -> None:
    names = face_pose_names()
    assert len(names) == len(set(names)) == SIZE == 263
    vector = face_pose(face, shapes(face))
    assert vector.shape == (SIZE,)
    assert vector.dtype == np.float32
    assert np.isfinite(vector).all()
    shape = shapes(face)
    np.testing.assert_array_equal(vector[-52:], shape.blendshapes)
    np.testing.assert_allclose(
        vector[LANDMARK_VALUES : LANDMARK_VALUES + 3] * 90, shape.pose, 1e-5
    )


@settings(max_examples=30, deadline=None)
@given(
    scale=st.floats(0.3, 4),
    shift=st.tuples(st.floats(-500, 2000), st.floats(-500, 2000)),
    turn=st.floats(-1.0, 1.0),
)
def test_landmarks_do_not_depend_on_place_size_and_turn(face, shapes, scale, shift, turn) -> None:
    elsewhere = moved(face, scale, shift, turn)
    there = face_pose(elsewhere, shapes(elsewhere))
    here = face_pose(face, shapes(face))
    np.testing.assert_allclose(there[:LANDMARK_VALUES], here[:LANDMARK_VALUES], atol=5e-3)


def test_landmarks_lie_as_a_face_does(face, shapes) -> None:
    points = face_pose(face, shapes(face))[:LANDMARK_VALUES].reshape(68, 3)
    x, y, z = points.T
    assert x[36] < x[39] < x[42] < x[45]  # the eyes' corners, from the picture's left
    assert y[27] > y[33] > y[57] > y[8]  # nose bridge, nose, lower lip, chin, downwards
    assert z[30] > z[27] > z[0]  # the nose's tip is nearest to the camera, the jaw farthest
    assert np.linalg.norm(points[45] - points[36]) == pytest.approx(1, abs=1e-4)
