"""The same movements at other frame rates give the same predictions at the same times."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

import numpy as np
import pytest

from avaffect.faces.face_pose import SIZE, face_pose_names
from avaffect.files.npy import ArraySpec
from avaffect.predictions.smooth import apply, parse_smoothing
from avaffect.predictors.starter.starter1 import FACE_NET, Starter1
from avaffect.sound.voice import VOICE
from avaffect.store.subject import SubjectFeatures

NAMES = face_pose_names()
SECONDS = 10.0
SPECS = {
    "face_pose": ArraySpec((SIZE,), "float32"),
    FACE_NET: ArraySpec((8,), "float32"),
    "voice": VOICE,
}
# When what begins, is full, and is over; what moves, and the expression that is seen.
EVENTS = (
    ((1.0, 1.3, 2.0, 2.3), "mouthSmile", 4),
    ((3.5, 3.7, 3.9, 4.1), "browOuterUp", 6),
    ((6.0, 6.5, 7.5, 8.0), "browDown", 1),
)
SPOKEN = (4.5, 7.0)
# The largest difference of each task: at regular times, at times as phones write them, and with a
# third of the frames lost, which takes away some of what there was to see.
REGULAR = {"va": 0.01, "expr": 0.03, "au": 0.03, "au_intensity": 0.05}
JITTERED = {"va": 0.05, "expr": 0.08, "au": 0.08, "au_intensity": 0.4}
DROPPED = {"va": 0.1, "expr": 0.15, "au": 0.2, "au_intensity": 0.7}


class Sampled(SubjectFeatures):
    """A subject whose movements are functions of time, at any times."""

    def __init__(self, times: np.ndarray) -> None:
        self._times = times
        self._arrays = {
            "face_pose": face_pose(times),
            FACE_NET: face(times),
            "voice": voice(times),
        }

    name = "sampled"
    specs = SPECS

    @property
    def times(self) -> np.ndarray:
        return self._times

    @property
    def present(self) -> np.ndarray:
        return np.ones(len(self._times), bool)

    @property
    def confidence(self) -> np.ndarray:
        return np.ones(len(self._times), np.float32)

    def table(self) -> NoReturn:
        raise NotImplementedError

    def _slice(self, name: str, start: int, stop: int) -> np.ndarray:
        return self._arrays[name][start:stop].copy()


def strength(times: np.ndarray, moments: tuple[float, ...]) -> np.ndarray:
    """0 to 1 and back, smoothly."""
    linear = np.interp(times, moments, (0, 1, 1, 0))
    return linear * linear * (3 - 2 * linear)


def face_pose(times: np.ndarray) -> np.ndarray:
    out = np.zeros((len(times), SIZE), np.float32)
    for moments, moves, _ in EVENTS:
        for side in ("Left", "Right"):
            out[:, NAMES.index(moves + side)] = 0.05 + 0.8 * strength(times, moments)
    return out


def softmax(scores: np.ndarray) -> np.ndarray:
    out = np.exp(scores)
    return (out / out.sum(axis=1, keepdims=True)).astype(np.float32)


def face(times: np.ndarray) -> np.ndarray:
    scores = np.zeros((len(times), 8))
    scores[:, 0] = 2
    for moments, _, seen in EVENTS:
        scores[:, seen] += 5 * strength(times, moments)
    scores[:, 7] = -30
    return softmax(scores)


def voice(times: np.ndarray) -> np.ndarray:
    spoken = (times >= SPOKEN[0]) & (times <= SPOKEN[1])
    scores = np.zeros((len(times), 8))
    scores[:, 1] = 2 * np.sin(times)
    predicted = np.where(spoken[:, None], softmax(scores), np.nan)
    return np.column_stack([predicted, spoken]).astype(np.float32)


def regular(rate: float) -> np.ndarray:
    return np.arange(0, SECONDS, 1 / rate)


def jittered(rate: float, seed: int) -> np.ndarray:
    """Steps between half and one and a half of the regular one, in no order."""
    steps = np.random.default_rng(seed).uniform(0.5, 1.5, round(SECONDS * rate)) / rate
    return np.cumsum(steps) - steps[0]


def dropped(rate: float, seed: int) -> np.ndarray:
    """A third of the frames lost."""
    times = regular(rate)
    return times[np.random.default_rng(seed).random(len(times)) > 1 / 3]


def differences(times: np.ndarray) -> dict[str, float]:
    """The largest of each task from what 100 frames a second give."""
    model = Starter1()
    smoothing = parse_smoothing(model.smooth)
    dense, mine = (
        apply(model.predict(Sampled(at), ("va", "expr", "au")), smoothing)
        for at in (regular(100), times)
    )
    inside = times <= dense.times[-1]
    out = {}
    for task in REGULAR:
        columns = zip(getattr(dense, task).T, getattr(mine, task).T, strict=True)
        out[task] = max(
            float(np.abs(np.interp(times, dense.times, a) - b)[inside].max()) for a, b in columns
        )
    return out


@pytest.mark.parametrize("rate", [12.5, 15, 24, 25, 30000 / 1001, 50])
def test_at_other_rates(rate) -> None:
    found = differences(regular(rate))
    assert all(found[task] <= most for task, most in REGULAR.items()), found


@pytest.mark.parametrize(("sampled", "tolerance"), [(jittered, JITTERED), (dropped, DROPPED)])
@pytest.mark.parametrize("seed", range(3))
def test_at_irregular_times(
    sampled: Callable[[float, int], np.ndarray], tolerance: dict[str, float], seed: int
) -> None:
    found = differences(sampled(25, seed))
    assert all(found[task] <= most for task, most in tolerance.items()), found


def test_the_movements_are_far_larger_than_the_tolerance() -> None:
    model = Starter1()
    out = apply(model.predict(Sampled(regular(25)), model.tasks), parse_smoothing(model.smooth))
    for task, most in DROPPED.items():
        assert np.ptp(getattr(out, task), axis=0).max() > 4 * most
