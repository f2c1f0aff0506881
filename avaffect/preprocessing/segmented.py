"""``preprocess`` of a long video in segments: what is done before they are joined."""

from __future__ import annotations

from pathlib import Path

from avaffect.config import AnalysisConfig
from avaffect.errors import boundary
from avaffect.media.local import local_path
from avaffect.media.source import Source, open_source, read_header
from avaffect.preprocessing.run import NetsLoader
from avaffect.preprocessing.segments import cut, pass_segment
from avaffect.progress import EventCallback, ignore_events
from avaffect.store.keys import CROPS, keys, pass_key
from avaffect.store.prepared import Prepared
from avaffect.store.subject import FACES


@boundary()
def cut_for_preprocess(
    video: Path,
    out: Path,
    config: AnalysisConfig,
    seconds: float,
    on_event: EventCallback = ignore_events,
) -> tuple[int, str]:
    """Plan the segments in which a video is gone through.

    Args:
        video: the file.
        out: its output folder.
        config: the settings.
        seconds: of a segment, about.
        on_event: is told why a video cannot be cut.

    Returns:
        How many segments, 0 if it is gone through in one go or was before; and its SHA-256, for
        :func:`preprocess_segment`.

    Raises:
        MediaError, UsageError, OutputError: as :func:`avaffect.preprocess`.
    """
    source = open_source(local_path(video), config.media)
    folder = Prepared(out)
    folder.require_free_for(source.path.name, source.sha256)
    if source.kind == "sound":
        return 0, source.sha256
    wanted = keys(source.sha256, config)
    if folder.finished(wanted[FACES]) is not None:
        return 0, source.sha256
    key = pass_key(wanted, (FACES, CROPS, *config.encoders))
    return cut(source, config, folder.work, key, seconds, on_event=on_event), source.sha256


@boundary()
def preprocess_segment(
    video: Path,
    out: Path,
    config: AnalysisConfig,
    sha256: str,
    number: int,
    *,
    nets: NetsLoader,
    on_event: EventCallback = ignore_events,
) -> None:
    """Go through one segment of a video.

    Args:
        video, out, config: as for :func:`cut_for_preprocess`.
        sha256: what that gave: the file is not read once more for it.
        number: of the segment, from 0.
        nets: loaded nets to share between videos.
        on_event: progress and notices.

    Raises:
        BusyError: another process goes through it.
        MediaError, OutputError, KeyboardInterrupt: as :func:`avaffect.preprocess`.
    """
    video = local_path(video)
    source = Source(video, read_header(video, config.media), sha256)
    key = pass_key(keys(sha256, config), (FACES, CROPS, *config.encoders))
    work = Prepared(out).work
    pass_segment(source, config, nets, work, key, number, crops=True, on_event=on_event)
