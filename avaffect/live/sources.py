"""Where live frames come from: a camera, or a file that is played at its own speed.

A source gives its newest frame and counts those that nobody had time for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE, MediaConfig
from avaffect.errors import MediaError, UsageError
from avaffect.media.frames import Frame, FrameReader
from avaffect.media.local import local_path
from avaffect.media.sound import Heard, hear
from avaffect.progress import EventCallback, ignore_events

_OPEN_S = 10.0
_NO_CAMERA = "close other programs that use it, choose another number, or play a file"


class Clock(Protocol):
    """What tells the time; tests bring their own."""

    def now(self) -> float:
        """Seconds."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class RealClock:
    """The computer's."""

    def now(self) -> float:
        """Seconds, never falling."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(frozen=True, eq=False)
class Shot:
    """A frame as it was captured.

    Attributes:
        image: uint8 [H, W, 3], RGB.
        time: seconds since the first frame.
        captured: when it was there to be seen, on the clock.
        sound: float32 [n] at 16 kHz, that up to it and behind that of the shot before.
        sound_time: seconds of the first sample, since the first frame.
    """

    image: NDArray[np.uint8]
    time: float
    captured: float
    sound: NDArray[np.float32] | None = None
    sound_time: float = 0.0


class Source(Protocol):
    """Gives frames.

    Attributes:
        dropped: frames that were there and not given, since a newer one was.
    """

    @property
    def dropped(self) -> int: ...

    def newest(self) -> Shot | None:
        """The newest frame that was not given yet, waited for if need be; None at the end."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class FilePlayer:
    """A video file at its own speed, as if it were a camera.

    Args:
        path: the file.
        clock: what tells the time.
        sound: whether its sound is given too.
        on_event: notices, such as which of several streams is heard.

    Raises:
        InputNotFoundError, MediaError: the file cannot be played.
    """

    def __init__(
        self,
        path: Path | str,
        clock: Clock,
        sound: bool = False,
        on_event: EventCallback = ignore_events,
    ) -> None:
        path = local_path(path)
        self._clock = clock
        self._reader = FrameReader(path)
        self.dropped = 0
        self._frames = iter(self._reader)
        self._next = next(self._frames, None)
        first = self._reader.info.video.first_time_s
        self._pieces = _pieces(path, first, on_event) if sound else iter(())
        self._piece = next(self._pieces, None)
        self._start: float | None = None

    def newest(self) -> Shot | None:
        """See `Source`: the frame whose time has come, of several the last."""
        if self._next is None:
            return None
        if self._start is None:
            self._start = self._clock.now() - self._next.time
        if (wait := self._start + self._next.time - self._clock.now()) > 0:
            self._clock.sleep(wait)
        now = self._clock.now() - self._start
        frame: Frame = self._next
        self._next = next(self._frames, None)
        while self._next is not None and self._next.time <= now:
            frame, self._next = self._next, next(self._frames, None)
            self.dropped += 1
        sound, begin = self._sound(frame.time)
        return Shot(frame.image, frame.time, self._start + frame.time, sound, begin)

    def close(self) -> None:
        """Stop decoding."""
        self._reader.close()

    def _sound(self, until: float) -> tuple[NDArray[np.float32] | None, float]:
        """The sound up to a time, and when it begins."""
        parts: list[NDArray[np.float32]] = []
        begin = until
        while self._piece is not None and self._piece[0] <= until:
            begin = min(begin, self._piece[0]) if not parts else begin
            parts.append(self._piece[1])
            self._piece = next(self._pieces, None)
        return (np.concatenate(parts) if parts else None), begin


def _pieces(
    path: Path, first: float, on_event: EventCallback
) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """The sound of a file piece by piece, each with its time since the first frame."""
    begin = first
    for what, data in hear(path, MediaConfig(), None, on_event, lambda _: None):
        if isinstance(what, Heard):
            begin = what.begin_s or first
            continue
        at = begin - first + what / SAMPLE_RATE
        samples = (np.frombuffer(data, np.int16) / 32768).astype(np.float32)
        # What lies before the picture is cut off.
        early = min(len(samples), max(0, round(-at * SAMPLE_RATE)))
        if early < len(samples):
            yield at + early / SAMPLE_RATE, samples[early:]


class Camera:
    """A camera of this computer, by OpenCV; a thread keeps its newest frame.

    Args:
        number: which, from 0.
        clock: what tells the time.

    Raises:
        MediaError: there is none, or it gives no picture.
    """

    def __init__(self, number: int, clock: Clock) -> None:
        import cv2

        if number < 0:
            raise UsageError(f"there is no camera {number}", "cameras are counted from 0")
        self._clock = clock
        # What its drivers print is said in one line.
        level = cv2.utils.logging.getLogLevel() if hasattr(cv2, "utils") else None
        if level is not None:
            cv2.utils.logging.setLogLevel(0)
        self._capture = cv2.VideoCapture(number)
        if level is not None:
            cv2.utils.logging.setLogLevel(level)
        if not self._capture.isOpened():
            raise MediaError(f"camera {number} cannot be opened", _NO_CAMERA)
        self._number = number
        self._slot = Newest()
        self._first: float | None = None
        self._before = -1.0
        self._thread = threading.Thread(target=self._fill, name="avaffect-camera", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """See `Source`."""
        return self._slot.dropped

    def newest(self) -> Shot | None:
        """See `Source`.

        Raises:
            MediaError: the camera gives no more frames.
        """
        found = self._slot.take(_OPEN_S)
        if found is None:
            raise MediaError(f"camera {self._number} gives no picture", _NO_CAMERA)
        image, captured = found
        if self._first is None:
            self._first = captured
        # Two frames that came at once still have an order.
        self._before = max(captured - self._first, self._before + 1e-6)
        return Shot(np.ascontiguousarray(image[:, :, ::-1]), self._before, captured)

    def close(self) -> None:
        """Let go of the camera."""
        self._slot.close()
        self._thread.join(_OPEN_S)
        self._capture.release()

    def _fill(self) -> None:
        while not self._slot.closed:
            good, image = self._capture.read()
            if not good:
                break
            self._slot.put(np.asarray(image, np.uint8), self._clock.now())
        self._slot.close()


class Newest:
    """A place for one frame: what comes takes the place of what nobody took.

    Attributes:
        dropped: how many frames nobody took.
        closed: whether no more come.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self.closed = False
        self._held: tuple[NDArray[np.uint8], float] | None = None
        self._there = threading.Condition()

    def put(self, image: NDArray[np.uint8], time: float) -> None:
        """Leave a frame here."""
        with self._there:
            self.dropped += self._held is not None
            self._held = image, time
            self._there.notify()

    def take(self, wait: float) -> tuple[NDArray[np.uint8], float] | None:
        """The frame that is here, waited for up to so many seconds; None if none came."""
        with self._there:
            self._there.wait_for(lambda: self._held is not None or self.closed, wait)
            held, self._held = self._held, None
            return held

    def close(self) -> None:
        """No more frames come."""
        with self._there:
            self.closed = True
            self._there.notify()
