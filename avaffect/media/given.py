"""Frames that a caller has: checked, and read as those of a file are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sized
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import NoFramesError, UsageError
from avaffect.media.clock import DEFAULT_FPS, MAX_FPS
from avaffect.media.container import MAX_PIXELS, MAX_SIDE
from avaffect.media.frames import DecodeReport, Frame
from avaffect.media.probe import MediaInfo, VideoInfo

_COLOURS = 3
_END = object()


def as_image(image: Any) -> NDArray[np.uint8]:
    """``image``, contiguous.

    Raises:
        UsageError: it is no uint8 [H, W, 3], or absurdly large.
    """
    kind = getattr(image, "dtype", None)
    shape = tuple(getattr(image, "shape", ()))
    if kind != np.uint8 or len(shape) != _COLOURS or shape[2] != _COLOURS or 0 in shape:
        what = type(image).__name__ if kind is None else f"{kind} {list(shape)}"
        raise UsageError(
            f"a frame is {what}, expected uint8 [H, W, 3]",
            "give RGB; OpenCV's frames are BGR: frame[:, :, ::-1]",
        )
    if max(shape) > MAX_SIDE or shape[0] * shape[1] > MAX_PIXELS:
        raise UsageError(f"a frame of {shape[1]}x{shape[0]} pixels is too large", "shrink it")
    return np.ascontiguousarray(image)


def as_time(time: Any, before: float | None) -> float:
    """``time`` in seconds.

    Raises:
        UsageError: it is no finite number, or not later than ``before``.
    """
    try:
        seconds = float(time)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not math.isfinite(seconds):
        raise UsageError(f"the time of a frame is {time!r}", "give a number of seconds")
    if before is not None and seconds <= before:
        raise UsageError(
            f"a frame at {seconds:g} s follows one at {before:g} s", "times must increase"
        )
    return seconds


@dataclass(frozen=True, eq=False)
class Given:
    """Frames to be read once.

    Attributes:
        path: what they are called.
        frames: uint8 [H, W, 3] each, RGB.
        times: seconds of each, increasing; None for ``fps``.
        fps: frames a second.
    """

    path: Path
    frames: Iterable[NDArray[np.uint8]]
    times: Iterable[float] | None = None
    fps: float | None = None

    def __post_init__(self) -> None:
        if (self.times is None) == (self.fps is None):
            raise UsageError("frames need times or fps, and not both", "give for example fps=25")
        if self.fps is not None and not 0 < self.fps <= MAX_FPS:
            raise UsageError(f"fps={self.fps:g} is no frame rate", f"give up to {MAX_FPS:g}")

    def timed(self) -> Iterator[tuple[NDArray[np.uint8], float]]:
        """Each frame, checked, and its time as it was given."""
        before: float | None = None
        times: Iterator[Any] | None = None if self.times is None else iter(self.times)
        for index, image in enumerate(self.frames):
            if times is not None:
                time = next(times, _END)
                if time is _END:
                    raise UsageError(f"there are {index} times and more frames than that")
            else:
                time = index / float(self.fps or DEFAULT_FPS)
            before = as_time(time, before)
            yield as_image(image), before


class GivenFrames:
    """Reads `Given` frames, each once; takes the place of a `FrameReader`.

    Attributes:
        info: as of a file.
        path: what they are called.
        first: the time of the first frame as it was given, seconds.

    Raises:
        NoFramesError: there is no frame.
        UsageError: a frame or time that cannot be used.
    """

    def __init__(self, given: Given, *, start: int = 0) -> None:
        if start:
            raise UsageError("frames of the caller's cannot be taken up in their midst")
        timed = given.timed()
        first = next(timed, None)
        if first is None:
            raise NoFramesError("there are no frames", "give one or more")
        self._timed = chain([first], timed)
        self._count = 0
        image, self.first = first
        self.info = _info(given, image)
        self.path = given.path

    @property
    def media(self) -> MediaInfo:
        """The same as ``info``, as a `Source` calls it."""
        return self.info

    @property
    def report(self) -> DecodeReport:
        """How many there were."""
        return DecodeReport(self._count, 0, 0, None, self.first)

    def __iter__(self) -> Iterator[Frame]:
        for index, (image, time) in enumerate(self._timed):
            self._count = index + 1
            yield Frame(index, time - self.first, image)

    def __enter__(self) -> GivenFrames:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def _info(given: Given, image: NDArray[np.uint8]) -> MediaInfo:
    height, width = image.shape[:2]
    video = VideoInfo(
        index=0,
        ordinal=0,
        codec="rawvideo",
        width=width,
        height=height,
        rotation=0,
        sample_aspect=1.0,
        pix_fmt="rgb24",
        bit_depth=8,
        interlaced=False,
        header_frames=len(given.frames) if isinstance(given.frames, Sized) else None,
        fps=given.fps,
        first_time_s=0.0,
    )
    return MediaInfo(given.path, 0, "frames", None, None, False, video, None, 1, 0)
