"""Every frame that can be decoded, in presentation order, damaged files included."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from avaffect.config import MediaConfig
from avaffect.media.container import choose_video, open_container
from avaffect.media.pyav import leave_out, positive
from avaffect.processors import cores

MAX_THREADS = 4
# AVCOL_TRC_UNSPECIFIED, AVCOL_PRI_UNSPECIFIED
UNSPECIFIED = 2
# Reading again after an error gives up when nothing came in between so many errors.
MAX_READ_ERRORS = 10


@dataclass
class Damage:
    """What went wrong so far.

    Attributes:
        errors: decode and read errors met.
        first: the first one in words.
    """

    errors: int = 0
    first: str | None = None

    def add(self, text: str) -> None:
        """Count one more."""
        self.errors += 1
        self.first = self.first or text


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame, and its stream's properties when it was decoded.

    Attributes:
        frame: as the decoder gave it.
        aspect: width of its pixels over their height, None if it is not known.
        transfer: its transfer function, AVCOL_TRC_*.
        primaries: AVCOL_PRI_*.
    """

    frame: VideoFrame
    aspect: Fraction | None
    transfer: int
    primaries: int


class _Unsure(Exception):
    """The fast pass met damage, so it may have lost frames."""


def decoded_frames(path: Path, config: MediaConfig, damage: Damage) -> Iterator[Decoded]:
    """Decode the chosen video stream and yield each frame once.

    Frames are decoded by several threads until the first sign of damage: a multi-threaded decoder
    loses frames that follow an error at the end of a file. Then one thread starts
    again, and what was yielded already is left out.

    Args:
        damage: counts the errors.

    Raises:
        MediaError: the file cannot be opened or has no usable video stream.
    """
    done = 0
    try:
        with open_container(path) as container:
            stream = choose_video(container, path, config.video_stream)
            prepare(container, stream)
            for frame in _fast(container, stream):
                done += 1
                yield frame
    except (_Unsure, av.FFmpegError, IndexError):
        with open_container(path) as container:
            stream = choose_video(container, path, config.video_stream)
            for number, frame in enumerate(careful_frames(container, stream, damage)):
                if number >= done:
                    yield frame


def prepare(container: InputContainer, stream: VideoStream) -> None:
    """Have nothing but ``stream`` read, and decoded by some threads."""
    _prepare(container, stream, min(MAX_THREADS, cores()))


def described_frames(container: InputContainer, stream: VideoStream) -> Iterator[Decoded]:
    """Decode from where ``container`` is to its end; for a stream that is prepared.

    Raises:
        av.FFmpegError, IndexError: at damage; frames may be lost.
    """
    return _decoded(container.demux(stream), stream)


def _fast(container: InputContainer, stream: VideoStream) -> Iterator[Decoded]:
    """As `described_frames`, of a whole stream, none of whose frames gets lost unseen."""
    packets = frames = 0

    def counted() -> Iterator[Packet]:
        nonlocal packets
        for packet in container.demux(stream):
            packets += bool(packet.size) and not packet.is_discard
            yield packet

    for decoded in _decoded(counted(), stream):
        frames += 1
        yield decoded
    # At the end of the file PyAV hides an error and all frames after it.
    if frames < packets:
        raise _Unsure


def _decoded(packets: Iterator[Packet], stream: VideoStream) -> Iterator[Decoded]:
    described = _Described(stream)
    for packet in packets:
        yield from map(described, stream.decode(packet))


def careful_frames(
    container: InputContainer,
    stream: VideoStream,
    damage: Damage,
    begun: Iterable[Packet] = (),
) -> Iterator[Decoded]:
    """Decode ``stream`` by one thread and go on after every error, which ``damage`` counts.

    Args:
        begun: packets that were read of ``container`` already, of whatever stream.
    """
    _prepare(container, stream, 1)
    described = _Described(stream)
    frames = 0
    read = (packet for packet in begun if packet.stream_index == stream.index)
    for packet in chain(read, _packets(container, stream, damage)):
        try:
            decoded = stream.decode(packet)
        except av.FFmpegError as error:
            damage.add(f"{error.strerror} after frame {frames}")
            continue
        frames += len(decoded)
        yield from map(described, decoded)


class _Described:
    """Puts the stream's properties beside each frame: the container's first, then the codec's.

    The codec's may change in mid-stream, as in broadcasts; it is some frames early where
    the decoder gives frames out in another order.
    """

    def __init__(self, stream: VideoStream) -> None:
        self._codec = codec = stream.codec_context
        container, first = (positive(each.sample_aspect_ratio) for each in (stream, codec))
        self._aspect = container if container != first else None
        self._transfer, self._primaries = codec.color_trc, codec.color_primaries

    def __call__(self, frame: VideoFrame) -> Decoded:
        codec = self._codec
        return Decoded(
            frame,
            self._aspect or positive(codec.sample_aspect_ratio),
            _specified(codec.color_trc, self._transfer),
            _specified(codec.color_primaries, self._primaries),
        )


def _specified(now: int, at_first: int) -> int:
    return at_first if now == UNSPECIFIED else now


def _prepare(container: InputContainer, stream: VideoStream, threads: int) -> None:
    for other in container.streams:
        if other.index != stream.index:
            leave_out(other)
    stream.codec_context.thread_count = threads
    stream.codec_context.thread_type = "AUTO" if threads > 1 else "NONE"


def _packets(container: InputContainer, stream: VideoStream, damage: Damage) -> Iterator[Packet]:
    """Packets up to the end of the file, then the empty one that flushes the decoder."""
    in_a_row = 0
    while in_a_row < MAX_READ_ERRORS:
        try:
            for packet in container.demux(stream):
                in_a_row = 0
                yield packet
            return
        except av.FFmpegError as error:
            in_a_row += 1
            damage.add(f"{error.strerror} while reading")
        except IndexError:
            # PyAV, at the end of a file in which a stream appeared after it was opened.
            break
    flush = Packet()
    flush.time_base = stream.time_base or Fraction(1, av.time_base)
    yield flush
