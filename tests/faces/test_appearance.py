"""The look of a face: like itself over time and light, unlike another person's."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from avaffect.faces.appearance import SIZE, _lab, describe, similarity
from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.landmarks import Landmarker, roi_from_detection
from avaffect.faces.track import SIMILAR_ANYWHERE, SIMILAR_HERE
from avaffect.media.frames import FrameReader


@pytest.fixture(scope="module")
def seen(sample):
    """(picture, face) of each person through the sample clips, every tenth frame."""
    detect, landmarks = build_detector("blazeface-full"), Landmarker()
    found = {"one": [], "left": [], "right": [], "phone": []}
    for clip in ("one_person.mp4", "two_people.mp4", "vfr_rotated.mov"):
        with FrameReader(sample(clip)) as reader:
            for frame in reader:
                if frame.index % 10:
                    continue
                for detection in detect(frame.image):
                    face = landmarks(frame.image, roi_from_detection(detection))
                    who = {"one_person.mp4": "one", "vfr_rotated.mov": "phone"}.get(clip)
                    who = who or ("left" if detection.box[0] < 320 else "right")
                    found[who].append((frame.image, face))
    return found


def looks(pairs):
    return np.stack([describe(image, face) for image, face in pairs])


def moved(face, matrix):
    """A face whose five points, which are all that counts, are mapped by ``matrix``."""
    from dataclasses import replace

    points = face.points @ matrix[:, :2].T + matrix[:, 2]
    return replace(face, points=points.astype(np.float32))


def test_a_look_is_a_unit_vector(seen) -> None:
    for vector in looks(seen["left"]):
        assert vector.shape == (SIZE,)
        assert vector.dtype == np.float32
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        assert similarity(vector, vector) == pytest.approx(1, abs=1e-5)


def test_a_person_stays_alike_through_all_expressions(seen) -> None:
    for name, pairs in seen.items():
        vectors = looks(pairs)
        assert len(vectors) >= 8, name
        assert (vectors @ vectors.T).min() > SIMILAR_ANYWHERE + 0.15


def test_a_person_is_alike_in_another_clip(seen) -> None:
    assert (looks(seen["one"]) @ looks(seen["left"]).T).min() > SIMILAR_ANYWHERE
    assert (looks(seen["one"]) @ looks(seen["phone"]).T).min() > SIMILAR_ANYWHERE


def test_another_person_is_not(seen) -> None:
    """Not even one who has half of her features."""
    for name in ("one", "left", "phone"):
        assert (looks(seen[name]) @ looks(seen["right"]).T).max() < SIMILAR_ANYWHERE - 0.1


@pytest.mark.parametrize("gain", [0.8, 1.2])
def test_light_changes_little(seen, gain: float) -> None:
    for image, face in seen["one"][:5]:
        lit = np.clip(image * gain, 0, 255).astype(np.uint8)
        assert similarity(describe(image, face), describe(lit, face)) > SIMILAR_HERE + 0.1


@pytest.mark.parametrize(("scale", "angle"), [(1, 30), (0.5, 0), (2, -50), (0.7, 180)])
def test_place_size_and_turn_change_little(seen, scale: float, angle: int) -> None:
    image, face = seen["one"][0]
    matrix = cv2.getRotationMatrix2D((200, 200), angle, scale)
    matrix[:, 2] += 300
    larger = cv2.warpAffine(image, matrix, (1000, 1000), flags=cv2.INTER_AREA)
    there = describe(larger, moved(face, matrix))
    assert similarity(describe(image, face), there) > 0.9


def test_what_lies_outside_the_picture_does_not_count(seen) -> None:
    image, face = seen["one"][0]
    chin = int(face.box[3])
    close = describe(np.ascontiguousarray(image[:chin]), face)
    assert similarity(describe(image, face), close) > SIMILAR_ANYWHERE
    assert np.linalg.norm(close) == pytest.approx(1, abs=1e-5)


def test_a_black_picture_has_no_look(seen) -> None:
    image, face = seen["one"][0]
    nothing = describe(np.zeros_like(image), face)
    assert not nothing.any()
    assert similarity(nothing, describe(image, face)) == 0


def test_colours_are_those_of_opencv() -> None:
    """Whose first conversion would take longer than all else in the first frame."""
    picture = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    picture[0], picture[1] = 0, 255
    theirs = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), np.uint8)
    apart = np.abs(_lab(picture).astype(int) - theirs)
    assert apart.max() <= 3
    assert apart.mean() < 0.2
