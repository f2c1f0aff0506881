"""Where PyAV's versions 14.1 to 19 differ, and what they cannot read.

The rest of the package writes for all of them; whatever one of them lacks is met here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, BinaryIO

import av
import av.stream
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.sidedata.sidedata import Type
from av.stream import Stream
from av.video.frame import VideoFrame
from numpy.typing import NDArray

_MAJOR = int(av.__version__.split(".")[0])
# Up to 18 a tag that is not UTF-8 is an error unless set otherwise; 19 has no such setting.
_TAGS: dict[str, Any] = {"metadata_errors": "replace"} if _MAJOR < 19 else {}
# Before 17 PyAV frees memory that is not its own where a decoder gets options too and streams turn
# up while the file is opened, as in MPEG-TS.
_OPTIONS = "container_options" if _MAJOR < 17 else "options"
# AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
_LIMITED, _FULL = 1, 2


def _nameless(cls: type[Type], value: object) -> Type:
    """A member for a kind of side data that FFmpeg knows and PyAV has no name for.

    PyAV would raise ValueError for the whole frame, though nobody asked for that side data.
    """
    member: Any = object.__new__(cls)
    member._name_ = f"TYPE_{value}"
    member._value_ = value
    nameless: Type = member
    return nameless


Type._missing_ = classmethod(_nameless)  # type: ignore[assignment, method-assign]


def open_media(
    source: str | BinaryIO, format: str | None = None, options: Mapping[str, str] | None = None
) -> InputContainer:
    """Open for reading, whatever its tags hold.

    Args:
        source: an FFmpeg URL, or an open pipe.
        format: FFmpeg's name of the container; None lets FFmpeg find out.
        options: of the demuxer.

    Raises:
        av.FFmpegError, ValueError: it cannot be opened.
    """
    settings: dict[str, Any] = {_OPTIONS: dict(options or {}), **_TAGS}
    opened: InputContainer = av.open(source, mode="r", format=format, **settings)
    return opened


def leave_out(stream: Stream) -> None:
    """Let the demuxer pass over the packets of ``stream``; before 17 PyAV reads them all."""
    discard: Any = getattr(av.stream, "Discard", None)
    if discard is not None:
        stream.discard = discard.all


def graph_of_one_thread() -> Any:
    """A filter graph; before 17 PyAV leaves the number of its threads to FFmpeg."""
    graph = av.filter.Graph()
    if hasattr(graph, "threads"):
        graph.threads = 1
    return graph


def to_rgb(frame: VideoFrame) -> dict[str, Any]:
    """Settings of ``VideoReformatter.reformat`` for ``frame``: RGB, in one thread.

    Before 17 there is one thread always, but the matrix and the range count only where they
    differ from those of the target, which has none: any other matrix (7) will do.
    """
    if _MAJOR >= 17:
        return {"threads": 1}
    full = frame.color_range == _FULL or frame.format.name.startswith(("yuvj", "rgb", "gbr"))
    return {
        "dst_colorspace": 7,
        "src_color_range": _FULL if full else _LIMITED,
        "dst_color_range": _FULL,
    }


def positive(value: Any) -> Fraction | None:
    """A rate or ratio of PyAV's (a Fraction, an AVRational, None), None unless it is above 0."""
    if value is None or value.denominator <= 0 or value.numerator <= 0:
        return None
    return Fraction(value.numerator, value.denominator)


def display_matrix(frame: VideoFrame) -> NDArray[np.int32] | None:
    """int32 [9], the display matrix of ``frame``; None if it has none.

    FFmpeg makes one of the orientation in EXIF data: of JPEG in every version, of PNG, WebP and
    TIFF from that in PyAV 17 on.
    """
    for kind, data in _side_data(frame):
        if kind == Type.DISPLAYMATRIX:
            return np.frombuffer(data, np.int32, 9).copy()
    return None


def has_exif(frame: VideoFrame) -> bool:
    """Whether ``frame`` carries EXIF data, as each picture of a camera does.

    Before PyAV 17, which does not show it: whether it is a JPEG.
    """
    if _MAJOR < 17:
        return frame.format.name.startswith("yuvj")
    return any(kind.value == _EXIF for kind, _ in _side_data(frame))


# AV_FRAME_DATA_EXIF
_EXIF = 31


def downmix_settings(frame: AudioFrame) -> dict[str, str]:
    """How loud the channels of ``frame`` are in a downmix, as its maker (AC-3) wants it.

    Returns:
        settings of FFmpeg's filter ``aresample``; empty where the frame says nothing.
    """
    for kind, data in _side_data(frame):
        if kind.value == _DOWNMIX and len(content := bytes(data)) == _DOWNMIX_INFO.size:
            wanted, centre, centre_lt, surround, surround_lt, lfe = _DOWNMIX_INFO.unpack(content)
            matrix = _MATRICES.get(wanted)
            if matrix is not None:
                centre, surround = centre_lt, surround_lt
            return {
                "center_mix_level": str(centre),
                "surround_mix_level": str(surround),
                "lfe_mix_level": str(lfe),
                "matrix_encoding": matrix or "none",
            }
    return {}


# AV_FRAME_DATA_DOWNMIX_INFO; AVDownmixInfo, and its types that are encoded into two channels.
_DOWNMIX = 4
_DOWNMIX_INFO = struct.Struct("i4x5d")
_MATRICES = {2: "dolby", 3: "dplii"}


def _side_data(frame: VideoFrame | AudioFrame) -> Iterator[tuple[Type, Any]]:
    """Kind and bytes; up to 18 PyAV iterates over the bytes, from 19 on over the kinds."""
    held: Any = frame.side_data
    for item in held:
        if isinstance(item, Type):
            yield item, held[item]
        else:
            yield item.type, item
