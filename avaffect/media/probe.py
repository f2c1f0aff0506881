"""What a media file holds: its streams, and its first frame as the decoder gives it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.format import Flags
from av.packet import Packet
from av.video.stream import VideoStream

from avaffect.config import MediaConfig
from avaffect.errors import MediaError, NoFramesError, boundary
from avaffect.files.hashing import known_sha256
from avaffect.files.outside import reading
from avaffect.media.apart import apart
from avaffect.media.aspect import MAX_ASPECT, plausible, square_size
from avaffect.media.clock import DEFAULT_FPS, MAX_FPS, MIN_FPS, Clock, FrameClock, RegularClock
from avaffect.media.container import (
    MAX_PIXELS,
    MAX_SIDE,
    animated_webp,
    check_channel,
    choose_audio,
    choose_video,
    open_container,
)
from avaffect.media.decode import Damage, Decoded, careful_frames
from avaffect.media.picture import TURNS, orientation
from avaffect.media.pyav import positive
from avaffect.media.room import within_bounds

DEFAULTS = MediaConfig()


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """A video stream.

    Size, rotation, interlacing and pixel format are those of the first decoded frame; later
    frames may differ. ``header_frames`` and ``fps`` are what the header claims, hints only, unless
    ``regular``.

    Attributes:
        index: among all streams of the file.
        ordinal: among its video streams.
        codec: FFmpeg's name of it, e.g. ``"h264"``.
        width: pixels of the upright picture.
        height: likewise. These are the file's own pixels, also where they are not square.
        rotation: the turn to upright that is applied, in degrees clockwise: 0, 90, 180, 270.
        sample_aspect: width of a stored pixel over its height, 1 where the file's word is absurd.
        pix_fmt: FFmpeg's name, e.g. ``"yuv420p10le"``.
        bit_depth: bits a colour component.
        interlaced: the first frame is made of two fields.
        header_frames: number of frames, None if the header has none.
        fps: nominal frames a second, None if the header has none.
        first_time_s: container time of the first frame, seconds; all frame times count from it.
        regular: frames have no times of their own and are taken to be ``1 / fps`` apart.
    """

    index: int
    ordinal: int
    codec: str
    width: int
    height: int
    rotation: int
    sample_aspect: float
    pix_fmt: str
    bit_depth: int
    interlaced: bool
    header_frames: int | None
    fps: float | None
    first_time_s: float
    regular: bool = False

    @property
    def square_size(self) -> tuple[int, int]:
        """Width and height of the upright picture with its pixels made square."""
        aspect = positive(Fraction(self.sample_aspect).limit_denominator(10_000))
        if aspect is not None and self.rotation in (90, 270):
            aspect = 1 / aspect
        return square_size(self.width, self.height, aspect, MAX_SIDE, MAX_PIXELS)


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """An audio stream, as its header describes it.

    Attributes:
        index: among all streams of the file.
        ordinal: among its audio streams.
        codec: FFmpeg's name of it, e.g. ``"aac"``.
        sample_rate: Hz.
        channels: number of them.
        start_time_s: container time of its start in seconds, None if unknown.
        duration_s: seconds, None if unknown.
    """

    index: int
    ordinal: int
    codec: str
    sample_rate: int
    channels: int
    start_time_s: float | None
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """A media file and the streams of it that are used.

    Attributes:
        path: the file.
        bytes: its size.
        container: FFmpeg's name of the format, e.g. ``"matroska,webm"``.
        duration_s: what the header claims in seconds, None if it has none.
        start_s: the earliest time of any stream on the file's own clock, None if unknown.
        clock_restarts: timestamps of this kind of container may jump (MPEG streams).
        video: the video stream that is decoded.
        audio: the audio stream that was asked for, or the default one, which is not heard if it
            is mute (see :mod:`avaffect.media.tracks`); None without sound.
        video_streams: number of video streams in the file.
        audio_streams: number of audio streams in the file.
        doubts: what of the picture had to be guessed, or was not believed, a sentence each.
    """

    path: Path
    bytes: int
    container: str
    duration_s: float | None
    start_s: float | None
    clock_restarts: bool
    video: VideoInfo
    audio: AudioInfo | None
    video_streams: int
    audio_streams: int
    doubts: tuple[str, ...] = ()

    @property
    def frames_hint(self) -> int | None:
        """About how many frames to expect, for a progress bar; None if there is no telling."""
        if self.video.header_frames:
            return self.video.header_frames
        if self.duration_s and self.video.fps:
            return max(1, round(self.duration_s * self.video.fps))
        return None

    def clock(self) -> Clock:
        """A new clock for the frames of :attr:`video`."""
        fps = self.video.fps or DEFAULT_FPS
        return (
            RegularClock(fps) if self.video.regular else FrameClock(1 / fps, self.clock_restarts)
        )


@boundary()
@apart
def probe(path: Path | str, config: MediaConfig = DEFAULTS) -> MediaInfo:
    """Read the headers of ``path`` and decode its first frame.

    A still picture is a video of one frame. A music file with a cover picture is not a video,
    unless ``config.video_stream`` names the cover.

    Raises:
        InputNotFoundError: there is no such file.
        NotMediaError: a folder, an empty file, or nothing that can be read as media.
        NoVideoStreamError: no video stream, or not the one that ``config`` names.
        NoFramesError: not one frame can be decoded.
        MediaError: unreadable, a codec without decoder, absurdly large pictures, absurd sound, or
            no such audio stream or channel as ``config`` names.
    """
    path = Path(path)
    unusable = reading(path, MediaError, "cannot be used", "convert it to MP4")
    with unusable, open_container(path) as container:
        return probe_container(container, path, config)


def probe_container(
    container: InputContainer, path: Path, config: MediaConfig, begun: Iterable[Packet] = ()
) -> MediaInfo:
    """See :func:`probe`, of a file that is open.

    Args:
        container: the file; nothing of it was decoded yet.
        path: its name.
        config: which streams.
        begun: packets that were read of it already.
    """
    video = choose_video(container, path, config.video_stream)
    audio = choose_audio(container, path, config.audio_stream)
    alone = config.audio_stream is not None or len(container.streams.audio) == 1
    if audio is not None and alone:
        # Not only when the sound's turn comes, after the picture's.
        check_channel(audio.channels, config.channel, path)
    info, doubts = _video_info(container, video, path, config, begun)
    return MediaInfo(
        path=path,
        bytes=path.stat().st_size,
        container=container.format.name,
        duration_s=_seconds(container.duration, Fraction(1, av.time_base)),
        start_s=start_time(container),
        clock_restarts=bool(Flags(container.format.flags) & Flags.ts_discont),
        video=info,
        audio=None if audio is None else _audio_info(audio),
        video_streams=len(container.streams.video),
        audio_streams=len(container.streams.audio),
        doubts=doubts,
    )


def start_time(container: InputContainer) -> float | None:
    """Seconds, see ``MediaInfo.start_s``."""
    return _seconds(container.start_time, Fraction(1, av.time_base))


def first_frame_time(path: Path | str, config: MediaConfig = DEFAULTS) -> float:
    """Container time of the first frame that can be decoded, in seconds.

    Raises:
        as :func:`probe`.
    """
    return probe(path, config).video.first_time_s


def video_hash(path: Path | str) -> str:
    """SHA-256 of the file's content, 64 hexadecimal digits.

    Raises:
        InputNotFoundError: there is no such file.
        MediaError: it may not be read.
    """
    with reading(path, MediaError):
        return known_sha256(Path(path))


def _video_info(
    container: InputContainer,
    stream: VideoStream,
    path: Path,
    config: MediaConfig,
    begun: Iterable[Packet],
) -> tuple[VideoInfo, tuple[str, ...]]:
    """The stream, and what of it was not believed."""
    # Before a frame is decoded: afterwards some decoders repeat what the demuxer made up.
    own_rate = positive(stream.codec_context.framerate)
    frames = within_bounds(careful_frames(container, stream, Damage(), begun), path)
    # Two frames, since a first frame without a timestamp gets one from the second.
    decoded = list(islice(frames, 2))
    pace = _pace_of_times(decoded)
    if pace is not None and not MIN_FPS < pace <= MAX_FPS:
        decoded += islice(frames, 10)  # a lone step may be anything
    if not decoded and animated_webp(path):
        raise NoFramesError(
            f"'{path}' is an animated WebP, which this FFmpeg cannot decode",
            "convert it to MP4 or GIF",
        )
    if not decoded:
        raise NoFramesError(
            f"no frame of '{path}' can be decoded", "the file is damaged: get another copy of it"
        )
    frame = decoded[0].frame
    fps, regular, doubt = _pace(container, stream, own_rate, decoded, config)
    clock: Clock = RegularClock(1) if regular else FrameClock(1 / (fps or DEFAULT_FPS))
    clock.time(frame.time, decoded[min(1, len(decoded) - 1)].frame.time)
    turn = orientation(frame) if config.rotate is None else TURNS[config.rotate]
    sides = frame.width, frame.height
    width, height = reversed(sides) if turn.transpose else sides
    aspect = decoded[0].aspect
    doubts = [doubt] if doubt else []
    if not plausible(aspect):
        doubts.append(
            f"'{path.name}' claims pixels of {float(aspect or 1):.3g} to 1, which no camera makes "
            f"(up to {MAX_ASPECT} to 1 is believed): they are taken for square"
        )
    info = VideoInfo(
        index=stream.index,
        ordinal=container.streams.video.index(stream),
        codec=stream.codec_context.name,
        width=width,
        height=height,
        rotation=turn.rotation,
        sample_aspect=float(aspect or 1) if plausible(aspect) else 1.0,
        pix_fmt=frame.format.name,
        bit_depth=max(component.bits for component in frame.format.components),
        interlaced=frame.interlaced_frame,
        header_frames=stream.frames or None,
        fps=fps,
        first_time_s=clock.first or 0.0,
        regular=regular,
    )
    return info, tuple(doubts)


def _pace(
    container: InputContainer,
    stream: VideoStream,
    own_rate: Fraction | None,
    decoded: list[Decoded],
    config: MediaConfig,
) -> tuple[float | None, bool, str | None]:
    """Frames a second, whether they are all there is to go by, and the text of a Notice.

    Args:
        own_rate: the codec's own rate.
        decoded: the first frames.
    """
    name = Path(container.name).name
    lone = len(decoded) == 1
    claimed = _rate(stream)
    if _without_times(container):
        # The demuxer made the times up, unless they come from the codec's own rate.
        untimed = None in (own_rate, decoded[0].frame.time) or config.fps is not None
        claimed = None if own_rate is None else float(own_rate)
        why = "does not say how many frames a second it has"
    else:
        pace = _pace_of_times(decoded)
        untimed = pace is not None and not MIN_FPS < pace <= MAX_FPS
        why = f"shows {pace or 0:.3g} frames a second, which no camera takes"
        # Made of the same times.
        claimed = None if untimed else claimed
    if claimed is not None and not MIN_FPS < claimed <= MAX_FPS:
        claimed = None
    if not untimed:
        unused = f"'{name}' has times of its own: fps=... is not used for it"
        return claimed, False, unused if config.fps is not None and not lone else None
    fps = config.fps or claimed or DEFAULT_FPS
    known = lone or config.fps is not None or claimed is not None
    guess = f"'{name}' {why}: {fps:g} are assumed, say how many it has with fps=..."
    return fps, True, None if known else guess


def _without_times(container: InputContainer) -> bool:
    """Whether the format holds frames and nothing else: bare streams, series of pictures."""
    flags = Flags(container.format.flags)
    return bool(flags & Flags.no_timestamps) or container.format.name.endswith("_pipe")


def _pace_of_times(decoded: list[Decoded]) -> float | None:
    """Frames a second by the median step between ``decoded``; None without times."""
    times = [each.frame.time for each in decoded if each.frame.time is not None]
    steps = sorted(later - earlier for earlier, later in pairwise(times) if later > earlier)
    return 1 / steps[len(steps) // 2] if steps else None


def _audio_info(stream: AudioStream) -> AudioInfo:
    return AudioInfo(
        index=stream.index,
        ordinal=stream.container.streams.audio.index(stream),
        codec=stream.codec_context.name,
        sample_rate=stream.sample_rate,
        channels=stream.channels,
        start_time_s=_seconds(stream.start_time, stream.time_base),
        duration_s=_seconds(stream.duration, stream.time_base),
    )


def _rate(stream: VideoStream) -> float | None:
    rate = positive(stream.average_rate) or positive(stream.guessed_rate)
    return None if rate is None else float(rate)


def _seconds(ticks: int | None, time_base: Fraction | None) -> float | None:
    return None if ticks is None or time_base is None else float(ticks * time_base)
