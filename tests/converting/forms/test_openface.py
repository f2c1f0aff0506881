"""OpenFace's columns, read back by our own reader of such files; its axes and signs by turns."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pandas
import pytest
from fixtures.recordings import write_person
from hypothesis import given
from hypothesis import strategies as st

from avaffect.converting.forms.openface import COLUMNS, gaze, pose
from avaffect.converting.run import convert
from avaffect.datasets.row_files import RowFile
from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.face import MESH_POINTS
from avaffect.faces.landmarks import Landmarker, roi_from_detection, roi_from_mesh
from avaffect.faces.pose import CANONICAL_POINTS, HeadModel
from avaffect.media.frames import FrameReader
from avaffect.models.content import model_content
from avaffect.models.session import read_bundle

GEOMETRY = "geometry_pipeline_metadata_landmarks.binarypb"
# From the canonical head's axes (y up, z to the camera) to OpenFace's (y down, z away).
FLIP = np.diag([1.0, -1.0, -1.0])


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return HeadModel.from_bundle(read_bundle(model_content("face-landmarker"), GEOMETRY))


def turned(rx: float, ry: float, rz: float) -> np.ndarray:
    """OpenFace's ``Euler2RotationMatrix``, written out."""
    (s1, s2, s3), (c1, c2, c3) = np.sin([rx, ry, rz]), np.cos([rx, ry, rz])
    return np.array(
        [
            [c2 * c3, -c2 * s3, s2],
            [c1 * s3 + c3 * s1 * s2, c1 * c3 - s1 * s2 * s3, -c2 * s1],
            [s1 * s3 - c1 * c3 * s2, c3 * s1 + c1 * s2 * s3, c1 * c2],
        ]
    )


def test_our_own_reader_reads_it(tmp_path: Path) -> None:
    table = pandas.read_parquet(write_person(tmp_path, unseen=[3], times=np.arange(10) / 12.5))
    (path,) = convert(tmp_path, "openface").files
    file = RowFile.open(path)
    assert file.names == COLUMNS
    assert file.names[:5] == ("frame", "face_id", "timestamp", "confidence", "success")
    matched = file.match(10, np.arange(10) / 12.5)
    assert matched.rows.tolist() == [0, 1, 2, -1, 4, 5, 6, 7, 8, 9]
    (values,) = file.aligned(["AU12_r", "AU12_c", "AU45_c", "AU01_r"], matched.rows)
    own = table[["AU12_intensity", "AU12", "AU45", "AU1_intensity"]]
    np.testing.assert_allclose(values, own, atol=1e-6)
    back = pandas.read_csv(path)
    assert back["timestamp"].tolist() == [*(np.arange(10) / 12.5)]
    assert back["success"].tolist() == [1, 1, 1, 0, 1, 1, 1, 1, 1, 1]
    assert (back["confidence"][3], back["frame"][3]) == (0, 4)
    # OpenFace writes zeros there, by which every mean is wrong.
    assert back.loc[3, "gaze_0_x":].isna().all()
    # Nobody here knows these.
    assert back[["pose_Tx", "AU05_r", "AU28_c"]].isna().all(axis=None)


def test_people_of_a_video_are_numbered(tmp_path: Path) -> None:
    for name in ("talk_left", "talk_right"):
        write_person(tmp_path, name)
    files = convert(tmp_path, "openface").files
    found = [pandas.read_csv(path)["face_id"].unique() for path in files]
    assert [each.tolist() for each in found] == [[0], [1]]


angles = st.floats(-1.3, 1.3)


@given(angles, angles, st.floats(-3, 3))
def test_a_head_that_openface_turns_has_its_angles(
    head: HeadModel, rx: float, ry: float, rz: float
) -> None:
    mesh = np.zeros((MESH_POINTS, 3))
    # The picture's axes are OpenFace's: x to the right, y down, z away.
    mesh[:CANONICAL_POINTS] = head.points @ FLIP @ turned(rx, ry, rz).T * 10
    ours = head.fit(mesh.astype(np.float32)).pose
    (found,) = pose(ours[None].astype(np.float64))
    np.testing.assert_allclose(turned(*found), turned(rx, ry, rz), atol=0.01)
    assert abs(found[1]) <= math.pi / 2


@pytest.mark.parametrize(
    ("turn", "expected"),
    [
        ((0, 0, 0), (0, 0, 0)),
        # Looking up is negative, to the picture's right negative, leaning to it positive.
        ((0, 30, 0), (-math.pi / 6, 0, 0)),
        ((30, 0, 0), (0, -math.pi / 6, 0)),
        ((0, 0, 30), (0, 0, math.pi / 6)),
    ],
)
def test_signs_of_the_pose(turn: tuple[float, ...], expected: tuple[float, ...]) -> None:
    np.testing.assert_allclose(pose(np.array([turn], float))[0], expected, atol=1e-12)


@pytest.mark.parametrize(
    ("turn", "eyes", "angle"),
    [
        ((0, 0, 0), (0, 0, 0, 0), (0, 0)),
        ((0, 0, 0), (20, 0, 20, 0), (20, 0)),
        ((0, 0, 0), (0, 20, 0, 20), (0, -20)),
        # Eyes that look back into the camera from a turned head.
        ((20, 0, 0), (-20, 0, -20, 0), (0, 0)),
        ((20, 0, 0), (0, 0, 0, 0), (20, 0)),
        ((0, -20, 0), (0, 0, 0, 0), (0, 20)),
        # Squinting: both eyes' mean.
        ((0, 0, 0), (20, 0, -20, 0), (0, 0)),
    ],
)
def test_gaze_is_that_of_the_head_and_the_eyes(
    turn: tuple[float, ...], eyes: tuple[float, ...], angle: tuple[float, float]
) -> None:
    (found,) = gaze(np.array([turn], float), np.array([eyes], float))
    np.testing.assert_allclose(np.degrees(found[6:]), angle, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(found[:6].reshape(2, 3), axis=1), 1)
    assert (found[[2, 5]] < 0).all()


@pytest.mark.parametrize("angle", [-25, 20])
def test_a_picture_that_is_rotated_rolls_by_as_much(head: HeadModel, sample, angle: float) -> None:
    with FrameReader(sample("one_person.mp4"), start=180) as reader:
        picture = next(iter(reader)).image
    landmarker, detector = Landmarker(), build_detector("blazeface-full")
    found = []
    for degrees in (0, angle):
        # OpenCV turns against the clock.
        matrix = cv2.getRotationMatrix2D((200, 200), -degrees, 1)
        image = cv2.warpAffine(picture, matrix, (400, 400), borderMode=cv2.BORDER_REPLICATE)
        face = landmarker(image, roi_from_detection(detector(image)[0]))
        for _ in range(3):
            face = landmarker(image, roi_from_mesh(face.mesh))
        found.append(pose(head.fit(face.mesh).pose[None].astype(np.float64))[0])
    turned_by = np.degrees(found[1] - found[0])
    # The head looks a little aside, so that a part of the turn is in other angles.
    assert turned_by == pytest.approx([0, 0, angle], abs=6)
