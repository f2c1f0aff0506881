"""An audio stream decoded by PyAV as one channel of 16 kHz and 16 bit, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from avaffect.config import SAMPLE_RATE
from avaffect.media.channels import Mix
from avaffect.media.clock import FORWARD_BREAK_S
from avaffect.media.container import open_container
from avaffect.media.pyav import downmix_settings, graph_of_one_thread, leave_out
from avaffect.media.tracks import Track

_RATE = str(SAMPLE_RATE)
_FORMAT = {"sample_fmts": "s16", "channel_layouts": "mono", "sample_rates": _RATE}
_SAMPLE_BYTES = 2
# A step back of more than this is a clock that begins anew.
_BACK_S = 0.1


def mono_pieces(
    path: Path, track: Track, mix: Mix, on_message: Callable[[str], None]
) -> Iterator[tuple[int, bytes]]:
    """The sound of ``track``, as far as it can be decoded.

    FFmpeg's own filling of gaps (``aresample=async=1:first_pts=0``) is not used: it begins anew
    where the rate or the channels change in mid-stream, as they do in broadcasts.

    Args:
        path: the file.
        track: which audio stream.
        mix: how its channels become one.
        on_message: gets a line for each part that cannot be decoded.

    Yields:
        the place of a piece's first sample, counted from that of the first piece; and its samples,
        native int16.

    Raises:
        InputNotFoundError, MediaError: ``path`` cannot be opened.
    """
    with open_container(path) as container:
        stream = container.streams.audio[track.ordinal]
        for other in container.streams:
            if other.index != stream.index:
                leave_out(other)
        filters: _Filters | None = None
        clock = _Clock(track.varies)
        shift: int | None = None
        for frame in _frames(container, stream, on_message):
            time = clock.time(frame)
            ready: list[tuple[int, bytes]] = []
            try:
                if filters is None or not filters.take(frame):
                    ready += filters.end() if filters is not None else []
                    filters = _Filters(frame, mix)
                ready += filters(frame, time)
            except (av.FFmpegError, ValueError) as error:
                filters = None
                on_message(_words(error))
            for place, samples in ready:
                shift = -place if shift is None else shift
                yield place + shift, samples
        if filters is not None:
            for place, samples in filters.end():
                yield place + (shift or 0), samples


class _Clock:
    """Gives decoded sound its time in seconds, since the first, as the program ffmpeg does.

    Args:
        restarts: the container is of a kind whose clock may restart.
    """

    def __init__(self, restarts: bool) -> None:
        self._restarts = restarts
        self._first: float | None = None
        self._last = self._end = 0.0

    def time(self, frame: AudioFrame) -> float:
        """When ``frame`` begins; without a time of its own it follows on the one before."""
        time = self._end
        if frame.time is not None:
            if self._first is None:
                self._first = frame.time
            time = frame.time - self._first
            jumped = abs(time - self._end) > FORWARD_BREAK_S or time < self._last - _BACK_S
            if self._restarts and jumped:
                self._first += time - self._end
                time = self._end
        self._last, self._end = time, time + frame.samples / frame.sample_rate
        return time


class _Filters:
    """FFmpeg's filters for sound of one kind.

    Args:
        frame: some of that sound.
        mix: see :func:`mono_pieces`.
    """

    def __init__(self, frame: AudioFrame, mix: Mix) -> None:
        self._kind = _kind(frame)
        self._rate = frame.sample_rate
        self._graph: Any = graph_of_one_thread()
        chain: list[tuple[str, dict[str, str]]] = [
            ("aresample", {"sample_rate": _RATE, **downmix_settings(frame)}),
            ("aformat", _FORMAT),
            ("abuffersink", {}),
        ]
        if mix.expression is not None:
            chain.insert(0, ("aeval", {"exprs": mix.expression, "channel_layout": "mono"}))
        nodes = [
            self._graph.add_abuffer(
                sample_rate=self._rate,
                format=frame.format.name,
                layout=_layout(frame),
                time_base=Fraction(1, self._rate),
            ),
            *(self._graph.add(name, **settings) for name, settings in chain),
        ]
        self._graph.link_nodes(*nodes).configure()

    def take(self, frame: AudioFrame) -> bool:
        """Whether ``frame`` is of their kind."""
        return _kind(frame) == self._kind

    def __call__(self, frame: AudioFrame, time: float) -> list[tuple[int, bytes]]:
        """What comes out for ``frame``, whose first sample is at ``time`` in seconds."""
        frame.time_base = Fraction(1, self._rate)
        frame.pts = round(time * self._rate)
        self._graph.push(frame)
        return list(self._pulled())

    def end(self) -> list[tuple[int, bytes]]:
        """What is left in them."""
        with suppress(av.FFmpegError, ValueError):
            self._graph.push(None)
            return list(self._pulled())
        return []

    def _pulled(self) -> Iterator[tuple[int, bytes]]:
        while True:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            place = round(frame.pts * frame.time_base * SAMPLE_RATE)
            yield place, bytes(frame.planes[0])[: frame.samples * _SAMPLE_BYTES]


def _kind(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _layout(frame: AudioFrame) -> str:
    """The frame's layout; the usual one of its number of channels where it names none."""
    count, word, *more = [*frame.layout.name.split(" "), ""]
    if not count.isdecimal() or word != "channels" or any(more):
        return frame.layout.name
    try:
        return av.AudioLayout(f"{count}c").name
    except ValueError:
        return frame.layout.name


def _frames(
    container: InputContainer, stream: AudioStream, on_message: Callable[[str], None]
) -> Iterator[AudioFrame]:
    """Decoded sound; in an MP4 it ends where the file says so, not with the encoder's padding."""
    last: AudioFrame | None = None
    for frame in _decoded(container, stream, on_message):
        if last is not None:
            yield last
        last = frame
    if last is not None:
        yield _shortened(last, stream) if "mp4" in container.format.name else last


def _decoded(
    container: InputContainer, stream: AudioStream, on_message: Callable[[str], None]
) -> Iterator[AudioFrame]:
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                on_message("a packet is damaged")
            try:
                yield from stream.decode(packet)
            except av.FFmpegError as error:
                on_message(_words(error))
    except (av.FFmpegError, IndexError) as error:
        on_message(_words(error))


def _shortened(frame: AudioFrame, stream: AudioStream) -> AudioFrame:
    """The last ``frame`` of ``stream`` as FFmpeg itself shortens it from version 9 on."""
    exact = stream.time_base == Fraction(1, frame.sample_rate)
    if frame.pts is None or stream.duration is None or not exact:
        return frame
    length = stream.duration - frame.pts
    if not 0 < length < frame.samples or stream.codec_context.name == "opus":
        return frame
    # By a filter: PyAV reads planes beyond the eighth where there are none.
    graph: Any = graph_of_one_thread()
    graph.link_nodes(
        graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format.name,
            layout=frame.layout.name,
            time_base=stream.time_base,
        ),
        graph.add("atrim", end_sample=str(length)),
        graph.add("abuffersink"),
    ).configure()
    graph.push(frame)
    short: AudioFrame = graph.pull()
    return short


def _words(error: Exception) -> str:
    """One line for people."""
    log = getattr(error, "log", None)
    text = f"{log[1]}: {log[2]}" if log else getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())
