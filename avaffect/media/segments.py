"""Segments of a video: where it can be cut so that each is decoded by itself, frame for frame.

All packets are read once, without decoding. A video is cut only where each frame has a time of
its own in the file, later than that of the frame before. Decoding begins at a key frame before the
segment, and whatever does not come as it was counted shows that the video cannot be cut.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.config import MediaConfig
from avaffect.errors import MediaError
from avaffect.media.apart import is_untrusted
from avaffect.media.clock import FrameClock
from avaffect.media.container import choose_video, open_container
from avaffect.media.decode import Decoded, described_frames, prepare
from avaffect.media.probe import MediaInfo

# Frames behind its end that a segment has: what is held at its end lies between two looks.
RUN_OUT = 8
_BLOCK = 1 << 14


class NoSegmentsError(MediaError):
    """A video that cannot be cut into segments; it can be gone through in one go."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"'{path.name}' cannot be cut into segments: {why}", "leave them out")
        self.why = why


@dataclass(frozen=True)
class Place:
    """A frame: its number in the video, from 0, and its timestamp in the stream's time base."""

    index: int
    pts: int


@dataclass(frozen=True)
class Segment:
    """A segment.

    Attributes:
        key: the key frame at which decoding begins.
        first: the first frame that is handed out: the warm-up begins.
        start: the first frame of the segment itself.
        stop: the first frame of the next segment; of the last one, what would come next.
        zero_s: the time of the video's first frame on the file's own clock.
    """

    key: Place
    first: Place
    start: Place
    stop: Place
    zero_s: float

    def to_dict(self) -> dict[str, Any]:
        """JSON-able values, for :meth:`of`."""
        return asdict(self)

    @classmethod
    def of(cls, values: dict[str, Any]) -> Segment:
        """The segment that :meth:`to_dict` gave."""
        places = {name: Place(**values[name]) for name in ("key", "first", "start", "stop")}
        return cls(**places, zero_s=values["zero_s"])

    def clock(self) -> SegmentClock:
        """What gives its frames their times."""
        return SegmentClock(self.zero_s)


class SegmentClock:
    """Gives frames the time since the first frame of the whole video; a ``Clock``."""

    repaired = 0

    def __init__(self, zero_s: float) -> None:
        self.first: float | None = zero_s
        self._zero = zero_s

    def time(self, stamp: float | None, following: float | None) -> float:
        """The time of the next frame, whose timestamp is known."""
        assert stamp is not None  # noqa: S101  (its video would not have been cut)
        return stamp - self._zero


@dataclass(frozen=True, eq=False, repr=False)
class Stamps(ArrayRecord):
    """The frames of a video, as its packets tell.

    Attributes:
        pts: int64 [frames], rising.
        times: float64 [frames], seconds since the first.
        keys: int64, the numbers of the key frames.
        zero_s: the first frame's time on the file's own clock.
    """

    pts: NDArray[np.int64]
    times: NDArray[np.float64]
    keys: NDArray[np.int64]
    zero_s: float

    def segments(self, seconds: float, warm_up_s: float) -> list[Segment]:
        """Segments of ``seconds`` each, the last one longer or shorter by half; fewer than two if
        the video is not so long."""
        count = max(1, round(float(self.times[-1]) / seconds))
        starts = [int(np.searchsorted(self.times, at * seconds)) for at in range(count)]
        found = []
        for number, start in enumerate(starts):
            after = self.times[start] - warm_up_s if number else 0.0
            first = int(np.searchsorted(self.times, after))
            key = int(self.keys[max(0, bisect_right(self.keys.tolist(), first) - 1)])
            stop = starts[number + 1] if number < count - 1 else len(self.pts)
            key_at, first_at, start_at, stop_at = map(self._place, (key, first, start, stop))
            found.append(Segment(key_at, first_at, start_at, stop_at, self.zero_s))
        return found

    def _place(self, index: int) -> Place:
        behind = index == len(self.pts)
        return Place(index, int(self.pts[index - behind]) + behind)


def read_stamps(info: MediaInfo, config: MediaConfig) -> Stamps:
    """Read all packets of a video.

    Memory: some 20 bytes a frame.

    Raises:
        NoSegmentsError: frames without times, times that would have to be repaired, or damage; or
            the file is not trusted.
        MediaError: the file cannot be opened.
    """
    path = info.path
    if is_untrusted():
        raise NoSegmentsError(path, "it is not trusted")
    clock = info.clock()
    if not isinstance(clock, FrameClock):
        raise NoSegmentsError(path, "its frames have no times")
    pts: list[NDArray[np.int64]] = []
    keys: list[int] = []
    block: list[int] = []
    with open_container(path) as container:
        stream = choose_video(container, path, config.video_stream)
        base = stream.time_base
        try:
            for packet in container.demux(stream):
                if not packet.size or packet.is_discard:
                    continue
                if packet.pts is None:
                    raise NoSegmentsError(path, "its frames have no times")
                if packet.is_corrupt:
                    raise NoSegmentsError(path, "it is damaged")
                block.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
                if len(block) == _BLOCK:
                    pts.append(np.array(block, np.int64))
                    block = []
        except (av.FFmpegError, IndexError) as error:
            raise NoSegmentsError(path, "it is damaged") from error
    stamps = np.sort(np.concatenate([*pts, np.array(block, np.int64)]))
    if not len(stamps) or base is None or not keys or min(keys) > stamps[0]:
        raise NoSegmentsError(path, "it does not begin with a key frame")
    if len(stamps) > 1 and not (np.diff(stamps) > 0).all():
        raise NoSegmentsError(path, "two of its frames have one time")
    # As PyAV makes seconds of a timestamp, to the last bit.
    seconds = stamps.astype(np.float64) * base.numerator / base.denominator
    times = np.empty(len(stamps))
    for at, stamp in enumerate(seconds.tolist()):
        after = float(seconds[at + 1]) if at + 1 < len(seconds) else None
        times[at] = clock.time(stamp, after)
    if clock.repaired or not np.array_equal(times, seconds - seconds[0]):
        raise NoSegmentsError(path, "its times have to be repaired")
    numbers = np.searchsorted(stamps, np.unique(np.array(keys, np.int64)))
    return Stamps(stamps, times, numbers, float(seconds[0]))


def segment_frames(path: Path, config: MediaConfig, segment: Segment) -> Iterator[Decoded]:
    """Decode a segment: from the first frame of its warm-up to `RUN_OUT` frames behind its end.

    Raises:
        NoSegmentsError: frames do not come as they were counted, or are damaged.
    """
    places = (segment.key, segment.first, segment.start, segment.stop)
    expected = {each.index: each.pts for each in places}
    last = segment.stop.index + RUN_OUT
    index, before = segment.key.index - 1, segment.key.pts - 1
    try:
        with open_container(path) as container:
            stream = choose_video(container, path, config.video_stream)
            prepare(container, stream)
            container.seek(segment.key.pts, stream=stream)
            for decoded in described_frames(container, stream):
                pts = decoded.frame.pts
                if pts is not None and pts < segment.key.pts:
                    continue
                index += 1
                # As many frames as packets, each later than the one before: the very same ones.
                as_counted = pts is not None and before < pts == expected.get(index, pts)
                if decoded.frame.is_corrupt or not as_counted:
                    raise NoSegmentsError(path, f"frame {index + 1} is not decoded by itself")
                before = pts or 0
                if index >= segment.first.index:
                    yield decoded
                if index == last:
                    return
    except (av.FFmpegError, IndexError) as error:
        raise NoSegmentsError(path, "it is damaged") from error
    if index < segment.stop.index - 1:
        raise NoSegmentsError(path, "it ends before its last packet")
