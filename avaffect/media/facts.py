"""What a reader of frame times must know of the file: its own clock, its rate, its picture."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.config import MediaConfig
from avaffect.errors import MediaError
from avaffect.files.outside import reading
from avaffect.media.apart import apart
from avaffect.media.container import choose_audio, open_container
from avaffect.media.probe import MediaInfo, start_time
from avaffect.media.sound import first_sound_time


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """A file as it was decoded. Its record and its tables carry this under ``media``.

    Attributes:
        first_time_s: time of the first decoded frame (without a picture: of the first sound) on
            the file's own clock, in seconds. Added to times since that frame, it gives times since
            the file's zero.
        fps: frames a second, the mean of the decoded ones; without a picture rows a second. None
            for a single frame.
        duration_s: seconds from the first decoded frame to the end of the last.
        width, height: pixels of the upright picture; None without one.
        header_fps, header_duration_s: what the header claims, None where it has none.
        start_s: the earliest time of any stream on the file's own clock, None if unknown. 0 in
            most files; broadcast streams begin anywhere. Many players count from here.
    """

    first_time_s: float
    fps: float | None
    duration_s: float
    width: int | None = None
    height: int | None = None
    header_fps: float | None = None
    header_duration_s: float | None = None
    start_s: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able values."""
        return asdict(self)


def video_facts(info: MediaInfo, times: NDArray[np.float64], first_time_s: float) -> MediaFacts:
    """Those of a video.

    Args:
        info: of its header.
        times: float64 [N], of all decoded frames, seconds since the first one.
        first_time_s: see `MediaFacts`.
    """
    fps = None
    if len(times) > 1 and times[-1] > times[0]:
        fps = float((len(times) - 1) / (times[-1] - times[0]))
    step = 1 / (fps or info.video.fps or 25)
    return MediaFacts(
        first_time_s,
        fps,
        float(times[-1] - times[0]) + step if len(times) else 0.0,
        info.video.width,
        info.video.height,
        info.video.fps,
        info.duration_s,
        info.start_s,
    )


@apart
def sound_facts(path: Path, config: MediaConfig, rate: float, duration_s: float) -> MediaFacts:
    """Those of a file without a picture.

    Args:
        path: the file.
        config: which audio stream.
        rate: rows a second.
        duration_s: of the sound that was decoded.

    Raises:
        InputNotFoundError, MediaError: the file cannot be read.
    """
    with _reading(path), open_container(path) as container:
        stream = choose_audio(container, path, config.audio_stream)
        start = start_time(container)
        begin = None if stream is None else first_sound_time(container, stream)
    return MediaFacts(begin or 0.0, rate, duration_s, start_s=start)


def _reading(path: Path) -> AbstractContextManager[None]:
    return reading(path, MediaError, "cannot be used", "convert it to MP4")
