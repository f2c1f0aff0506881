"""Which audio stream of a file is heard, and its sound as the decoder gives it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.format import Flags
from numpy.typing import NDArray

from avaffect.config import MediaConfig
from avaffect.errors import MediaError
from avaffect.files.outside import reading
from avaffect.media.apart import apart
from avaffect.media.container import (
    check_channel,
    choose_audio,
    open_container,
    plausible_sound,
)
from avaffect.media.pyav import leave_out
from avaffect.progress import EventCallback, Notice, ignore_events

Floats = NDArray[np.float32]

# A stream whose sound never gets louder is mute: 66 dB below full scale, far below any speech.
MUTE = 0.0005


@dataclass(frozen=True, slots=True)
class Track:
    """The audio stream that is heard.

    Attributes:
        index: among all streams of the file.
        ordinal: among its audio streams.
        streams: how many audio streams the file has.
        channels: of this one, by the header.
        varies: the number of channels may change in mid-stream.
    """

    index: int
    ordinal: int
    streams: int
    channels: int
    varies: bool


@dataclass(frozen=True, slots=True)
class Tracks:
    """The audio streams of a file that can be heard.

    Attributes:
        default: the one that was asked for, or the file's default; None if it has no sound that
            can be decoded.
        others: the others, in their order.
    """

    default: Track | None
    others: tuple[Track, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """Some decoded sound.

    Attributes:
        layout: FFmpeg's name of the channels' arrangement, e.g. ``stereo`` or ``9 channels``.
        rate: samples a second.
        samples: float32 [n, channels] in -1..1.
    """

    layout: str
    rate: int
    samples: Floats


def read_tracks(container: InputContainer, path: Path, ordinal: int | None) -> Tracks:
    """The audio streams of an open file; nothing is decoded.

    Raises:
        MediaError: as :func:`avaffect.media.container.choose_audio`.
    """
    default = choose_audio(container, path, ordinal)
    if default is None:
        return Tracks(None)
    varies = bool(Flags(container.format.flags) & Flags.ts_discont)
    streams = list(container.streams.audio)
    tracks = {
        stream.index: Track(stream.index, number, len(streams), stream.channels, varies)
        for number, stream in enumerate(streams)
        if stream.codec_context is not None and plausible_sound(stream)
    }
    return Tracks(tracks.pop(default.index), tuple(tracks.values()))


@apart
def choose_track(
    path: Path,
    config: MediaConfig,
    on_event: EventCallback = ignore_events,
    tracks: Tracks | None = None,
) -> Track | None:
    """The audio stream to hear; None if the file has none that can be decoded.

    Without ``config.audio_stream`` it is the file's default one, else the first; if that is mute
    (silent, or nothing of it can be decoded), the first that is not. A Notice names which of
    several was taken. Streams of one channel each, as cameras write them to MXF, are no exception.

    Args:
        path: the file.
        config: which stream, and which channel of it.
        on_event: notices.
        tracks: those of the file; None opens it for them.

    Raises:
        InputNotFoundError, MediaError: as :func:`avaffect.media.container.choose_audio`;
            MediaError also if the stream lacks ``config.channel``.
    """
    if tracks is None:
        with open_container(path) as container:
            tracks = read_tracks(container, path, config.audio_stream)
    if tracks.default is None:
        return None
    track = tracks.default
    if config.audio_stream is None and track.streams > 1:
        track = _first_heard(path, track, tracks.others, on_event)
    check_channel(track.channels, config.channel, path)
    return track


def _first_heard(
    path: Path, first: Track, others: Sequence[Track], on_event: EventCallback
) -> Track:
    """The first track that is not mute, or ``first``."""
    mute = 0
    chosen = first
    for track in (first, *others):
        if not _is_mute(path, track):
            chosen = track
            break
        mute += 1
    why = "the default one" if chosen is first else "the first that is not mute"
    if mute > len(others):
        why += ", and all are mute"
    on_event(
        Notice(
            f"'{path.name}' has {first.streams} audio streams: stream {chosen.ordinal} is heard, "
            f"{why} (audio_stream=N takes another, counted from 0)",
            warning=True,
        )
    )
    return chosen


def pieces(path: Path, track: Track) -> Iterator[Piece]:
    """The sound of ``track``, some at a time, as far as it can be decoded.

    Raises:
        InputNotFoundError, MediaError: ``path`` cannot be read.
    """
    unusable = reading(path, MediaError, "has sound that cannot be used", "convert it to MP4")
    with unusable, open_container(path) as container:
        stream = container.streams.audio[track.ordinal]
        for other in container.streams:
            if other.index != stream.index:
                leave_out(other)
        packed: AudioResampler | None = None
        kind: tuple[str, str, int] | None = None
        for frame in _frames(container, stream):
            now = (frame.format.name, frame.layout.name, frame.sample_rate)
            if packed is None or now != kind:
                # PyAV reads planes beyond the eighth where there are none: packed there is one.
                packed = AudioResampler(format="flt", layout=frame.layout, rate=frame.sample_rate)
                kind = now
            count = frame.layout.nb_channels
            try:
                for part in packed.resample(frame):
                    samples = np.asarray(part.to_ndarray(), np.float32)
                    yield Piece(now[1], now[2], samples.reshape(-1, count))
            except (av.FFmpegError, ValueError):
                packed = None


def _frames(container: InputContainer, stream: AudioStream) -> Iterator[av.AudioFrame]:
    with suppress(av.FFmpegError, IndexError):
        for packet in container.demux(stream):
            with suppress(av.InvalidDataError):
                yield from stream.decode(packet)


def _is_mute(path: Path, track: Track) -> bool:
    return all(np.abs(piece.samples).max(initial=0) < MUTE for piece in pieces(path, track))
