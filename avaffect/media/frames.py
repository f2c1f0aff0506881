"""Every decoded frame of a video: upright, in RGB, in square pixels, with its time.

Decoding and conversion to RGB run in a thread of their own (both release the interpreter lock),
a few frames ahead of whoever consumes them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.config import MediaConfig
from avaffect.errors import MediaError, UsageError
from avaffect.files.outside import reading
from avaffect.media.aspect import SQUARE, PixelScale, square_size
from avaffect.media.container import MAX_PIXELS, MAX_SIDE
from avaffect.media.decode import Damage, Decoded, decoded_frames
from avaffect.media.picture import RgbConverter, deinterlaced
from avaffect.media.probe import DEFAULTS, MediaInfo, probe
from avaffect.media.room import Room, within_bounds
from avaffect.media.segments import Segment, segment_frames

# Frames kept ready take no more memory than this together.
MAX_PREFETCH_BYTES = 16 << 20


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Frame(ArrayRecord):
    """One decoded frame.

    Attributes:
        index: 0-based, in presentation order.
        time: seconds since the first decoded frame, greater than that of the frame before.
        image: uint8 [H, W, 3], RGB, contiguous, upright, its pixels square.
        scale: how the file's own pixels became those of ``image``.
    """

    index: int
    time: float
    image: NDArray[np.uint8]
    scale: PixelScale = SQUARE

    def __post_init__(self) -> None:
        image = self.image
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UsageError(f"image is {image.dtype} {image.shape}, expected uint8 [H, W, 3]")
        if not image.flags.c_contiguous:
            raise UsageError("image is not contiguous")
        if self.index < 0 or not 0 <= self.time < float("inf"):
            raise UsageError(f"frame {self.index} has the impossible time {self.time}")


@dataclass(frozen=True, slots=True)
class DecodeReport:
    """What decoding met so far.

    Attributes:
        frames: frames decoded, up to ``prefetch`` more than were handed out.
        damaged: decode errors met, and frames that the decoder gave out but marked as corrupt.
        repaired_times: frames whose time the container did not give, or not in order.
        first_error: the first sign of damage in words, None without damage.
        first_time_s: container time of the first frame in seconds.
    """

    frames: int
    damaged: int
    repaired_times: int
    first_error: str | None
    first_time_s: float


class _Pass:
    """One pass over the file: what its thread and its consumer share.

    It knows nothing of the reader, so that an iterator that is dropped ends its thread.
    """

    def __init__(
        self,
        info: MediaInfo,
        config: MediaConfig,
        start: int,
        prefetch: int,
        segment: Segment | None,
    ) -> None:
        self.clock = info.clock() if segment is None else segment.clock()
        self._segment = segment
        self.damage = Damage()
        self.frames = 0
        self._path = info.path
        self._config = config
        self._start = start
        self._room = Room(prefetch, MAX_PREFETCH_BYTES)
        self._ready: SimpleQueue[Frame | BaseException | None] = SimpleQueue()
        self._stop = False

    def __iter__(self) -> Generator[Frame, None, None]:
        worker = threading.Thread(target=self._fill, name="avaffect-decode", daemon=True)
        worker.start()
        try:
            while (item := self._ready.get()) is not None:
                if isinstance(item, BaseException):
                    with reading(self._path, MediaError, "cannot be decoded", "convert it to MP4"):
                        raise item
                self._room.leave(item.image.nbytes)
                yield item
        finally:
            self._stop = True
            self._room.close()
            worker.join()

    def _fill(self) -> None:
        """The thread's work: fill the queue; None or an exception ends it."""
        try:
            convert = RgbConverter(self._config.rotate)
            ahead: Iterator[Decoded | None] = chain(self._decode(), [None])
            for decoded, following in pairwise(ahead):
                assert decoded is not None  # noqa: S101  (only the last one is)
                after = None if following is None else following.frame.time
                time = self.clock.time(decoded.frame.time, after)
                index = self.frames
                self.frames += 1
                if index >= self._start:
                    self._room.enter(_rgb_bytes(decoded))
                if self._stop:
                    return
                if index >= self._start:
                    self._ready.put(Frame(index, time, *convert(decoded)))
            self._ready.put(None)
        except BaseException as error:
            self._ready.put(error)

    def _decode(self) -> Iterator[Decoded]:
        if self._segment is None:
            frames = decoded_frames(self._path, self._config, self.damage)
        else:
            frames = segment_frames(self._path, self._config, self._segment)
        for number, decoded in enumerate(deinterlaced(within_bounds(frames, self._path))):
            if decoded.frame.is_corrupt:
                self.damage.add(f"frame {number} is marked as corrupt")
            yield decoded


def _rgb_bytes(decoded: Decoded) -> int:
    """Bytes of the picture that a frame becomes."""
    frame = decoded.frame
    size = square_size(frame.width, frame.height, decoded.aspect, MAX_SIDE, MAX_PIXELS)
    return 3 * math.prod(size)


class FrameReader:
    """Reads a video's frames, each exactly once, in presentation order.

    Header counts are not believed: what the decoder gives is counted. In a damaged file all that
    can be decoded is used. Interlaced frames are deinterlaced, one picture a frame. The picture's
    size may change in mid-stream. Each ``iter()`` starts at the beginning again.

    Example:
        >>> with FrameReader("video.mp4") as reader:  # doctest: +SKIP
        ...     for frame in reader:
        ...         print(frame.index, frame.time, frame.image.shape)

    Args:
        path: the file.
        config: which stream.
        start: number of frames at the beginning that are decoded but not converted to RGB nor
            handed out, as when work is taken up again; index and time of the others stay as they
            would be.
        prefetch: frames decoded ahead, fewer if they are large.
        info: what :func:`avaffect.media.probe.probe` found; None does it now.
        segment: read this segment alone, its warm-up and `RUN_OUT` frames among it; frames are
            numbered from its first one, and have the times that they have in the whole video.

    Attributes:
        info: facts from the header and the first frame.

    Raises:
        InputNotFoundError, MediaError: as :func:`avaffect.media.probe.probe`; MediaError also in
            the middle, where the picture grows absurdly large.
    """

    def __init__(
        self,
        path: Path | str,
        config: MediaConfig = DEFAULTS,
        *,
        start: int = 0,
        prefetch: int = 8,
        info: MediaInfo | None = None,
        segment: Segment | None = None,
    ) -> None:
        if start < 0 or prefetch < 1:
            raise UsageError("start must be at least 0 and prefetch at least 1")
        self.info = info or probe(path, config)
        self._config = config
        self._start = start
        self._segment = segment
        frame_bytes = 3 * math.prod(self.info.video.square_size)
        self._prefetch = max(1, min(prefetch, MAX_PREFETCH_BYTES // frame_bytes))
        self._pass = self._new_pass()
        self._frames: Generator[Frame, None, None] | None = None

    @property
    def report(self) -> DecodeReport:
        """What decoding met so far; final when all frames were handed out."""
        current = self._pass
        first = current.clock.first
        return DecodeReport(
            frames=current.frames,
            damaged=current.damage.errors,
            repaired_times=current.clock.repaired,
            first_error=current.damage.first,
            first_time_s=self.info.video.first_time_s if first is None else first,
        )

    def __iter__(self) -> Iterator[Frame]:
        self.close()
        self._pass = self._new_pass()
        self._frames = iter(self._pass)
        return self._frames

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop decoding. Nothing happens if it is over already."""
        if self._frames is not None:
            self._frames.close()
            self._frames = None

    def _new_pass(self) -> _Pass:
        return _Pass(self.info, self._config, self._start, self._prefetch, self._segment)
