"""Head pose and gaze: known turns are recovered, real faces turn the documented way."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.errors import ModelDamagedError
from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.face import MESH_POINTS
from avaffect.faces.landmarks import Landmarker, Roi, roi_from_detection, roi_from_mesh
from avaffect.faces.pose import CANONICAL_POINTS, EYEBALL_RADIUS_CM, HeadModel
from avaffect.media.frames import FrameReader
from avaffect.models.content import model_content
from avaffect.models.session import read_bundle

GEOMETRY = "geometry_pipeline_metadata_landmarks.binarypb"
EYES = {468: (33, 133), 473: (362, 263)}


@pytest.fixture(scope="module")
def landmarker():
    return Landmarker()


@pytest.fixture(scope="module")
def geometry():
    return read_bundle(model_content("face-landmarker"), GEOMETRY)


@pytest.fixture(scope="module")
def head(geometry):
    return HeadModel.from_bundle(geometry)


@pytest.fixture(scope="module")
def picture(sample):
    """Near the end, where the head is turned to the picture's left and leans to its right."""
    with FrameReader(sample("one_person.mp4"), start=180) as reader:
        return next(iter(reader)).image


@pytest.fixture(scope="module")
def face(picture, landmarker):
    face = landmarker(picture, roi_from_detection(build_detector("blazeface-full")(picture)[0]))
    for _ in range(3):
        face = landmarker(picture, roi_from_mesh(face.mesh))
    return face


def turn(yaw, pitch, roll):
    """The documented turn, in degrees: first roll, then pitch, then yaw; y up, z to the camera."""
    yaw, pitch, roll = np.radians([yaw, pitch, roll])
    about_y = [[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]]
    about_x = [
        [1, 0, 0],
        [0, math.cos(pitch), math.sin(pitch)],
        [0, -math.sin(pitch), math.cos(pitch)],
    ]
    about_z = [
        [math.cos(roll), math.sin(roll), 0],
        [-math.sin(roll), math.cos(roll), 0],
        [0, 0, 1],
    ]
    return np.array(about_y) @ np.array(about_x) @ np.array(about_z)


def seen(head, rotation, scale=1.0, shift=(0, 0, 0), looks=((0, 0), (0, 0))):
    """The mesh of the canonical head; ``looks`` moves the irises, in centimetres."""
    points = np.zeros((MESH_POINTS, 3))
    points[:CANONICAL_POINTS] = head.points
    for (iris, corners), look in zip(EYES.items(), looks, strict=True):
        points[iris : iris + 5] = head.points[list(corners)].mean(0) + np.array([*look, 0])
    mesh = (points @ rotation.T) * scale * [1, -1, -1] + shift
    return mesh.astype(np.float32)


angles = st.tuples(st.floats(-80, 80), st.floats(-80, 80), st.floats(-170, 170))


@settings(deadline=None)
@given(angles, st.floats(0.5, 80), st.tuples(*[st.floats(-2000, 4000)] * 3))
def test_turn_and_size_are_recovered(head, pose, scale, shift) -> None:
    mesh = seen(head, turn(*pose), scale, shift)
    fit = head.fit(mesh)
    assert fit.pose == pytest.approx(pose, abs=0.15)
    assert fit.scale == pytest.approx(scale, rel=2e-3)
    assert np.linalg.det(fit.rotation) == pytest.approx(1, abs=1e-4)
    np.testing.assert_array_equal(head.pose(mesh), fit.pose)


def test_the_canonical_head_faces_the_camera(head) -> None:
    fit = head.fit(seen(head, np.eye(3), 10, (300, 200, 0)))
    assert fit.pose == pytest.approx([0, 0, 0], abs=1e-3)


def test_upright_undoes_the_turn(head) -> None:
    mesh = seen(head, turn(30, 20, 10), 10)
    upright = head.fit(mesh).upright(mesh)
    assert upright[:CANONICAL_POINTS] == pytest.approx(head.points * 10, abs=0.02)


def test_points_that_expressions_move_do_not_turn_the_head(head) -> None:
    mesh = seen(head, turn(20, -10, 5), 10)
    moved = mesh.copy()
    moved[:CANONICAL_POINTS][head.weights == 0] += 50
    np.testing.assert_array_equal(head.pose(moved), head.pose(mesh))


@settings(deadline=None)
@given(angles, st.tuples(*[st.floats(-40, 40)] * 4), st.floats(2, 60))
def test_gaze_is_relative_to_the_head(head, pose, gaze, scale) -> None:
    offsets = EYEBALL_RADIUS_CM * np.sin(np.radians(gaze)).reshape(2, 2)
    mesh = seen(head, turn(*pose), scale, (500, 300, 0), offsets)
    assert head.fit(mesh).gaze(mesh) == pytest.approx(gaze, abs=0.5)


def test_an_iris_outside_the_eye_is_cut_off_at_a_right_angle(head) -> None:
    mesh = seen(head, np.eye(3), 10, looks=((9, 0), (0, -9)))
    assert head.fit(mesh).gaze(mesh) == pytest.approx([90, 0, 0, -90], abs=0.1)


def test_a_head_inside_out_is_turned_and_not_reflected(head) -> None:
    hollow = seen(head, turn(10, 20, 30), 10) * np.array([1, 1, -1], np.float32)
    assert np.linalg.det(head.fit(hollow).rotation) == pytest.approx(1, abs=1e-4)


def test_a_mesh_of_one_point_has_a_pose(head) -> None:
    mesh = np.full((MESH_POINTS, 3), 7, np.float32)
    fit = head.fit(mesh)
    assert np.isfinite(fit.pose).all()
    assert np.isfinite(fit.gaze(mesh)).all()


def test_a_mesh_of_another_shape_is_refused(head) -> None:
    with pytest.raises(ValueError, match="mesh"):
        head.fit(np.zeros((468, 3), np.float32))


def test_a_mirrored_face_looks_and_leans_the_other_way(picture, face, landmarker, head) -> None:
    mirror = np.ascontiguousarray(picture[:, ::-1])
    roi = roi_from_mesh(face.mesh)
    other = landmarker(mirror, Roi(picture.shape[1] - 1 - roi.x, roi.y, roi.size, -roi.angle))
    yaw, pitch, roll = head.pose(face.mesh)
    assert yaw < -2 and roll > 2
    assert head.pose(other.mesh) == pytest.approx([-yaw, pitch, -roll], abs=1.5)
    gaze = head.fit(face.mesh).gaze(face.mesh)
    assert gaze[0] < -10
    mirrored = head.fit(other.mesh).gaze(other.mesh)
    assert mirrored == pytest.approx(gaze[[2, 3, 0, 1]] * [-1, 1, -1, 1], abs=5)


@pytest.mark.parametrize("angle", [-60, -25, 10, 40])
def test_a_face_turned_in_the_picture_rolls_and_nothing_else(
    picture, face, landmarker, head, angle: int
) -> None:
    """Turned clockwise, the head leans to the picture's right."""
    roi = roi_from_mesh(face.mesh)
    # OpenCV's angles are counterclockwise.
    matrix = cv2.getRotationMatrix2D((roi.x, roi.y), -angle, 1)
    turned = cv2.warpAffine(picture, matrix, picture.shape[1::-1])
    other = landmarker(turned, Roi(roi.x, roi.y, roi.size, roi.angle + math.radians(angle)))
    # Yaw and pitch are about the camera's axes: what is expected is the turned rotation's pose.
    clockwise = turn(0, 0, angle) @ head.fit(face.mesh).rotation
    rolled = head.pose(other.mesh)[2] - head.pose(face.mesh)[2]
    assert rolled == pytest.approx(angle, abs=2.5)
    assert head.fit(other.mesh).rotation == pytest.approx(clockwise, abs=0.06)


def test_the_head_is_a_head(head) -> None:
    nose, chin, forehead = head.points[4], head.points[152], head.points[10]
    assert forehead[1] > nose[1] > chin[1]
    assert nose[2] == pytest.approx(head.points[:, 2].max(), abs=0.5)
    assert head.points[33, 0] < 0 < head.points[263, 0]
    assert 12 < np.ptp(head.points[:, 0]) < 18
    assert 3 <= (head.weights > 0).sum() < CANONICAL_POINTS


@settings(deadline=None)
@given(st.data())
def test_a_damaged_head_is_never_taken(geometry, data) -> None:
    kind = data.draw(st.sampled_from(["short", "changed", "noise"]))
    if kind == "short":
        damaged = geometry[: data.draw(st.integers(0, len(geometry) - 1))]
    elif kind == "changed":
        at = data.draw(st.integers(0, len(geometry) - 1))
        damaged = geometry[:at] + data.draw(st.binary(min_size=1, max_size=8)) + geometry[at + 1 :]
    else:
        damaged = data.draw(st.binary(max_size=200))
    try:
        head = HeadModel.from_bundle(damaged)
    except ModelDamagedError:
        return
    # What can be read is at least a head: a change of one figure cannot be seen here.
    assert kind != "noise"
    assert np.isfinite(head.points).all() and (head.weights > 0).sum() >= 3


def test_a_head_without_weights_is_refused(head) -> None:
    with pytest.raises(ValueError, match="weight"):
        HeadModel(head.points, np.zeros(CANONICAL_POINTS, np.float32))
    with pytest.raises(ValueError, match="finite"):
        HeadModel(head.points * np.nan, head.weights)
