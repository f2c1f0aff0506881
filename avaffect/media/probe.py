"""What a media file holds: its streams, and its first frame as the decoder gives it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.format import Flags
from av.video.stream import VideoStream

from avaffect.config import MediaConfig
from avaffect.errors import MediaError, NoFramesError, boundary
from avaffect.files.outside import reading
from avaffect.media.clock import FrameClock
from avaffect.media.container import choose_audio, choose_video, open_container
from avaffect.media.decode import Damage, careful_frames
from avaffect.media.picture import orientation
from avaffect.media.room import within_bounds

DEFAULTS = MediaConfig()


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """A video stream.

    Size, rotation, interlacing and pixel format are those of the first decoded frame; later
    frames may differ. ``header_frames`` and ``fps`` are what the header claims, hints only.

    Attributes:
        index: among all streams of the file.
        ordinal: among its video streams.
        codec: FFmpeg's name of it, e.g. ``"h264"``.
        width: pixels of the upright picture.
        height: likewise. Pixels are not scaled, also where ``sample_aspect`` is not 1.
        rotation: the turn to upright that is applied, in degrees clockwise: 0, 90, 180, 270.
        sample_aspect: width of a stored pixel over its height.
        pix_fmt: FFmpeg's name, e.g. ``"yuv420p10le"``.
        bit_depth: bits a colour component.
        interlaced: the first frame is made of two fields.
        header_frames: number of frames, None if the header does not say.
        fps: nominal frames a second, None if the header does not say.
        first_time_s: container time of the first frame, seconds; all frame times count from it.
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
        duration_s: what the header claims in seconds, None if it does not say.
        clock_restarts: timestamps of this kind of container may jump (MPEG streams).
        video: the video stream that is decoded.
        audio: the audio stream that is decoded, None without sound.
        video_streams: number of video streams in the file.
        audio_streams: number of audio streams in the file.
    """

    path: Path
    bytes: int
    container: str
    duration_s: float | None
    clock_restarts: bool
    video: VideoInfo
    audio: AudioInfo | None
    video_streams: int
    audio_streams: int

    @property
    def frames_hint(self) -> int | None:
        """About how many frames to expect, for a progress bar; None if there is no telling."""
        if self.video.header_frames:
            return self.video.header_frames
        if self.duration_s and self.video.fps:
            return max(1, round(self.duration_s * self.video.fps))
        return None


@boundary()
def probe(path: Path | str, config: MediaConfig = DEFAULTS) -> MediaInfo:
    """Read the headers of ``path`` and decode its first frame.

    A still picture is a video of one frame. A music file with a cover picture is not a video,
    unless ``config.video_stream`` names the cover.

    Raises:
        InputNotFoundError: there is no such file.
        NotMediaError: a folder, an empty file, or nothing that can be read as media.
        NoVideoStreamError: no video stream, or not the one that ``config`` names.
        NoFramesError: not one frame can be decoded.
        MediaError: unreadable, a codec without decoder, absurdly large pictures, or no such
            audio stream as ``config`` names.
    """
    path = Path(path)
    unusable = reading(path, MediaError, "cannot be used", "convert it to MP4")
    with unusable, open_container(path) as container:
        video = choose_video(container, path, config.video_stream)
        audio = choose_audio(container, path, config.audio_stream)
        return MediaInfo(
            path=path,
            bytes=path.stat().st_size,
            container=container.format.name,
            duration_s=_seconds(container.duration, Fraction(1, av.time_base)),
            clock_restarts=bool(Flags(container.format.flags) & Flags.ts_discont),
            video=_video_info(container, video, path),
            audio=None if audio is None else _audio_info(audio),
            video_streams=len(container.streams.video),
            audio_streams=len(container.streams.audio),
        )


def first_frame_time(path: Path | str, config: MediaConfig = DEFAULTS) -> float:
    """Container time of the first frame that can be decoded, in seconds.

    Raises:
        as :func:`probe`.
    """
    return probe(path, config).video.first_time_s


@boundary()
def video_hash(path: Path | str) -> str:
    """SHA-256 of the file's content, 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _video_info(container: InputContainer, stream: VideoStream, path: Path) -> VideoInfo:
    # Two frames, since a first frame without a timestamp gets one from the second.
    decoded = within_bounds(careful_frames(container, stream, Damage()), path)
    frames = list(islice(decoded, 2))
    if not frames:
        raise NoFramesError(
            f"no frame of '{path}' can be decoded", "the file is damaged: get another copy of it"
        )
    frame = frames[0]
    clock = FrameClock(1 / (_rate(stream) or 25))
    clock.time(frame.time, frames[-1].time)
    turn = orientation(frame)
    sides = frame.width, frame.height
    width, height = reversed(sides) if turn.transpose else sides
    return VideoInfo(
        index=stream.index,
        ordinal=container.streams.video.index(stream),
        codec=stream.codec_context.name,
        width=width,
        height=height,
        rotation=turn.rotation,
        sample_aspect=float(stream.sample_aspect_ratio or 1),
        pix_fmt=frame.format.name,
        bit_depth=max(component.bits for component in frame.format.components),
        interlaced=frame.interlaced_frame,
        header_frames=stream.frames or None,
        fps=_rate(stream),
        first_time_s=clock.first or 0.0,
    )


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
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate and rate > 0 else None


def _seconds(ticks: int | None, time_base: Fraction | None) -> float | None:
    return None if ticks is None or time_base is None else float(ticks * time_base)
