"""A file to work on: its header, and its hash. Both are found once and passed on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from av.packet import Packet

from avaffect.config import MediaConfig
from avaffect.errors import MediaError, NoVideoStreamError, UsageError, boundary
from avaffect.files.outside import reading
from avaffect.media.apart import apart
from avaffect.media.container import choose_video, open_container
from avaffect.media.probe import DEFAULTS, MediaInfo, probe_container, video_hash
from avaffect.media.stills import count_stills
from avaffect.media.tracks import Tracks, read_tracks


@dataclass(frozen=True, slots=True)
class Header:
    """The header of a file.

    Attributes:
        media: the file and its picture; None where nothing but the sound is used.
        tracks: the audio streams.
        stills: how many still pictures the file shows beside its sound; None where the picture
            moves, or there is none.
    """

    media: MediaInfo | None
    tracks: Tracks
    stills: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A video or a sound file.

    Attributes:
        path: the file.
        header: see `read_header`.
        sha256: of the file's content, 64 hexadecimal digits.
    """

    path: Path
    header: Header
    sha256: str

    @property
    def kind(self) -> Literal["video", "sound"]:
        """Whether the picture counts; a cover or a few slides beside sound are none."""
        return "sound" if self.header.media is None else "video"

    @property
    def media(self) -> MediaInfo:
        """The file and its picture.

        Raises:
            UsageError: it is a sound file.
        """
        if self.header.media is None:
            raise UsageError(f"'{self.path}' holds nothing but sound", "give a video")
        return self.header.media


@boundary()
def open_source(path: Path | str, config: MediaConfig = DEFAULTS) -> Source:
    """Read the header of ``path`` and hash it.

    Opens the file once and reads it once more whole for its hash. What comes later opens it only
    to decode its picture or its sound.

    Args:
        path: the file.
        config: which streams; a file of which it names a video stream is meant to be a video.

    Raises:
        InputNotFoundError, MediaError: as `media.probe.probe`; it may also be a sound file.
    """
    path = Path(path)
    return Source(path, read_header(path, config), video_hash(path))


@apart
def read_header(path: Path, config: MediaConfig = DEFAULTS) -> Header:
    """The header of a file; for the arguments and errors see `open_source`."""
    unusable = reading(path, MediaError, "cannot be used", "convert it to MP4")
    with unusable, open_container(path) as container:
        stills: int | None = None
        begun: list[Packet] = []
        if config.video_stream is None:
            try:
                choose_video(container, path, None)
            except NoVideoStreamError:
                tracks = read_tracks(container, path, config.audio_stream)
                if tracks.default is None:
                    raise
                return Header(None, tracks)
            stills, begun = count_stills(container)
        media = None if stills is not None else probe_container(container, path, config, begun)
        return Header(media, read_tracks(container, path, config.audio_stream), stills)
