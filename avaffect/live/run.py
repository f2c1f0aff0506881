"""``live``: a camera, or a file at its own speed, predicted frame by frame."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import MissingPackageError, UsageError, boundary
from avaffect.interrupts import Interrupts
from avaffect.live.session import TOLERANCE_S, FramePrediction, Session
from avaffect.live.sources import Camera, Clock, FilePlayer, RealClock, Shot, Source
from avaffect.live.table import LiveTable
from avaffect.progress import EventCallback, Notice, Progress, ignore_events

# Delays are counted by the millisecond up to so many.
_LONGEST_MS = 20_000
_REPORT_EVERY = 10
# Frames are kept for the window until their results come.
_MOST_KEPT = 256


class Delays:
    """How long results took, in memory that does not grow."""

    def __init__(self) -> None:
        self._counts = np.zeros(_LONGEST_MS + 1, np.int64)

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[int(np.clip(round(1000 * seconds), 0, _LONGEST_MS))] += 1

    def quantile(self, part: float) -> float | None:
        """Seconds that a part (0..1) of them took at the most, to the millisecond; None without
        any."""
        total = int(self._counts.sum())
        if not total:
            return None
        within = np.cumsum(self._counts) >= max(1, math.ceil(part * total))
        return float(within.argmax()) / 1000


@dataclass(frozen=True)
class Lived:
    """What a live run did.

    Attributes:
        frames: that were predicted.
        dropped: that came while another was worked on.
        people: how many were seen.
        rows: results, one a person and frame.
        seconds: of the source, from the first frame to the last.
        delay: seconds from a frame's capture to its result, the median; None without a result.
        delay_95: what 95 % of them took at the most.
        path: the table; None without one.
        interrupted: whether it was asked to stop.
    """

    frames: int
    dropped: int
    people: int
    rows: int
    seconds: float
    delay: float | None
    delay_95: float | None
    path: Path | None
    interrupted: bool = False


class Screen(Protocol):
    """What shows frames: a `Window`."""

    def show(self, image: NDArray[np.uint8], results: Sequence[FramePrediction]) -> bool:
        """Show a frame; whether to go on."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


@boundary()
def live(
    camera: int | None = None,
    source: Path | str | None = None,
    out: Path | str | None = None,
    *,
    window: bool | None = None,
    sound: bool = True,
    seconds: float | None = None,
    overwrite: bool = False,
    on_result: Callable[[FramePrediction], None] | None = None,
    on_event: EventCallback = ignore_events,
    **options: Any,
) -> Lived:
    """Predict what a camera sees, or a file at its own speed, until it ends.

    What comes while a frame is worked on is dropped but for the newest, so that it never falls
    behind. Ctrl-C ends it well.

    Args:
        camera: number of a camera, from 0; or
        source: a video file.
        out: a table, ``.csv``, see `table.LiveTable`; None writes none.
        window: show the frames with what is predicted; None: where there is a display.
        sound: hear the file's sound; of a camera no microphone is heard.
        seconds: end after so many.
        overwrite: replace a table that `live` wrote before.
        on_result: is given each result.
        on_event: progress, stage ``live``, and notices.
        options: those of `Session`.

    Raises:
        UsageError: neither or both of camera and file; no display for a window that was asked
            for; and as `Session`.
        MediaError: there is no such camera, or the file cannot be played.
        OutputError: the table cannot be written.
    """
    if (camera is None) == (source is None):
        raise UsageError("one thing is watched", "give a camera's number, or a file")
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise UsageError(f"seconds={seconds:g} is no length of time", "give more than 0")
    clock = RealClock()
    with ExitStack() as stack:
        # The nets first: a camera that waits for them would run full.
        session = stack.enter_context(Session(on_event=on_event, **options))
        watched: Source
        if camera is not None:
            watched = Camera(camera, clock)
        else:
            watched = FilePlayer(source or "", clock, sound, on_event)
        stack.callback(watched.close)
        if (screen := _screen(window, on_event)) is not None:
            stack.callback(screen.close)
        table = None if out is None else LiveTable(Path(out), overwrite)
        if table is not None:
            stack.callback(table.close)
        return watch(watched, session, clock, table, screen, seconds, on_result, on_event)


def watch(
    source: Source,
    session: Session,
    clock: Clock,
    table: LiveTable | None = None,
    screen: Screen | None = None,
    seconds: float | None = None,
    on_result: Callable[[FramePrediction], None] | None = None,
    on_event: EventCallback = ignore_events,
) -> Lived:
    """Predict a source's frames until it ends; see `live`."""
    delays, people, rows, frames, last = Delays(), set[int](), 0, 0, 0.0
    # When frames were captured whose results did not come yet, and those to show.
    waiting: deque[Shot] = deque(maxlen=_MOST_KEPT)

    def give(results: list[FramePrediction]) -> None:
        nonlocal rows
        now = clock.now()
        captured = {shot.time: shot.captured for shot in waiting}
        for result in results:
            if result.time in captured:
                delays.add(now - captured[result.time])
            people.add(result.track)
            if on_result is not None:
                on_result(result)
        rows += len(results)
        if table is not None:
            table.add(results)

    with Interrupts() as interrupts:
        while not interrupts.asked and (shot := source.newest()) is not None:
            if seconds is not None and shot.time >= seconds:
                break
            if shot.sound is not None:
                session.push_sound(shot.sound, 16_000, shot.sound_time)
            waiting.append(shot)
            results = session.push(shot.image, shot.time)
            frames, last = frames + 1, shot.time
            give(results)
            if screen is not None and not _shown(screen, waiting, results, session.delay):
                break
            while waiting and waiting[0].time <= shot.time - session.delay + TOLERANCE_S:
                waiting.popleft()
            if frames % _REPORT_EVERY == 0:
                on_event(Progress("live", frames, None))
        give(session.flush())
    on_event(Progress("live", frames, frames, finished=True))
    return Lived(
        frames=frames,
        dropped=source.dropped,
        people=len(people),
        rows=rows,
        seconds=last,
        delay=delays.quantile(0.5),
        delay_95=delays.quantile(0.95),
        path=None if table is None else table.path,
        interrupted=interrupts.asked,
    )


def _shown(
    screen: Screen, waiting: deque[Shot], results: list[FramePrediction], delay: float
) -> bool:
    """Show the newest frame whose results are there; whether to go on."""
    due = [shot for shot in waiting if shot.time <= waiting[-1].time - delay + TOLERANCE_S]
    if not due:
        return True
    return screen.show(due[-1].image, [each for each in results if each.time == due[-1].time])


def _screen(wanted: bool | None, on_event: EventCallback) -> Screen | None:
    if wanted is False:
        return None
    from avaffect.live.window import Window

    try:
        return Window()
    except (UsageError, MissingPackageError) as error:
        if wanted:
            raise
        on_event(Notice(f"no window: {error.problem}"))
        return None
