"""The video beside the curves: where it lies, whether a browser plays it, faces cut from it."""

from __future__ import annotations

import base64
import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from avaffect.config import MediaConfig
from avaffect.drawing.subjects import Table
from avaffect.errors import AvaffectError, UsageError
from avaffect.files.hashing import known_sha256
from avaffect.files.outside import reading, real_path
from avaffect.media.apart import apart
from avaffect.media.aspect import PixelScale
from avaffect.media.container import choose_video, open_container
from avaffect.media.decode import Decoded
from avaffect.media.picture import RgbConverter
from avaffect.media.probe import MediaInfo, probe
from avaffect.reporting.summary import flags

# What browsers play, by the file's ending, and how they are told.
_KINDS = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm"}
_CODECS = ("h264", "vp8", "vp9", "av1")
_PIXELS = ("yuv420p", "yuvj420p")
MOST_EMBEDDED = 200_000_000
_SIDE, _QUALITY, _MARGIN = 104, 80, 0.3
# Per face: frames decoded behind the one that can be jumped to; per page: faces.
_PATIENCE = 40
# What lies this far ahead is decoded up to, and not jumped to.
_NEAR_S = 1.0
FACES_A_PERSON, MOST_FACES = 6, 36


@dataclass(frozen=True)
class Footage:
    """A video as the page shows it.

    Attributes:
        path: the file.
        why_not: why a browser cannot play it, in words; empty if it can.
        kind: its MIME type.
    """

    path: Path
    why_not: str
    kind: str

    def link(self, page: Path) -> str:
        """Its address relative to ``page``, percent-encoded."""
        relative = os.path.relpath(real_path(self.path), real_path(page).parent)
        return quote(Path(relative).as_posix())

    def embedded(self) -> str:
        """Its bytes as base64.

        Raises:
            UsageError: it is too large for that.
        """
        with reading(self.path):
            if self.path.stat().st_size > MOST_EMBEDDED:
                raise UsageError(
                    f"'{self.path}' has more than {MOST_EMBEDDED // 1_000_000} MB, too much to be "
                    "part of a page",
                    "leave out embed=True: the page then links the video",
                )
            return base64.b64encode(self.path.read_bytes()).decode()


def find_footage(
    about: Mapping[str, Any], named: Sequence[Path], places: Iterable[Path]
) -> Path | None:
    """The video that a table was made of, told by its content.

    Args:
        about: the table's metadata.
        named: files that may be it, whatever they are called, and further folders.
        places: folders to look into for a file of the video's name.

    Raises:
        InputNotFoundError: a named file is not there.
    """
    video = about.get("video")
    if not isinstance(video, Mapping):
        return None
    name, sha256 = str(video.get("name", "")), str(video.get("sha256", ""))
    folders = [path for path in named if path.is_dir()]
    files = [path for path in named if path not in folders]
    # Only a name: a record from elsewhere must not lead out of the folders.
    near = [] if Path(name).name != name else [place / name for place in (*folders, *places)]
    for path in (*files, *near):
        if path in files or path.is_file():
            with reading(path):
                if known_sha256(path) == sha256:
                    return path
    return None


def look_at(path: Path) -> Footage:
    """Whether a browser plays a file.

    Raises:
        MediaError: it is no video.
    """
    info = probe(path)
    return Footage(path, _why_not(info, path), _KINDS.get(path.suffix.lower(), ""))


def _why_not(info: MediaInfo, path: Path) -> str:
    video = info.video
    if path.suffix.lower() not in _KINDS:
        return f"browsers play no {path.suffix.lower()[:8] or 'such'} files"
    if video.codec not in _CODECS:
        return f"not every browser plays {video.codec}"
    if video.pix_fmt not in _PIXELS:
        return f"not every browser plays pictures stored as {video.pix_fmt}"
    return ""


def cut_faces(path: Path, tables: Sequence[Table], first_s: float) -> list[list[str]]:
    """A few faces of each person, spread over the time in which they are seen.

    The file is not decoded as a whole: for each face the nearest frame before it that can be
    jumped to, and at most forty more.

    Args:
        path: the very video that the tables were made of.
        tables: one a person.
        first_s: the first frame's time on the file's own clock.

    Returns:
        by person, JPEGs as base64; none where nothing could be cut.
    """
    found: list[list[str]] = [[] for _ in tables]
    count = max(1, min(FACES_A_PERSON, MOST_FACES // max(1, len(tables))))
    wanted = sorted(
        (float(table.times[row]), person, row)
        for person, table in enumerate(tables)
        for row in _rows(table, count)
    )
    # Faces are an ornament: the page is whole without them.
    with suppress(AvaffectError, av.FFmpegError, ValueError, cv2.error):
        _fill(found, path, tables, wanted, first_s)
    return found


def _fill(
    found: list[list[str]],
    path: Path,
    tables: Sequence[Table],
    wanted: Iterable[tuple[float, int, int]],
    first_s: float,
) -> None:
    wanted = list(wanted)
    shots = shown_at(path, tables[0].media, [time + first_s for time, _, _ in wanted])
    with closing(shots):
        for shot, data in shots:
            person = wanted[shot.number][1]
            table, times = tables[person], tables[person].times
            row = min(int(np.searchsorted(times, shot.moment - first_s - 1e-3)), len(times) - 1)
            image = np.frombuffer(data, np.uint8).reshape(shot.shape)
            if (jpeg := _cut(image, table, row, shot.scale.x, shot.scale.y)) is not None:
                found[person].append(jpeg)


@dataclass(frozen=True, slots=True)
class _Shot:
    """Which of the wanted frames it is, when it is shown, and its picture's shape."""

    number: int
    moment: float
    shape: tuple[int, int, int]
    scale: PixelScale


@apart
def shown_at(
    path: Path, config: MediaConfig, moments: list[float]
) -> Generator[tuple[_Shot, NDArray[np.uint8]], None, None]:
    """The pictures of a video at some container times, in their order, as far as there are any."""
    convert = RgbConverter(config.rotate)
    with open_container(path) as container:
        stream = choose_video(container, path, config.video_stream)
        stream.thread_type = "AUTO"
        # Half of the frames are for show alone, and any near the right one will do.
        stream.codec_context.skip_frame = "NONREF"
        shots = _Shots(container, stream)
        for number, time in enumerate(moments):
            if (found := shots.at(time)) is not None:
                decoded, moment = found
                image, scale = convert(decoded)
                height, width, channels = image.shape
                yield _Shot(number, moment, (height, width, channels), scale), image


def _rows(table: Table, count: int) -> list[int]:
    """The best seen row of each of so many equal parts of the rows with a face."""
    seen = np.flatnonzero(
        flags(table, "present", np.ones(len(table.times), bool))
        & np.isfinite(table.numbers("box_left", "box_bottom")).all(axis=1)
    )
    if not len(seen):
        return []
    quality = np.nan_to_num(table.numbers("confidence")[:, 0])
    parts = np.array_split(seen, min(count, len(seen)))
    return [int(part[quality[part].argmax()]) for part in parts]


class _Shots:
    """Single frames of a stream, asked for in the order of their times.

    Goes on where it stands if the next one is near: a jump leads back to a frame that can be
    jumped to, often the same as before.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container, self._stream = container, stream
        self._frames: Iterator[VideoFrame] = iter(())
        self._last: VideoFrame | None = None
        self._next: VideoFrame | None = None

    def at(self, time: float) -> tuple[Decoded, float] | None:
        """The frame shown at ``time``, or the last one before it that patience leads to."""
        stream = self._stream
        if stream.time_base is None:
            return None
        ahead = None if self._next is None else self._next.time
        if ahead is None or time - ahead > _NEAR_S:
            self._container.seek(max(0, int(time / stream.time_base)), stream=stream)
            self._frames, self._last = self._container.decode(stream), None
            self._next = next(self._frames, None)
        for _ in range(_PATIENCE + 1):
            frame = self._next
            if frame is None:
                break
            if frame.time is not None:
                if self._last is not None and frame.time > time + 1e-3:
                    break
                self._last = frame
            self._next = next(self._frames, None)
        last = self._last
        if last is None or last.time is None:
            return None
        context = stream.codec_context
        found = Decoded(
            last, stream.sample_aspect_ratio, int(context.color_trc), int(context.color_primaries)
        )
        return found, last.time


def _cut(
    image: NDArray[np.uint8], table: Table, row: int, across: float, down: float
) -> str | None:
    box = table.numbers("box_left", "box_top", "box_right", "box_bottom")[row].astype(np.float64)
    if not np.isfinite(box).all():
        return None
    left, top, right, bottom = box * (across, down, across, down)
    half = max(right - left, bottom - top) * (0.5 + _MARGIN)
    if not 1 < half < 4 * max(image.shape):
        return None
    middle = (left + right) / 2, (top + bottom) / 2
    corner = int(middle[0] - half), int(middle[1] - half)
    side = int(2 * half)
    height, width = image.shape[:2]
    x, y = max(0, corner[0]), max(0, corner[1])
    right_x, right_y = min(width, corner[0] + side), min(height, corner[1] + side)
    if right_x <= x or right_y <= y:
        return None
    # What lies outside the picture repeats its edge.
    edges = (y - corner[1], corner[1] + side - right_y, x - corner[0], corner[0] + side - right_x)
    square = cv2.copyMakeBorder(image[y:right_y, x:right_x], *edges, cv2.BORDER_REPLICATE)
    face = cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    done, data = cv2.imencode(".jpg", face[:, :, ::-1], options)
    return base64.b64encode(data.tobytes()).decode() if done else None
