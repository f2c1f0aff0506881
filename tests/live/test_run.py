"""The loop: the newest frame wins, delays are counted, and it ends well. No real time passes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avaffect.errors import UsageError
from avaffect.live.run import Delays, live, watch
from avaffect.live.session import FramePrediction, Session
from avaffect.live.sources import FilePlayer
from avaffect.live.table import LiveTable
from avaffect.preprocessing.nets import Nets
from avaffect.preprocessing.run import NetsLoader
from avaffect.progress import Progress


class Slow:
    """Takes so many seconds a frame, and gives each frame's result after a delay."""

    def __init__(self, clock: Any, cost: float, made_up: Callable[..., FramePrediction],
                 delay: float = 0.0) -> None:  # fmt: skip
        self.delay = delay
        self.sound: list[tuple[float, int]] = []
        self._clock, self._cost, self._made_up = clock, cost, made_up
        self._waiting: list[FramePrediction] = []
        self._count = 0

    def push(self, image: np.ndarray, time: float) -> list[FramePrediction]:
        self._clock.time += self._cost
        self._waiting.append(self._made_up(self._count, time))
        self._count += 1
        return self._taken(time - self.delay)

    def push_sound(self, samples: np.ndarray, rate: float, time: float) -> None:
        self.sound.append((time, len(samples)))

    def flush(self) -> list[FramePrediction]:
        return self._taken(np.inf)

    def _taken(self, until: float) -> list[FramePrediction]:
        ready = [each for each in self._waiting if each.time <= until + 1e-9]
        self._waiting = [each for each in self._waiting if each not in ready]
        return ready


class Screen:
    """Keeps what it is shown, and ends after so many frames."""

    def __init__(self, most: int = 1000) -> None:
        self.frames: list[float] = []
        self._most = most

    def show(self, image: np.ndarray, results: list[FramePrediction]) -> bool:
        assert image.shape[2] == 3
        assert len({each.time for each in results}) == 1
        self.frames.append(results[0].time)
        return len(self.frames) < self._most

    def close(self) -> None:
        return None


def test_a_quick_one_drops_nothing(gap_clip: Path, clock: Any, made_up: Any) -> None:
    slow: Any = Slow(clock, 0.01, made_up)
    events: list[Any] = []
    done = watch(FilePlayer(gap_clip, clock, sound=True), slow, clock, on_event=events.append)
    assert (done.frames, done.dropped, done.rows, done.people) == (40, 0, 40, 1)
    assert done.delay == done.delay_95 == 0.01
    assert done.seconds == pytest.approx(39 / 25)
    assert not done.interrupted
    assert sum(count for _, count in slow.sound) > 20_000
    assert events[-1] == Progress("live", 40, 40, finished=True)


def test_a_slow_one_drops_frames_and_does_not_fall_behind(
    gap_clip: Path, clock: Any, made_up: Any
) -> None:
    slow: Any = Slow(clock, 0.1, made_up)
    done = watch(FilePlayer(gap_clip, clock), slow, clock)
    assert done.frames + done.dropped == 40
    assert done.dropped > 20
    # No result is later than the work on one frame and the time to the next.
    assert done.delay_95 is not None
    assert done.delay_95 <= 0.1 + 0.04 + 1e-9


def test_a_delay_counts_as_one(gap_clip: Path, clock: Any, made_up: Any) -> None:
    slow: Any = Slow(clock, 0.01, made_up, delay=0.2)
    screen = Screen()
    done = watch(FilePlayer(gap_clip, clock), slow, clock, screen=screen)
    assert done.rows == 40
    assert done.delay == pytest.approx(0.21, abs=0.001)
    # Shown is the frame that the results are of.
    assert screen.frames[:3] == pytest.approx([0, 0.04, 0.08])


def test_it_ends_after_seconds_by_a_key_and_by_a_signal(
    gap_clip: Path, clock: Any, made_up: Any, tmp_path: Path
) -> None:
    def player() -> FilePlayer:
        return FilePlayer(gap_clip, clock)

    slow: Any = Slow(clock, 0.01, made_up)
    assert watch(player(), slow, clock, seconds=0.5).frames == 13
    slow = Slow(clock, 0.01, made_up)
    assert watch(player(), slow, clock, screen=Screen(5)).frames == 5
    slow = Slow(clock, 0.01, made_up, delay=0.2)
    table = LiveTable(tmp_path / "live.csv")

    def stop(result: FramePrediction) -> None:
        if result.frame == 7:
            os.kill(os.getpid(), signal.SIGINT)

    done = watch(player(), slow, clock, table, on_result=stop)
    table.close()
    assert done.interrupted
    # What waited for its delay is not lost.
    assert done.rows == done.frames == 13
    assert len(table.path.read_text("utf-8").splitlines()) == 14


def test_delays_are_counted_in_bounds() -> None:
    delays = Delays()
    assert delays.quantile(0.5) is None
    for milliseconds in range(1, 101):
        delays.add(milliseconds / 1000)
    assert delays.quantile(0.5) == 0.05
    assert delays.quantile(0.95) == 0.095
    delays.add(1e9)
    delays.add(-1)
    assert delays.quantile(1) == 20


@pytest.mark.parametrize("options", [{}, {"camera": 0, "source": "a.mp4"}])
def test_one_thing_is_watched(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="one thing"):
        live(**options)


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_no_such_length(seconds: float) -> None:
    with pytest.raises(UsageError, match="seconds"):
        live(0, seconds=seconds)


def test_a_file_is_predicted_whole(
    gap_clip: Path, nets: NetsLoader, clock: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    loaded = nets()
    monkeypatch.setattr(Nets, "load", lambda *args: loaded)
    monkeypatch.setattr("avaffect.live.run.RealClock", lambda: clock)
    results: list[FramePrediction] = []
    out = tmp_path / "live.csv"
    done = live(source=gap_clip, out=out, window=False, on_result=results.append)
    assert (done.frames, done.dropped, done.rows, done.path) == (40, 0, 30, out)
    assert len(results) == 30
    # A session that gets the same says the same.
    session, player = Session(), FilePlayer(gap_clip, clock, sound=True)
    again = []
    while (shot := player.newest()) is not None:
        if shot.sound is not None:
            session.push_sound(shot.sound, 16_000, shot.sound_time)
        again += session.push(shot.image, shot.time)
    assert all(np.array_equal(a.va, b.va) for a, b in zip(results, again, strict=True))
