"""Frame times that strictly increase, whatever the container says."""

from __future__ import annotations

import math
from typing import Protocol

# A step back or a spike of more than this many seconds is no reordering but a break.
BREAK_S = 1.0
# A step forward of more than this is one too, where clocks may restart; ffmpeg's own limit, which
# places the sound.
FORWARD_BREAK_S = 10.0


# Steps below this are errors of rounding.
TICK_S = 1e-6
# Frames a second that may be meant. What claims more, or less than one an hour, has no times.
MAX_FPS, MIN_FPS = 1000, 1 / 3600
# For a stream without a frame rate.
DEFAULT_FPS = 25.0


class Clock(Protocol):
    """Gives frames their times.

    Attributes:
        first: timestamp of the first frame in seconds on the container's clock; None before it.
        repaired: number of times that were not the container's own.
    """

    first: float | None
    repaired: int

    def time(self, stamp: float | None, following: float | None) -> float:
        """Seconds from the first frame to the next one.

        Args:
            stamp: the frame's own timestamp in seconds, None if it has none.
            following: that of the frame after it, None if unknown.
        """
        ...


class RegularClock:
    """Gives frame i the time i / ``fps``, for a stream without times of its own; a ``Clock``."""

    def __init__(self, fps: float) -> None:
        self.first: float | None = None
        self.repaired = 0
        self._fps = fps
        self._frames = 0

    def time(self, stamp: float | None, following: float | None) -> float:
        """The time of the next frame; timestamps do not matter."""
        self.first = 0.0
        self._frames += 1
        return (self._frames - 1) / self._fps


class FrameClock:
    """Turns the timestamps of frames in presentation order into seconds since the first one.

    Good timestamps are kept as they are (variable frame rate included). A missing one, one that
    does not increase and a lonely spike forward take the middle between their neighbours, or one
    frame step more than the last. After a lasting jump (broadcast streams restart their clock)
    the rest is shifted to go on one step after the last.

    Args:
        step: a first guess of the time between frames in seconds.
        restarts: the container is of a kind whose clock may restart, so that a long step forward
            is a jump too and not a pause.

    Attributes:
        first: timestamp of the first frame in seconds on the container's clock.
        repaired: number of times that were not the container's own.
    """

    def __init__(self, step: float, restarts: bool = False) -> None:
        self.first: float | None = None
        self.repaired = 0
        self._step = step
        self._longest = FORWARD_BREAK_S if restarts else math.inf
        self._shift = 0.0
        self._last = 0.0

    def time(self, stamp: float | None, following: float | None) -> float:
        """The time of the next frame.

        Args:
            stamp: the frame's own timestamp in seconds, None if it has none.
            following: that of the frame after it, None if unknown.
        """
        if self.first is None:
            return self._start(stamp, following)
        last = self._last
        own = None if stamp is None else stamp - self._shift
        after = None if following is None else following - self._shift
        after_fits = after is not None and TICK_S < after - last <= self._longest
        lonely = own is not None and after is not None and after < own - BREAK_S and after_fits
        if own is not None and TICK_S < own - last <= self._longest and not lonely:
            self._step = min(own - last, BREAK_S)
            self._last = own
            return own
        self.repaired += 1
        if after is not None and 2 * TICK_S < after - last < BREAK_S:
            self._last = (last + after) / 2
        else:
            self._last = max(last + self._step, math.nextafter(last, math.inf))
            jumped = own is not None and (own < last - BREAK_S or own > last + self._longest)
            if own is not None and jumped and not after_fits:
                self._shift += own - self._last
        return self._last

    def _start(self, stamp: float | None, following: float | None) -> float:
        if stamp is None:
            self.repaired += 1
            stamp = 0.0 if following is None else following - self._step
        self.first = self._shift = stamp
        return 0.0
