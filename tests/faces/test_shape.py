"""Pose and blendshapes of real faces."""

from __future__ import annotations

import numpy as np
import pytest

from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.face import MESH_POINTS
from avaffect.faces.landmarks import Landmarker, roi_from_detection
from avaffect.faces.shape import (
    BLENDSHAPE_NAMES,
    BLENDSHAPE_POINTS,
    BLENDSHAPES,
    FaceShape,
    ShapeReader,
)
from avaffect.media.frames import FrameReader


@pytest.fixture(scope="module")
def landmarker():
    return Landmarker()


@pytest.fixture(scope="module")
def shapes():
    return ShapeReader()


def test_the_mouth_opens_when_it_does(sample, truth, landmarker, shapes) -> None:
    events = truth["one_person.mp4"]["events"]
    event = next(event for event in events if event["expression"] == "open_mouth")
    middle = (event["apex_start"] + event["apex_end"]) / 2
    detect = build_detector("blazeface-full")
    jaw = BLENDSHAPE_NAMES.index("jawOpen")
    opened = {}
    with FrameReader(sample("one_person.mp4")) as reader:
        for frame in reader:
            for name, time in (("before", 0.2), ("apex", middle)):
                if name not in opened and frame.time >= time:
                    roi = roi_from_detection(detect(frame.image)[0])
                    opened[name] = shapes(landmarker(frame.image, roi))
    before, apex = opened["before"].blendshapes, opened["apex"].blendshapes
    assert apex[jaw] > before[jaw] + 0.2
    for values in (before, apex):
        assert ((values >= 0) & (values <= 1)).all()


def test_every_blendshape_has_a_name_and_every_point_is_there() -> None:
    assert len(set(BLENDSHAPE_NAMES)) == BLENDSHAPES
    assert len(set(BLENDSHAPE_POINTS.tolist())) == 146
    assert BLENDSHAPE_POINTS.max() == MESH_POINTS - 1


def test_its_pose_is_that_of_the_fitted_head(sample, landmarker, shapes) -> None:
    with FrameReader(sample("one_person.mp4")) as reader:
        image = next(iter(reader)).image
    face = landmarker(image, roi_from_detection(build_detector("blazeface-full")(image)[0]))
    np.testing.assert_array_equal(shapes(face).pose, shapes.head.pose(face.mesh))
    with pytest.raises(ValueError, match="blendshapes"):
        FaceShape(shapes(face).fit, np.zeros(51, np.float32))


@pytest.mark.usefixtures("as_on_gpu")
def test_torch_reads_several_faces_at_once(sample, landmarker, shapes) -> None:
    with FrameReader(sample("one_person.mp4")) as reader:
        image = next(iter(reader)).image
    roi = roi_from_detection(build_detector("blazeface-full")(image)[0])
    faces = [landmarker(image, roi), landmarker(np.ascontiguousarray(image[::-1]), roi)]
    there = ShapeReader("cuda")
    assert there.read([]) == []
    for found, known in zip(there.read(faces), shapes.read(faces), strict=True):
        np.testing.assert_allclose(found.blendshapes, known.blendshapes, atol=1e-3)
        np.testing.assert_array_equal(found.pose, known.pose)
