"""From a decoded frame to an upright RGB picture of square pixels."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

from avaffect.media.aspect import SQUARE, PixelScale, square_size
from avaffect.media.container import MAX_PIXELS, MAX_SIDE
from avaffect.media.decode import UNSPECIFIED, Decoded
from avaffect.media.hdr import is_hdr, to_sdr
from avaffect.media.pyav import display_matrix, graph_of_one_thread, has_exif, to_rgb

# SWS_CS_BT2020, which PyAV has a name for only from 17 on.
_BT2020 = 9


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
# By degrees clockwise.
TURNS = {
    0: UPRIGHT,
    90: Orientation(transpose=True, mirror_x=True),
    180: Orientation(mirror_x=True, mirror_y=True),
    270: Orientation(transpose=True, mirror_y=True),
}


def orientation(frame: VideoFrame) -> Orientation:
    """How ``frame`` is to be turned, by its display matrix, to the nearest quarter turn.

    The matrix is that of the MP4 track header (ISO/IEC 14496-12, section 8.3.2): a stored point
    (x, y) is shown at (a x + c y, b x + d y), y downwards. The orientation in EXIF data comes as
    such a matrix too.
    """
    matrix = display_matrix(frame)
    if matrix is None:
        return UPRIGHT
    a, b, _, c, d, *_ = matrix.astype(float)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, bool(a < 0), bool(d < 0))
    return Orientation(True, bool(c < 0), bool(b < 0))


class RgbConverter:
    """Converts decoded frames of any pixel format and size to upright RGB of square pixels.

    The frame's own matrix (BT.601, BT.709, BT.2020) and range are used. Where the stream
    names none, BT.709 is taken for HD (at least 1280 wide or 720 high) and BT.601 below, as video
    players do. HDR (PQ, HLG) becomes SDR, see :mod:`avaffect.media.hdr`. Pixels that are not
    square are made so, see :func:`avaffect.media.aspect.square_size`.

    Args:
        turn: degrees clockwise by which all pictures are turned; None takes each one's own.
    """

    def __init__(self, turn: int | None = None) -> None:
        self._reformatter = VideoReformatter()
        self._fixed = turn is not None
        self._turn = TURNS[turn or 0]
        self._rotation: int | None = None
        self._look_at_each = False

    def __call__(self, decoded: Decoded) -> tuple[NDArray[np.uint8], PixelScale]:
        """The picture, a contiguous uint8 [H, W, 3], and how its pixels were stretched."""
        frame = decoded.frame
        turn = self._turn_of(frame)
        image = turn.apply(self._rgb(decoded))
        height, width = image.shape[:2]
        aspect = decoded.aspect
        if aspect is not None and turn.transpose:
            aspect = 1 / aspect
        size = square_size(width, height, aspect, MAX_SIDE, MAX_PIXELS)
        if size == (width, height):
            return image, SQUARE
        larger = size[0] > width or size[1] > height
        kind = cv2.INTER_CUBIC if larger else cv2.INTER_AREA
        square = np.asarray(cv2.resize(image, size, interpolation=kind), np.uint8)
        return square, PixelScale(size[0] / width, size[1] / height)

    def _rgb(self, decoded: Decoded) -> NDArray[np.uint8]:
        frame = decoded.frame
        matrix: int | None = None
        hdr = is_hdr(decoded.transfer)
        if frame.colorspace == UNSPECIFIED:
            hd = frame.width >= 1280 or frame.height >= 720
            matrix = _BT2020 if hdr else Colorspace.ITU709 if hd else Colorspace.ITU601
        # One thread: the net runs meanwhile on the others.
        rgb = self._reformatter.reformat(
            frame, format="rgb48le" if hdr else "rgb24", src_colorspace=matrix, **to_rgb(frame)
        )
        pixels = rgb.to_ndarray()
        if hdr:
            return to_sdr(np.asarray(pixels, np.uint16), decoded.transfer, decoded.primaries)
        return np.asarray(pixels, np.uint8)

    def _turn_of(self, frame: VideoFrame) -> Orientation:
        # Not for every frame: PyAV's side data refers back to its frame, which then stays in
        # memory until the garbage collector comes by. Pictures of cameras differ one by one.
        if not self._fixed and (self._look_at_each or frame.rotation != self._rotation):
            self._turn, self._rotation = orientation(frame), frame.rotation
            if self._look_at_each:
                gc.collect(1)
            self._look_at_each = self._look_at_each or has_exif(frame)
        return self._turn


def deinterlaced(frames: Iterable[Decoded]) -> Iterator[Decoded]:
    """Give whole pictures for the interlaced frames among ``frames``, one for one.

    Progressive frames come through as they are, and at once until the first interlaced frame.
    Afterwards frames come a little later, since the filter (bwdif) looks at the next one.
    Timestamps and everything else from the decoder are kept.
    """
    graph: Any = None
    layout: tuple[int, int, str] | None = None
    waiting: deque[Decoded] = deque()
    for decoded in frames:
        frame = decoded.frame
        shape = (frame.width, frame.height, frame.format.name)
        if graph is not None and shape != layout:
            graph.vpush(None)
            yield from _pulled(graph, waiting)
            graph = None
        if graph is None:
            if not frame.interlaced_frame:
                yield decoded
                continue
            graph, layout = _bwdif(frame), shape
        waiting.append(decoded)
        graph.vpush(frame)
        yield from _pulled(graph, waiting)
    if graph is not None:
        graph.vpush(None)
        yield from _pulled(graph, waiting)


def _bwdif(frame: VideoFrame) -> Any:
    graph = graph_of_one_thread()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
    )
    bwdif = graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced")
    graph.link_nodes(source, bwdif, graph.add("buffersink")).configure()
    return graph


def _pulled(graph: Any, waiting: deque[Decoded]) -> Iterator[Decoded]:
    while True:
        try:
            frame = graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        decoded = waiting.popleft()
        frame.pts, frame.time_base = decoded.frame.pts, decoded.frame.time_base
        yield replace(decoded, frame=frame)
