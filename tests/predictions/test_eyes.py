"""Gaze and AU45: what is read, what is missing, and lids of a real face that come down."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.face_pose import face_pose, face_pose_names
from avaffect.faces.landmarks import Landmarker, roi_from_detection, roi_from_mesh
from avaffect.faces.shape import ShapeReader
from avaffect.media.frames import FrameReader
from avaffect.predictions.blend import blend
from avaffect.predictions.eyes import closing, eyes_of, with_eyes
from avaffect.predictions.prediction import EYES, Prediction

N = 50
NAMES = face_pose_names()
BLINKS = [NAMES.index("eyeBlinkLeft"), NAMES.index("eyeBlinkRight")]
# Points of the mesh's upper lids, each above one of the lower.
LIDS = [
    (246, 7), (161, 163), (160, 144), (159, 145), (158, 153), (157, 154), (173, 155),
    (466, 249), (388, 390), (387, 373), (386, 374), (385, 380), (384, 381), (398, 382),
]  # fmt: skip


def subject(lids: Any = 0.1, seen: Any = 1.0, present: Any = True, names: Any = ("face_pose",)):
    poses = np.zeros((N, len(NAMES)), np.float32)
    poses[:, NAMES.index("gaze_left_yaw") :][:, :4] = np.array([10, -20, 30, 40]) / 90
    poses[:, BLINKS] = np.broadcast_to(lids, N)[:, None]
    there = np.broadcast_to(present, N)
    poses[~there] = np.nan
    regions = np.broadcast_to(np.reshape(seen, (-1, 1)), (N, 3))
    return SimpleNamespace(
        names=names, frames=N, times=np.arange(N) / 25, present=there, seen=regions,
        array=lambda name, start, stop: poses[start:stop],
    )  # fmt: skip


def test_a_blink_and_where_the_eyes_point() -> None:
    lids = np.full(N, 0.1)
    lids[20:24] = [0.3, 0.7, 0.6, 0.2]
    found = eyes_of(subject(lids))
    np.testing.assert_allclose(found[:, :4], [[10, -20, 30, 40]] * N, rtol=1e-5)
    assert np.flatnonzero(found[:, 4]).tolist() == [21, 22]
    np.testing.assert_allclose(found[19:24, 5], [0, 2, 5, 5, 1], atol=1e-5)


def test_it_is_missing_where_nobody_sees_the_eyes() -> None:
    present = np.arange(N) >= 10
    covered = np.where(np.arange(N) < 30, 1.0, 0.0)
    found = eyes_of(subject(seen=covered, present=present))
    assert np.isnan(found[:10]).all() and np.isnan(found[36:]).all()
    assert not np.isnan(found[10:24]).any()
    assert eyes_of(subject(names=("audio",))) is None


@pytest.mark.parametrize(
    ("lids", "expected"),
    [
        # Who has low lids is measured against them.
        ([0.2, 0.2, 0.2, 0.6], [0, 0, 0, 1]),
        # Who sleeps has closed eyes all the same.
        ([0.7, 0.7, 0.7, 0.7], [1, 1, 1, 1]),
        ([np.nan, 0.1, np.nan], [np.nan, 0, np.nan]),
        ([np.nan], [np.nan]),
        ([], []),
    ],
)
def test_how_far_they_are_closed(lids: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(closing(np.array(lids)), expected, atol=1e-6)


def test_tables_have_it_and_give_it_back() -> None:
    plain = Prediction("v", "m", np.arange(N) / 25, np.ones(N, bool), np.ones(N))
    whole = with_eyes(plain, subject())
    columns = whole.columns()
    assert [*columns][-6:] == [*EYES]
    back = Prediction.from_columns(columns, "v", "m")
    np.testing.assert_array_equal(back.eyes, whole.eyes)
    np.testing.assert_array_equal(blend([plain, whole]).eyes, whole.eyes)
    assert with_eyes(plain, subject(names=())) is plain
    assert "AU45" not in plain.columns()


def test_lids_of_a_face_that_come_down(sample) -> None:
    with FrameReader(sample("one_person.mp4")) as reader:
        image = next(iter(reader)).image
    landmarker, shapes = Landmarker(), ShapeReader()
    face = landmarker(image, roi_from_detection(build_detector("blazeface-full")(image)[0]))
    for _ in range(3):
        face = landmarker(image, roi_from_mesh(face.mesh))
    found = []
    for part in (0, 0, 0, 0.25, 0.5, 0.75, 1):
        mesh = face.mesh.copy()
        for upper, lower in LIDS:
            mesh[upper] += part * (mesh[lower] - mesh[upper])
        moved = replace(face, mesh=mesh)
        found.append(face_pose(moved, shapes(moved))[BLINKS].mean())
    closed = closing(np.array(found))
    assert (np.diff(closed[2:]) >= 0).all()
    # Down by a quarter they are open, by three quarters closed.
    assert closed[3] < 0.5 and closed[5] > 0.9
