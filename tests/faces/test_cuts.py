"""Cuts: found where shots change, and nowhere else."""

from __future__ import annotations

import json
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.faces.cuts import CutDetector, thumbnail
from avaffect.media.frames import FrameReader


@pytest.fixture(scope="module")
def shots(sample):
    """Frames of the sample clips, by name; two people are two shots, cut out alike."""

    def frames(name):
        with FrameReader(sample(name)) as reader:
            return [frame.image for frame in reader]

    both = frames("two_people.mp4")
    return {
        "one": frames("one_person.mp4")[:60],
        "coffee": frames("no_face.mp4"),
        "phone": frames("vfr_rotated.mov"),
        "left": [np.ascontiguousarray(image[:, :320]) for image in both[:60]],
        "right": [np.ascontiguousarray(image[:, 320:]) for image in both[:60]],
    }


def cuts(images):
    detector = CutDetector()
    return [at for at, image in enumerate(images) if detector(image)]


@pytest.mark.parametrize("name", ["one", "coffee", "phone", "left", "right"])
def test_a_shot_has_no_cut(shots, name: str) -> None:
    assert cuts(shots[name]) == []


@pytest.mark.parametrize(
    ("first", "second"),
    [("one", "coffee"), ("left", "right"), ("right", "left"), ("phone", "one")],
)
def test_a_new_shot_is_a_cut_and_so_is_the_way_back(shots, first: str, second: str) -> None:
    first_shot, second_shot = shots[first][:20], shots[second][:20]
    assert cuts([*first_shot, *second_shot, *first_shot]) == [20, 40]


def test_the_first_frame_is_no_cut(shots) -> None:
    assert cuts(shots["one"][:1]) == []


@pytest.mark.parametrize("gain", [0.5, 1.4, 1.8])
def test_another_light_is_no_cut(shots, gain: float) -> None:
    images = shots["one"][:20]
    lit = [np.clip(image * gain, 0, 255).astype(np.uint8) for image in images[8:10]]
    assert cuts([*images[:8], *lit, *images[10:]]) == []


def test_a_fade_is_no_cut_but_the_picture_after_black_is(shots) -> None:
    images = shots["one"][:40]
    fade = [(image * (1 - at / 30)).astype(np.uint8) for at, image in enumerate(images[:31])]
    assert cuts([*fade, *images[31:]]) == [31]


def test_noise_in_the_dark_is_no_cut() -> None:
    rng = np.random.default_rng(3)
    assert cuts(rng.integers(0, 8, (20, 90, 160, 3), np.uint8)) == []


def test_a_slow_pan_is_no_cut(shots) -> None:
    image = cv2.resize(shots["coffee"][0], (640, 480))
    assert cuts([image[:, at : at + 320] for at in range(0, 300, 3)]) == []


@pytest.mark.parametrize("size", [(1080, 1920), (720, 1280), (360, 640), (719, 1283), (9, 16)])
def test_a_thumbnail_is_the_mean_of_areas(size) -> None:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (9, 16, 3)).astype(np.uint8)
    image = np.asarray(cv2.resize(small, size[::-1], interpolation=cv2.INTER_LINEAR), np.uint8)
    expected = cv2.resize(image, (32, 18), interpolation=cv2.INTER_AREA)
    assert np.abs(thumbnail(image).astype(int) - expected).max() <= 2


@settings(deadline=None)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=12), st.data())
def test_a_detector_goes_on_where_it_stopped(order, data) -> None:
    """Four pictures that have nothing in common, one of them black."""
    images = [
        np.random.default_rng(seed).integers(0, 256 if seed else 1, (18, 32, 3), np.uint8)
        for seed in range(4)
    ]
    stop = data.draw(st.integers(0, len(order)))
    first, second = CutDetector(), CutDetector()
    found = [first(images[at]) for at in order[:stop]]
    second.restore(json.loads(json.dumps(first.state())))
    found += [second(images[at]) for at in order[stop:]]
    assert found == [False, *(a != b for a, b in pairwise(order))]
