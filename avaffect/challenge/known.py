"""Which subjects a model knows already, so that their score is no test of it.

A table's metadata has, under ``known``, for its subject the ways in which the model that made the
predictions had to do with it; clips are known by their names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from avaffect.challenge.layout import source_video
from avaffect.challenge.places import subject_files
from avaffect.errors import FormatError, InputNotFoundError
from avaffect.files.table import read_about
from avaffect.progress import EventCallback, Notice, ignore_events

# In the order in which messages name them, and what each means for a score.
WAYS = {
    "trained": "the model was trained on: their score is no test of it",
    "tuned": "its smoothing and thresholds were tuned on: optimistic",
    "validated": "its best epoch was chosen on: somewhat optimistic",
}


def mark_of(sha256: str) -> str:
    """What stands among the names of clips for a video of this content, whatever it is called."""
    return f"sha256:{sha256}"


def ways(subject: str, clips: Mapping[str, Iterable[str]], sha256: str = "") -> list[str]:
    """The ways in which a model knows ``subject``, or another person of the same video.

    >>> ways("clip_left", {"trained": ["clip_right"], "tuned": ["other"]})
    ['trained']

    Args:
        subject: its name.
        clips: by way, the names of the clips, and marks of videos (:func:`mark_of`).
        sha256: of its video; empty where nobody knows.
    """
    mine = {source_video(subject), *([mark_of(sha256)] if sha256 else [])}
    return [
        way
        for way in WAYS
        if not mine.isdisjoint(source_video(str(clip)) for clip in clips.get(way, ()))
    ]


def ways_of(about: Mapping[str, Any], subject: str) -> list[str]:
    """The `ways` in which the model knows ``subject``, by the metadata ``about`` of a table."""
    known = about.get("known")
    found = known.get(subject) if isinstance(known, Mapping) else None
    return [way for way in WAYS if way in found] if isinstance(found, list) else []


def known_subjects(
    tables: Path, subjects: Iterable[str], on_event: EventCallback = ignore_events
) -> dict[str, list[str]]:
    """By way, those of ``subjects`` that the model knows by their tables.

    Args:
        tables: the folder of tables; it may be missing, as those of some subjects may.
        subjects: their names.
        on_event: gets a warning about tables that cannot be read: whether the model knows their
            subjects stays unknown.

    Raises:
        UsageError: two tables of one subject.
    """
    unread: list[FormatError] = []
    found: dict[str, list[str]] = {way: [] for way in WAYS}
    files = subject_files(tables, ".parquet")
    for subject in subjects:
        if subject not in files:
            continue
        try:
            about = read_about(files[subject])
        except InputNotFoundError:
            continue
        except FormatError as error:
            unread.append(error)
            continue
        for way in ways_of(about, subject):
            found[way].append(subject)
    if unread:
        count = "1 table" if len(unread) == 1 else f"{len(unread)} tables"
        text = f"whether the model was trained on their subjects is not known: {count} of "
        on_event(Notice(f"{text}'{tables}' cannot be read, first: {unread[0].problem}", True))
    return {way: some for way, some in found.items() if some}
