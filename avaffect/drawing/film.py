"""A film that is written frame by frame: each at its own time, with its sound beside it."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from numpy.typing import NDArray

ENDINGS = (".mp4", ".mov", ".mkv", ".m4v")
MARK = "drawn by avaffect render"
_TICKS = 90_000
# AVCOL_*_BT709, AVCOL_RANGE_MPEG
_BT709, _LIMITED = 1, 1
# Without frames that refer to later ones, the first packet lies at 0 in every container.
_X264 = {"preset": "superfast", "crf": "20", "bf": "0"}
_LEAST_SIDE = 16


class Film:
    """Writes H.264 and AAC. A context manager.

    Args:
        path: the file; its ending chooses the container.
        width: of the pictures. H.264 needs even sides: odd ones get one pixel more at the edge.
        height: likewise.
        rate: samples of sound a second and
        layout: its channels, ``mono`` or ``stereo``; None without sound.
        threads: of the encoder.
    """

    def __init__(
        self,
        path: Path,
        width: int,
        height: int,
        rate: int | None = None,
        layout: str = "stereo",
        threads: int = 2,
    ) -> None:
        self._size = _even(width), _even(height)
        self._file: OutputContainer = av.open(str(path), mode="w", options={"fflags": "bitexact"})
        self._file.metadata["comment"] = MARK
        self._picture = self._file.add_stream("libx264", options=_X264)
        self._picture.width, self._picture.height = self._size
        self._picture.pix_fmt = "yuv420p"
        codec = self._picture.codec_context
        codec.time_base = Fraction(1, _TICKS)
        codec.thread_count = threads
        codec.color_primaries = codec.color_trc = codec.colorspace = _BT709
        codec.color_range = _LIMITED
        self._last, self._written = -1, 0
        self._reformat = VideoReformatter()
        self._sound = None
        if rate is not None:
            self._sound = self._file.add_stream("aac", rate=rate, layout=layout)
            self._sound.codec_context.bit_rate = 128_000
            self._samples = AudioFifo()

    def __enter__(self) -> Film:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            # What is half written is of no use, and what went wrong is known.
            with suppress(av.FFmpegError, ValueError):
                self._file.close()
            return
        try:
            self._file.mux(self._picture.encode(None))
            if self._sound is not None:
                self._encode_sound(self._samples.read(partial=True))
                self._file.mux(self._sound.encode(None))
        finally:
            self._file.close()

    def add(self, image: NDArray[np.uint8], time: float) -> None:
        """Write a picture.

        Args:
            image: uint8 [H, W, 3], RGB; of another size than the film's it is made to fit.
            time: seconds from the start, greater than that of the picture before.
        """
        frame = VideoFrame.from_ndarray(np.ascontiguousarray(_fitted(image, *self._size)), "rgb24")
        frame = self._reformat.reformat(
            frame,
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.MPEG,
        )
        # Times that are nearer to each other than a tick remain two.
        self._last = frame.pts = max(round(time * _TICKS), self._last + 1)
        frame.time_base = Fraction(1, _TICKS)
        self._file.mux(self._picture.encode(frame))

    def add_sound(self, samples: NDArray[np.float32], rate: int, layout: str) -> None:
        """Write sound right behind what was written before.

        Args:
            samples: float32 [channels, N] in -1..1.
            rate: samples a second, and
            layout: the channels as the film has them.
        """
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", layout)
        frame.sample_rate = rate
        frame.pts = None
        self._samples.write(frame)
        size = 1024
        while (part := self._samples.read(size)) is not None:
            self._encode_sound(part)

    def _encode_sound(self, frame: AudioFrame | None) -> None:
        if frame is not None and self._sound is not None:
            frame.pts, frame.time_base = self._written, Fraction(1, frame.sample_rate)
            self._written += frame.samples
            self._file.mux(self._sound.encode(frame))


def _even(side: int) -> int:
    return max(_LEAST_SIDE, side + side % 2)


def _fitted(image: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """``image`` with its edge repeated up to a size; made smaller first where it is too large."""
    if image.shape[0] > height or image.shape[1] > width:
        share = min(height / image.shape[0], width / image.shape[1])
        sides = max(1, int(image.shape[1] * share)), max(1, int(image.shape[0] * share))
        image = np.asarray(cv2.resize(image, sides, interpolation=cv2.INTER_AREA), np.uint8)
    down, right = height - image.shape[0], width - image.shape[1]
    if not (down or right):
        return image
    kind = cv2.BORDER_REPLICATE if max(down, right) == 1 else cv2.BORDER_CONSTANT
    return np.asarray(cv2.copyMakeBorder(image, 0, down, 0, right, kind), np.uint8)
