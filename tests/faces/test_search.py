"""Looking harder: close-ups and small faces of the sample person, and how often it is tried."""

import cv2
import numpy as np
import pytest

from avaffect.config import FaceConfig
from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.face import Detection
from avaffect.faces.landmarks import Landmarker
from avaffect.faces.search import SECOND, Search, in_frame, in_parts
from avaffect.faces.track import Tracker
from avaffect.media.frames import Frame, FrameReader


@pytest.fixture(scope="module")
def picture(sample):
    with FrameReader(sample("one_person.mp4")) as reader:
        return next(iter(reader)).image


@pytest.fixture(scope="module")
def nets():
    return build_detector(FaceConfig().detector), build_detector(SECOND), Landmarker()


def close_up(picture):
    return cv2.resize(picture[140:310, 97:267], (720, 720), interpolation=cv2.INTER_CUBIC)


def small(picture):
    frame = np.full((720, 1280, 3), 110, np.uint8)
    face = cv2.resize(picture, (100, 100), interpolation=cv2.INTER_AREA)
    frame[500:600, 900:1000] = face
    return frame


@pytest.mark.parametrize("shown", [close_up, small])
def test_what_the_detector_misses_is_found(picture, nets, shown) -> None:
    detect, second, landmarks = nets
    image = shown(picture)
    assert not Tracker(detect, landmarks, FaceConfig()).update(Frame(0, 0.0, image))
    tracker = Tracker(detect, landmarks, FaceConfig(), Search(detect, second))
    (found,) = tracker.update(Frame(0, 0.0, image))
    side = (found.face.box[2:] - found.face.box[:2]).max()
    assert (side > 500) if shown is close_up else (25 < side < 60)


def test_a_cup_of_coffee_stays_without_a_face(sample, nets) -> None:
    detect, second, landmarks = nets
    tracker = Tracker(detect, landmarks, FaceConfig(), Search(detect, second))
    with FrameReader(sample("no_face.mp4")) as reader:
        assert not any(tracker.update(frame) for frame in reader)


def test_points_come_back_into_the_picture() -> None:
    def whole(image):
        ys, xs = np.nonzero(image[..., 0])
        box = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], np.float32)
        return [Detection(box, np.tile(box[:2], (5, 1)).astype(np.float32), 0.9)]

    image = np.full((300, 500, 3), 200, np.uint8)
    (found,) = in_frame(whole, image, 3.0)
    np.testing.assert_allclose(found.box, [0, 0, 500, 300], atol=6)
    parts = in_parts(whole, np.full((400, 700, 3), 200, np.uint8))
    corners = np.array([part.box for part in parts])
    assert corners[:, :2].min() == 0 and corners[:, 2:].max(0).tolist() == [700, 400]


def test_the_longer_nobody_comes_the_rarer_the_search() -> None:
    search = Search(lambda image: [], lambda image: [], pause=15)
    runs = []
    for frame in range(3000):
        if search.due(frame):
            runs.append(frame)
            search.failed(frame)
    assert runs[:4] == [0, 1, 3, 7]
    assert len(runs) < 40 and np.diff(runs).max() == 120
    search.cut(3000)
    assert search.due(3000)
    again = Search(lambda image: [], lambda image: [], pause=15)
    again.restore(search.state())
    assert again.state() == search.state()


def test_a_flickering_picture_does_not_cost_a_search_each_frame() -> None:
    search = Search(lambda image: [], lambda image: [], pause=15)
    runs = 0
    for frame in range(1500):
        search.cut(frame)
        if search.due(frame):
            runs += 1
            search.failed(frame)
    assert runs < 150


def test_nothing_is_searched_while_a_face_is_followed(picture, nets) -> None:
    detect, _, landmarks = nets

    def never(image):
        raise AssertionError("looked harder")

    tracker = Tracker(detect, landmarks, FaceConfig(), Search(never, never))
    for index in range(20):
        assert tracker.update(Frame(index, index / 25, picture))
