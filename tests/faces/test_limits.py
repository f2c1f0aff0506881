"""Whom the limits leave out is told."""

import cv2
import numpy as np
import pytest

from avaffect.config import FaceConfig
from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.landmarks import Landmarker
from avaffect.faces.limits import Limits
from avaffect.faces.track import Tracker
from avaffect.media.frames import Frame, FrameReader


@pytest.mark.parametrize(("most", "crowded"), [(8, 0.0), (9, None)])
def test_nine_faces(sample, most: int, crowded: float | None) -> None:
    with FrameReader(sample("one_person.mp4")) as reader:
        face = cv2.resize(next(iter(reader)).image, (320, 320), interpolation=cv2.INTER_AREA)
    picture = np.ascontiguousarray(np.tile(face, (3, 3, 1)))
    config = FaceConfig(max_faces=most)
    tracker = Tracker(build_detector(config.detector), Landmarker(), config)
    assert len(tracker.update(Frame(0, 0.0, picture))) == most
    assert tracker.limits.crowded_s == crowded
    assert tracker.state()["limits"] == tracker.limits.to_json()


def test_each_limit_that_bound_is_a_warning() -> None:
    assert Limits().notices("a.mp4", FaceConfig()) == []
    notices = Limits(crowded_s=1.24, small_s=2.0, forgotten=3).notices("a.mp4", FaceConfig())
    assert all(notice.warning for notice in notices)
    crowded, small, forgotten = (notice.text for notice in notices)
    assert "more than 8 faces" in crowded and "1.2 s" in crowded and "max_faces=N" in crowded
    assert "less than 24 pixels" in small
    assert "3 of them" in forgotten
