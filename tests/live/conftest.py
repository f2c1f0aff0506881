"""A clip's frames, a clock that runs when it is told to, and predictions made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from avaffect.live.session import FramePrediction
from avaffect.media.frames import FrameReader
from avaffect.predictions.prediction import Prediction

Shots = list[tuple[NDArray[np.uint8], float]]


class StillClock:
    """Time passes where somebody sleeps or works."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.time += seconds


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture(scope="session")
def shots(gap_clip: Path) -> Shots:
    """Image and time of the gap clip's 40 frames; no face in 14 to 23."""
    with FrameReader(gap_clip) as reader:
        return [(frame.image, frame.time) for frame in reader]


@pytest.fixture
def made_up() -> Callable[..., FramePrediction]:
    """A result for a frame."""

    def make(frame: int, time: float, track: int = 1) -> FramePrediction:
        expr = np.eye(8)[[frame % 8]]
        prediction = Prediction(
            f"person {track}", "m", [time], [True], [0.5], va=[[0.25, -0.5]], expr=expr,
            geometry=np.full((1, 17), 40.0),
        )  # fmt: skip
        return FramePrediction(time, frame, track, frame + 1, prediction)

    return make
