"""Every decoded frame of a video: upright, in RGB, in square pixels, with its time.

Decoding and conversion to RGB run in a thread of their own (both release the interpreter lock),
a few frames ahead of whoever consumes them.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
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
from avaffect.media.apart import apart, is_untrusted
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


class _Pass(ABC):
    """One pass over the file: what its thread and its consumer share.

    It knows nothing of the reader, so that an iterator that is dropped ends its thread.

    Attributes:
        report: what decoding met so far.
    """

    report: DecodeReport

    def __init__(self, info: MediaInfo, config: MediaConfig, start: int, prefetch: int) -> None:
        self._info = info
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
            with closing(self._frames()) as frames:
                for size, make in frames:
                    self._room.enter(size)
                    if self._stop:
                        return
                    self._ready.put(make())
            self._ready.put(None)
        except BaseException as error:
            self._ready.put(error)

    @abstractmethod
    def _frames(self) -> Generator[tuple[int, Callable[[], Frame]], None, None]:
        """The frames to hand out: the bytes of each, and what makes it when there is room."""


class _Decoding(_Pass):
    """Decodes in this process."""

    def __init__(
        self,
        info: MediaInfo,
        config: MediaConfig,
        start: int,
        prefetch: int,
        segment: Segment | None,
    ) -> None:
        super().__init__(info, config, start, prefetch)
        self._segment = segment
        self._clock = info.clock() if segment is None else segment.clock()
        self._damage = Damage()
        self._count = 0

    @property
    def report(self) -> DecodeReport:  # type: ignore[override]
        first = self._clock.first
        return DecodeReport(
            frames=self._count,
            damaged=self._damage.errors,
            repaired_times=self._clock.repaired,
            first_error=self._damage.first,
            first_time_s=self._info.video.first_time_s if first is None else first,
        )

    def _frames(self) -> Generator[tuple[int, Callable[[], Frame]], None, None]:
        convert = RgbConverter(self._config.rotate)
        ahead: Iterator[Decoded | None] = chain(self._decode(), [None])
        for decoded, following in pairwise(ahead):
            assert decoded is not None  # noqa: S101  (only the last one is)
            after = None if following is None else following.frame.time
            time = self._clock.time(decoded.frame.time, after)
            index = self._count
            self._count += 1
            if index >= self._start:

                def make(decoded: Decoded = decoded, at: int = index, t: float = time) -> Frame:
                    return Frame(at, t, *convert(decoded))

                yield _rgb_bytes(decoded), make

    def _decode(self) -> Iterator[Decoded]:
        if self._segment is None:
            frames = decoded_frames(self._path, self._config, self._damage)
        else:
            frames = segment_frames(self._path, self._config, self._segment)
        for number, decoded in enumerate(deinterlaced(within_bounds(frames, self._path))):
            if decoded.frame.is_corrupt:
                self._damage.add(f"frame {number} is marked as corrupt")
            yield decoded


@dataclass(frozen=True, slots=True)
class _Shown:
    """A `Frame` but for its picture, and the report up to it."""

    index: int
    time: float
    shape: tuple[int, int, int]
    scale: PixelScale
    report: DecodeReport


class _Apart(_Pass):
    """Has `decoded_apart` decode."""

    def __init__(self, info: MediaInfo, config: MediaConfig, start: int, prefetch: int) -> None:
        super().__init__(info, config, start, prefetch)
        self.report = DecodeReport(0, 0, 0, None, info.video.first_time_s)
        self._prefetch = prefetch

    def _frames(self) -> Generator[tuple[int, Callable[[], Frame]], None, None]:
        # Two are on their way.
        ahead = max(1, self._prefetch - 2)
        found = decoded_apart(self._path, self._config, self._start, ahead, self._info)
        with closing(found) as items:
            for shown, data in items:
                if isinstance(shown, DecodeReport):
                    self.report = shown
                    continue
                self.report = shown.report
                if math.prod(shown.shape) != len(data):
                    raise MediaError(f"'{self._path}' makes the decoder talk nonsense")
                image = np.frombuffer(data, np.uint8).reshape(shown.shape)
                frame = Frame(shown.index, shown.time, image, shown.scale)
                yield len(data), lambda frame=frame: frame  # type: ignore[misc]


@apart
def decoded_apart(
    path: Path, config: MediaConfig, start: int, prefetch: int, info: MediaInfo
) -> Generator[tuple[_Shown | DecodeReport, NDArray[np.uint8]], None, None]:
    """The frames of a `FrameReader`, each without and with its picture; the report at the end."""
    with FrameReader(path, config, start=start, prefetch=prefetch, info=info) as reader:
        for frame in reader:
            height, width, channels = frame.image.shape
            shape = height, width, channels
            yield _Shown(frame.index, frame.time, shape, frame.scale, reader.report), frame.image
        yield reader.report, np.empty(0, np.uint8)


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
        return self._pass.report

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
        if not is_untrusted():
            segment = self._segment
            return _Decoding(self.info, self._config, self._start, self._prefetch, segment)
        if self._segment is not None:
            raise UsageError("a file that is not trusted is not read in segments")
        return _Apart(self.info, self._config, self._start, self._prefetch)
