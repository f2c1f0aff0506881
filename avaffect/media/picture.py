"""From a decoded frame to an upright RGB picture."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

# AVCOL_SPC_UNSPECIFIED
_UNSPECIFIED = 2


@dataclass(frozen=True, slots=True)
class Orientation:
    """What turns a stored picture upright: first transpose, then mirror.

    Attributes:
        transpose: swap rows and columns.
        mirror_x: left to right.
        mirror_y: top to bottom.
    """

    transpose: bool = False
    mirror_x: bool = False
    mirror_y: bool = False

    @property
    def rotation(self) -> int:
        """The turn to upright in degrees clockwise: 0, 90, 180 or 270 (mirroring left out)."""
        if self.transpose:
            return 270 if self.mirror_y else 90
        return 180 if self.mirror_y else 0

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn ``image``, uint8 [H, W, 3]."""
        turned: Any = image
        if self.transpose:
            turned = cv2.transpose(turned)
        if self.mirror_x or self.mirror_y:
            both = self.mirror_x and self.mirror_y
            turned = cv2.flip(turned, -1 if both else int(self.mirror_x))
        return np.ascontiguousarray(turned)


UPRIGHT = Orientation()


def orientation(frame: VideoFrame) -> Orientation:
    """How ``frame`` is to be turned, by its display matrix, to the nearest quarter turn.

    The matrix is that of the MP4 track header (ISO/IEC 14496-12, section 8.3.2): a stored point
    (x, y) is shown at (a x + c y, b x + d y), y downwards.
    """
    data: Any
    for data in frame.side_data:
        if data.type == Type.DISPLAYMATRIX:
            a, b, _, c, d, *_ = np.frombuffer(data, np.int32, 9).astype(float)
            if abs(a) + abs(d) >= abs(b) + abs(c):
                return Orientation(False, a < 0, d < 0)
            return Orientation(True, c < 0, b < 0)
    return UPRIGHT


class RgbConverter:
    """Converts decoded frames of any pixel format and size to RGB.

    The frame's own matrix (BT.601, BT.709, BT.2020) and range are used. Where the stream does not
    say, BT.709 is taken for HD (at least 1280 wide or 720 high) and BT.601 below, as video
    players do. Pixels are not scaled: a sample aspect ratio that is not 1 is left
    alone, as is the transfer function of HDR video.
    """

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._turn = UPRIGHT
        self._rotation: int | None = None

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """``frame`` as a contiguous uint8 [H, W, 3], turned upright."""
        matrix = None
        if frame.colorspace == _UNSPECIFIED:
            hd = frame.width >= 1280 or frame.height >= 720
            matrix = Colorspace.ITU709 if hd else Colorspace.ITU601
        # One thread: the net runs meanwhile on the others.
        rgb = self._reformatter.reformat(frame, format="rgb24", src_colorspace=matrix, threads=1)
        # Not for every frame: PyAV's side data refers back to its frame, which then stays in
        # memory until the garbage collector comes by.
        if frame.rotation != self._rotation:
            self._turn, self._rotation = orientation(frame), frame.rotation
        return self._turn.apply(np.asarray(rgb.to_ndarray(), np.uint8))


def deinterlaced(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    """Give whole pictures for the interlaced frames among ``frames``, one for one.

    Progressive frames come through as they are, and at once until the first interlaced frame.
    Afterwards frames come a little later, since the filter (bwdif) looks at the next one.
    Timestamps and everything else that the decoder said are kept.
    """
    graph: Any = None
    layout: tuple[int, int, str] | None = None
    waiting: deque[VideoFrame] = deque()
    for frame in frames:
        shape = (frame.width, frame.height, frame.format.name)
        if graph is not None and shape != layout:
            graph.vpush(None)
            yield from _pulled(graph, waiting)
            graph = None
        if graph is None:
            if not frame.interlaced_frame:
                yield frame
                continue
            graph, layout = _bwdif(frame), shape
        waiting.append(frame)
        graph.vpush(frame)
        yield from _pulled(graph, waiting)
    if graph is not None:
        graph.vpush(None)
        yield from _pulled(graph, waiting)


def _bwdif(frame: VideoFrame) -> Any:
    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
    graph.link_nodes(source, bwdif, graph.add("buffersink")).configure()
    return graph


def _pulled(graph: Any, waiting: deque[VideoFrame]) -> Iterator[VideoFrame]:
    while True:
        try:
            frame = graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        frame.pts, frame.time_base = waiting[0].pts, waiting[0].time_base
        waiting.popleft()
        yield frame
