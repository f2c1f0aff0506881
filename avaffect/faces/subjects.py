"""Subjects: which tracks get a file, and what it is called.

Aff-Wild2 names a file after the video, and where two people are annotated adds ``_left`` and
``_right`` by their place in the picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# A lasting track has at least these parts of the time on screen and of the presence (time x size)
# of the most present one.
LASTING_TIME = 0.3
LASTING_PRESENCE = 0.15
# A track counts if it has this many frames, or half of those of a shorter video. Measured: what
# was taken for a face and was none (blurred letters, an occluded head) lasted one frame.
SMALLEST_TRACK = 5


@dataclass(slots=True)
class TrackSummary:
    """What the naming needs to know of a track; grows with each frame, in constant memory.

    Attributes:
        track: the track's number.
        frames: frames in which it was seen.
        size_sum: sum over frames of the box's longer side, in pixels.
        x_sum: sum over frames of the box's centre, as a part (0..1) of the picture's width.
        still: never moved, see ``faces.stillness``: probably a portrait on the wall or a poster.
    """

    track: int
    frames: int = 0
    size_sum: float = 0.0
    x_sum: float = 0.0
    still: bool = False

    def add(self, size: float, x: float) -> None:
        """Count one more frame."""
        self.frames += 1
        self.size_sum += size
        self.x_sum += x

    @property
    def size(self) -> float:
        """Mean of the longer side in pixels."""
        return self.size_sum / max(self.frames, 1)

    @property
    def x(self) -> float:
        """Mean place in the picture, 0 (left) to 1 (right)."""
        return self.x_sum / max(self.frames, 1)


@dataclass(frozen=True, slots=True)
class Subject:
    """A person who gets a file.

    Attributes:
        name: file stem, e.g. ``video_left``.
        track: the track's number, None for a video without a face (all rows missing).
    """

    name: str
    track: int | None


def counting(tracks: Iterable[TrackSummary], frames: int) -> list[TrackSummary]:
    """The tracks, of a video of ``frames`` frames, that are long enough to be of a person."""
    smallest = max(1, min(SMALLEST_TRACK, frames // 2))
    return [track for track in tracks if track.frames >= smallest]


def portraits(tracks: Iterable[TrackSummary]) -> list[TrackSummary]:
    """Those of ``tracks`` that are still, beside people who are there to stay and move.

    Where nobody else is, as in a video that is a still picture, whoever is still is a person.
    """
    tracks = list(tracks)
    if all(track.still for track in lasting(tracks)):
        return []
    return [track for track in tracks if track.still]


def lasting(tracks: Iterable[TrackSummary]) -> list[TrackSummary]:
    """The tracks of people who matter, the most present (time x size) first."""
    ranked = sorted(tracks, key=lambda track: (-track.size_sum, track.track))
    return [
        track
        for track in ranked
        if track.frames >= LASTING_TIME * ranked[0].frames
        and track.size_sum >= LASTING_PRESENCE * ranked[0].size_sum
    ]


def name_subjects(
    video: str, tracks: Iterable[TrackSummary], which: str, frames: int
) -> list[Subject]:
    """Choose and name the subjects of a video.

    Args:
        video: the video's file stem.
        tracks: every track of the video; those that do not count (:func:`counting`) are left out.
        which: ``main``: one lasting track is ``video``, two are ``video_left`` and
            ``video_right``, of more only the most present is taken, as ``video``.
            ``all``: every track that counts. Two lasting ones are named as above, else the most
            present is ``video`` and the next ``video_2``; then ``video_3``, ``video_4`` ... in
            order of presence, and last what is no person (:func:`portraits`), which ``main``
            leaves out.
        frames: how many frames the video has.

    Returns:
        At least one subject; with ``track`` None if nobody was seen for long enough.
    """
    tracks = counting(tracks, frames)
    pictures = portraits(tracks)
    main = lasting(track for track in tracks if track not in pictures)
    if not main:
        return [Subject(video, None)]
    if which == "all":
        rest = [track for track in tracks if track not in main]
        rest.sort(key=lambda track: (track in pictures, -track.size_sum, track.track))
        order = main + rest
    else:
        order = main if len(main) == 2 else main[:1]
    if len(main) == 2:
        left, right = sorted(main, key=lambda track: track.x)
        named = [Subject(f"{video}_left", left.track), Subject(f"{video}_right", right.track)]
    else:
        named = [Subject(video, order[0].track)]
        if len(order) > 1:
            named.append(Subject(f"{video}_2", order[1].track))
    named += [Subject(f"{video}_{at}", track.track) for at, track in enumerate(order[2:], start=3)]
    return named
