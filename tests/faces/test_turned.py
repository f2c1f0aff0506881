"""Faces that lie on their side are looked for once nobody was found."""

import cv2
import numpy as np
import pytest

from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.face import Detection
from avaffect.faces.landmarks import Landmarker
from avaffect.faces.turned import SAMPLES, TurnedLook
from avaffect.media.frames import FrameReader


def no_detection(image):
    return []


@pytest.fixture(scope="module")
def nets():
    return build_detector("blazeface-full", 0.5, "cpu"), Landmarker()


def look_at(path, turn=None, stop=40):
    look = TurnedLook()
    with FrameReader(path) as reader:
        for frame in reader:
            if frame.index == stop:
                break
            image = frame.image if turn is None else cv2.rotate(frame.image, turn)
            look.keep(np.ascontiguousarray(image))
    return look


@pytest.mark.parametrize(
    ("turned", "back"),
    [
        (cv2.ROTATE_90_CLOCKWISE, 270),
        (cv2.ROTATE_180, 180),
        (cv2.ROTATE_90_COUNTERCLOCKWISE, 90),
    ],
)
def test_the_turn_that_brings_faces_upright_is_found(sample, nets, turned, back: int) -> None:
    assert look_at(sample("one_person.mp4"), turned).turn(*nets) == back


def test_a_video_without_anybody_is_not_turned(sample, nets) -> None:
    assert look_at(sample("no_face.mp4"), stop=1000).turn(*nets) is None


def test_without_frames_there_is_nothing_to_turn() -> None:
    assert TurnedLook().turn(no_detection, lambda image, roi: None) is None


def test_memory_does_not_grow_with_the_video() -> None:
    look = TurnedLook()
    for index in range(10_000):
        look.keep(np.full((720, 1280, 3), index % 256, np.uint8))
    assert SAMPLES <= len(look._kept) <= 2 * SAMPLES
    numbers = [number for number, _ in look._kept]
    assert len(set(np.diff(numbers))) == 1
    assert numbers[-1] > 8_000
    assert max(max(image.shape) for _, image in look._kept) <= 640


def test_a_doubtful_face_is_none() -> None:
    look = TurnedLook()
    look.keep(np.zeros((64, 64, 3), np.uint8))
    weak = Detection(np.zeros(4, np.float32), np.zeros((5, 2), np.float32), 0.7)

    def asked(image, roi):
        raise AssertionError("not worth a look")

    assert look.turn(lambda image: [weak], asked) is None
