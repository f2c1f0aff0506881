"""Confidence and what is hidden, on the sample person with things painted on."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.landmarks import Landmarker, roi_from_detection, roi_from_mesh
from avaffect.faces.quality import QualityReader
from avaffect.faces.shape import ShapeReader
from avaffect.faces.visibility import patches
from avaffect.media.frames import FrameReader


@pytest.fixture(scope="module")
def picture(sample):
    with FrameReader(sample("one_person.mp4")) as reader:
        return next(iter(reader)).image


@pytest.fixture(scope="module")
def judge(picture):
    landmarks, shapes, read = Landmarker(), ShapeReader(), QualityReader()
    (found,) = build_detector("blazeface-full")(picture)
    bare = landmarks(picture, roi_from_detection(found))

    def of(change, yaw=None):
        image = picture.copy()
        image = change(image) if change else image
        scale = np.float32(image.shape[0] / picture.shape[0])
        face = landmarks(image, roi_from_mesh(bare.mesh * scale))
        face = landmarks(image, roi_from_mesh(face.mesh))
        assert face is not None
        pose = shapes(face).pose
        pose = pose if yaw is None else np.array([yaw, 0, 0], np.float32)
        return read(image, replace(face, confidence=1.0), pose)

    of.eyes = bare.mesh[[33, 133, 362, 263], :2].mean(0).astype(int)  # type: ignore[attr-defined]
    return of


def box(left, top, right, bottom, colour):
    def change(image):
        image[top:bottom, left:right] = colour
        return image

    return change


SKIN, BLUE, BLACK = (216, 170, 150), (216, 228, 240), (10, 10, 10)


def test_a_face_with_nothing_wrong_loses_nothing(judge) -> None:
    quality = judge(None)
    assert quality.confidence > 0.97
    assert (quality.seen > 0.9).all()


@pytest.mark.parametrize("colour", [SKIN, BLUE, BLACK])
def test_a_covered_mouth_is_hidden(judge, colour) -> None:
    quality = judge(box(115, 235, 255, 335, colour))
    assert quality.seen[2] < 0.5 < quality.seen[1]
    assert quality.confidence < 0.7


@pytest.mark.parametrize("colour", [BLUE, BLACK])
def test_covered_eyes_are_hidden(judge, colour) -> None:
    x, y = judge.eyes
    quality = judge(box(x - 80, y - 20, x + 80, y + 20, colour))
    assert quality.seen[1] < 0.5 < quality.seen[2]
    assert quality.confidence < 0.8


def test_a_profile_shows_half(judge) -> None:
    assert (judge(None, yaw=75.0).seen == 0).all()
    confidence = [judge(None, yaw=yaw).confidence for yaw in (0.0, 45.0, -60.0, 75.0)]
    assert (np.diff(confidence) < -0.1).all()


def test_blur_darkness_and_few_pixels_cost(judge) -> None:
    bare = judge(None).confidence
    assert judge(lambda image: cv2.GaussianBlur(image, (0, 0), 7)).confidence < 0.85 * bare
    assert judge(lambda image: (image * 0.1).astype(np.uint8)).confidence < 0.5 * bare
    tiny = judge(lambda image: cv2.resize(image, (80, 80), interpolation=cv2.INTER_AREA))
    assert tiny.confidence < 0.6 * bare


def test_only_what_lies_around_the_face_counts(picture) -> None:
    """A face at the end of a picture, and outside, is judged too."""
    landmarks = Landmarker()
    (found,) = build_detector("blazeface-full")(picture)
    mesh = landmarks(picture, roi_from_detection(found)).mesh
    whole = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)
    for left in (0, -150, -240, -2000):
        shifted = mesh + np.array([left, 0, 0], np.float32)
        apart = np.abs(patches(picture, shifted).astype(int) - patches(whole, shifted))
        assert apart.max() <= 1
