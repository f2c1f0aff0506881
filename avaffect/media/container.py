"""Opening a media file: one local file, nothing else, and plain words when it cannot be used."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import BinaryIO, TypeVar

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from avaffect.errors import InputNotFoundError, MediaError, NotMediaError, NoVideoStreamError
from avaffect.media.boxes import primary_item, sample_kinds, without_index
from avaffect.media.ffmpeg import FORMATS, file_url
from avaffect.media.foreign import describe
from avaffect.media.pyav import open_media

AnyStream = TypeVar("AnyStream", bound=Stream)

# Of these a film is made only where there is nothing else.
_PICTURE_CODECS = ("mjpeg", "png", "bmp", "gif", "webp", "tiff")

MAX_SIDE = 16_384
MAX_PIXELS = 100_000_000
# Sound that is recorded lies in between: 8,000 on the telephone, 705,600 at most in studios.
RATES = (2_000, 768_000)
# What ffmpeg's resampler takes.
MAX_CHANNELS = 64

# pattern_type: else ffmpeg reads a picture called a%d.jpg as the name of a whole series.
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": FORMATS,
    "pattern_type": "none",
    "max_pixels": str(MAX_PIXELS),
}
# What a picture is that does not belong to a film.
COVER = Disposition.attached_pic | Disposition.timed_thumbnails
# Samples of common encryption (ISO/IEC 23001-7) and of FairPlay; tracks that are neither
# picture nor sound.
_ENCRYPTED = (b"encv", b"enca", b"drmi", b"drms")
_TEXT = (b"text", b"tx3g", b"wvtt", b"stpp", b"c608", b"rtp ", b"tmcd", b"mebx", b"enct")
# Items of HEIF that are derived from others (ISO/IEC 23008-12, section 6.6.2).
_PUT_TOGETHER = (b"grid", b"iovl", b"iden", b"tmap")


def open_container(path: Path) -> InputContainer:
    """Open ``path`` with PyAV. The caller closes it.

    Raises:
        InputNotFoundError: it does not exist.
        NotMediaError: it is a folder, empty, or no container that can be read.
        MediaError: it may not be read.
    """
    try:
        state = path.stat()
        if stat.S_ISDIR(state.st_mode):
            raise NotMediaError(f"'{path}' is a folder, not a video", "name a file in it")
        if not stat.S_ISREG(state.st_mode):
            raise NotMediaError(f"'{path}' is not a regular file", "copy it to a file first")
        if state.st_size == 0:
            raise NotMediaError(f"'{path}' is empty (0 bytes)", "copy or download it again")
        with path.open("rb") as file:
            truncated = without_index(file, state.st_size)
            _refuse(file, state.st_size, path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputNotFoundError(f"'{path}' does not exist", "check the name") from error
    except OSError as error:
        raise MediaError(
            f"'{path}' cannot be read ({error.strerror})", "check the permissions"
        ) from error
    try:
        return open_media(file_url(path), options=_OPTIONS)
    except (av.FFmpegError, ValueError) as error:
        if truncated:
            raise NotMediaError(
                f"'{path}' is truncated: it ends before its index (moov), without which no "
                "frame of an MP4 or MOV can be decoded",
                "copy, download or record it again",
            ) from error
        problem, hint = describe(path)
        raise NotMediaError(f"'{path}' {problem}", hint) from error


def _refuse(file: BinaryIO, size: int, path: Path) -> None:
    """Raise MediaError for what would be decoded to something else than the file shows."""
    kinds = sample_kinds(file, size)
    if kinds and all(kind in _ENCRYPTED for kind in kinds if kind not in _TEXT):
        raise encrypted(path)
    if primary_item(file, size) in _PUT_TOGETHER:
        raise NotMediaError(
            f"'{path}' is a HEIC (HEIF) or AVIF picture that is put together from tiles or "
            "layers, which cannot be done here",
            "open it in a picture viewer and save it as JPEG or PNG",
        )


def encrypted(path: Path) -> MediaError:
    """The error for a file that only its seller's player can decode."""
    return MediaError(
        f"'{path}' is encrypted (DRM): it cannot be decoded without its key",
        "use a copy without copy protection",
    )


def animated_webp(path: Path) -> bool:
    """Whether ``path`` is a WebP picture with several frames (RFC 9649, section 2.7)."""
    with path.open("rb") as file:
        head = file.read(21)
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)


def choose_video(container: InputContainer, path: Path, ordinal: int | None) -> VideoStream:
    """The video stream to decode.

    Args:
        ordinal: which, counted from 0 among the video streams; None takes the first that is
            marked default, else the first, and leaves out cover pictures, marked or not.

    Raises:
        NoVideoStreamError: there is none, or not as many.
        MediaError: its codec is unknown or its picture absurdly large.
    """
    streams = list(container.streams.video)
    if ordinal is None:
        moving = [stream for stream in streams if not stream.disposition & COVER]
        if not moving:
            found = "a cover picture" if streams else "sound" if container.streams.audio else None
            raise NoVideoStreamError(
                f"'{path}' has no video stream" + (f", only {found}" if found else ""),
                "choose a file with a moving picture",
            )
        # A still picture beside a film is not the video: a cover that is not marked as one, the
        # first picture of an animated AVIF.
        films = [stream for stream in moving if not _is_picture(stream)]
        stream = _default(films or moving)
    else:
        if not 0 <= ordinal < len(streams):
            raise NoVideoStreamError(
                f"'{path}' has no video stream {ordinal}",
                f"it has {len(streams)}, counted from 0",
            )
        stream = streams[ordinal]
    if stream.codec_context is None:
        raise MediaError(
            f"'{path}' has a video codec that cannot be decoded here",
            "convert it to H.264 first",
        )
    if "enc_key_id" in stream.metadata:  # of Matroska
        raise encrypted(path)
    check_size(stream.width, stream.height, path)
    return stream


def choose_audio(container: InputContainer, path: Path, ordinal: int | None) -> AudioStream | None:
    """The audio stream to decode, None if the file has no sound that can be decoded.

    Raises:
        MediaError: ``ordinal`` is given and there is no such stream; or an implausible rate or
            number of channels.
    """
    streams = list(container.streams.audio)
    if ordinal is None:
        known = [stream for stream in streams if stream.codec_context is not None]
        usable = [stream for stream in known if plausible_sound(stream)]
        if known and not usable:
            check_sound(known[0], path)
        return _default(usable) if usable else None
    if not 0 <= ordinal < len(streams) or streams[ordinal].codec_context is None:
        raise MediaError(
            f"'{path}' has no audio stream {ordinal} that can be decoded",
            f"it has {len(streams)}, counted from 0",
        )
    check_sound(streams[ordinal], path)
    return streams[ordinal]


def check_channel(channels: int, channel: int | None, path: Path) -> None:
    """Raise MediaError if ``channel`` is given and a stream of ``channels`` has none such."""
    if channel is not None and channel >= max(channels, 1):
        raise MediaError(
            f"the sound of '{path}' has no channel {channel}",
            f"it has {channels}, counted from 0",
        )


def plausible_sound(stream: AudioStream) -> bool:
    """Whether somebody may have recorded sound of this rate and in so many channels."""
    low, high = RATES
    # 0 stands for a rate that is not known yet.
    rate = stream.sample_rate
    return (not rate or low <= rate <= high) and stream.channels <= MAX_CHANNELS


def check_sound(stream: AudioStream, path: Path) -> None:
    """Raise MediaError for sound that is not :func:`plausible_sound`."""
    if plausible_sound(stream):
        return
    low, high = RATES
    if stream.channels > MAX_CHANNELS:
        raise MediaError(
            f"'{path}' has {stream.channels} channels of sound, at most {MAX_CHANNELS} are read",
            "take those with speech out of it first, e.g. sox IN OUT remix 1 2",
        )
    raise MediaError(
        f"'{path}' claims {stream.sample_rate:,} samples of sound a second",
        f"rates from {low:,} to {high:,} Hz are read: write the true one into its header",
    )


def _is_picture(stream: VideoStream) -> bool:
    if stream.codec_context is None:
        return False
    return stream.frames == 1 or stream.codec_context.name in _PICTURE_CODECS


def _default(streams: list[AnyStream]) -> AnyStream:
    marked = [stream for stream in streams if stream.disposition & Disposition.default]
    return (marked or streams)[0]


def check_size(width: int, height: int, path: Path) -> None:
    """Raise MediaError for a picture that no camera makes but a hostile file claims to have."""
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise MediaError(
            f"'{path}' claims pictures of {width}x{height} pixels",
            f"at most {MAX_SIDE} a side and {MAX_PIXELS // 1_000_000} million in all are allowed",
        )
