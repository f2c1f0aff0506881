"""Whether validation clips are known from training: by group, stimulus, video, or its content.

A split by clips may tear a video or a person apart, and a video may be there under two names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from avaffect.challenge.layout import source_video
from avaffect.datasets.clip import Clip
from avaffect.progress import EventCallback, Notice

_NAMED = 3


def video_hash(clip: Clip) -> str:
    """SHA-256 of the video that a clip's features were made of; empty where nobody knows."""
    provenance = getattr(clip.features, "provenance", None) or {}
    video = provenance.get("video")
    return str(video.get("sha256", "")) if isinstance(video, dict) else ""


def shared(train: Iterable[Clip], val: Iterable[Clip]) -> tuple[str, ...]:
    """Names of the clips of ``val`` whose group, stimulus or video is in ``train`` too."""
    known = {mark for clip in train for mark in _marks(clip)}
    return tuple(clip.name for clip in val if not known.isdisjoint(_marks(clip)))


def warn_of_shared(train: Sequence[Clip], val: Sequence[Clip], on_event: EventCallback) -> None:
    """Tell of validation clips that are no test of what is trained."""
    if names := shared(train, val):
        some = ", ".join(f"'{name}'" for name in names[:_NAMED])
        some += " and others" if len(names) > _NAMED else ""
        kinds = (
            "video, group or stimulus" if any(clip.stimulus for clip in val) else "video or group"
        )
        text = (
            f"{len(names)} of {len(val)} validation clips are of a {kinds} that is trained "
            f"on too ({some}): their score is no test; put each video and person into one split"
        )
        on_event(Notice(text, warning=True))


def _marks(clip: Clip) -> set[tuple[str, str]]:
    marks = {("group", clip.group), ("video", source_video(clip.name))}
    marks |= {("stimulus", clip.stimulus)} if clip.stimulus else set()
    return marks | {("content", found) for found in (video_hash(clip),) if found}
