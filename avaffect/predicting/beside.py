"""A video that was preprocessed already: its features are read where they lie, not made again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from avaffect.config import AnalysisConfig
from avaffect.errors import AvaffectError
from avaffect.files.names import DEFAULT_OUT
from avaffect.media.source import Source
from avaffect.preprocessing.sound import sound_arrays
from avaffect.progress import EventCallback, Notice, ignore_events
from avaffect.store.keys import keys
from avaffect.store.prepared import Prepared, is_preprocessed, source_name
from avaffect.store.subject import FACES


def places(video: Path, out: Path | None = None, name: str | None = None) -> list[Path]:
    """Where `preprocess` may have written: into ``out``, or beside the video.

    Args:
        video: the file.
        out: the output folder; None if there is none.
        name: what the video's results are called, with the folders below ``out``; None takes its
            stem.
    """
    beside = video.parent / DEFAULT_OUT
    roots = [beside] if out is None else [out, beside]
    return [place for root in roots for place in (root, root / (name or video.stem))]


def prepared_beside(
    video: Source,
    config: AnalysisConfig,
    found_at: Iterable[Path],
    name: str | None = None,
    on_event: EventCallback = ignore_events,
) -> Prepared | None:
    """The first folder that holds all that ``config`` makes of this very video, told by its hash.

    Args:
        video: the file.
        config: the settings of the pass.
        found_at: folders to look at, see :func:`places`.
        name: what the subjects are to be called; None takes the video's stem.
        on_event: is told which folder it is.
    """
    wanted = keys(video.sha256, config)
    arrays = ("face_pose", *config.encoders, *sound_arrays(config))
    for place in found_at:
        if not is_preprocessed(place):
            continue
        folder = Prepared(place)
        try:
            ours = folder.video.get("sha256") == video.sha256
            if not ours or source_name(place) != (name or video.path.stem):
                continue
            stored = folder.finished(wanted[FACES])
        except AvaffectError:
            continue  # damaged: it is gone through again
        if stored and all(each.has(array, wanted[array]) for each in stored for array in arrays):
            on_event(Notice(f"'{video.path.name}' was preprocessed: '{place}' is read instead"))
            return folder
    return None
