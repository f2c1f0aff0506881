"""Printed faces shake by noise; people move."""

import numpy as np
import pytest

from avaffect.faces.stillness import Stillness


def track(seconds, noise, motion, fps=25, seed=0):
    rng = np.random.default_rng(seed)
    times = np.arange(int(seconds * fps)) / fps
    rest = rng.normal(0, 0.5, 204), rng.uniform(0, 0.3, 52)
    slow = motion * np.sin(2 * np.pi * times / 1.7)[:, None]
    landmarks = rest[0] + rng.normal(0, noise, (len(times), 204)) + slow
    shapes = rest[1] + rng.normal(0, 3 * noise, (len(times), 52)) + 3 * slow
    return times, landmarks, shapes


def still(*what, size=150.0, chunk=1000, **more):
    times, landmarks, shapes = track(*what, **more)
    found = Stillness()
    for at in range(0, len(times), chunk):
        part = slice(at, at + chunk)
        found.add(times[part], landmarks[part], shapes[part])
    return found.is_still(size)


@pytest.mark.parametrize(
    ("seconds", "noise", "motion", "expected"),
    [
        (3, 0.0003, 0.0, True),  # a portrait
        (3, 0.003, 0.0, True),  # with film noise
        (3, 0.0008, 0.01, False),  # somebody who speaks
        (60, 0.0008, 0.0, True),
        (1.5, 0.0003, 0.0, False),  # too short to tell
        (0, 0.0003, 0.0, False),
    ],
)
def test_who_moves(seconds: float, noise: float, motion: float, expected: bool) -> None:
    assert still(seconds, noise, motion) is expected
    assert still(seconds, noise, motion, chunk=7) is expected


def test_somebody_who_moves_now_and_then_is_no_portrait() -> None:
    times, landmarks, shapes = track(40, 0.0005, 0.0)
    moving = (times % 10 < 2)[:, None] * 0.02 * np.sin(4 * times)[:, None]
    found = Stillness()
    found.add(times, landmarks + moving, shapes + 3 * moving)
    assert not found.is_still(150.0)
