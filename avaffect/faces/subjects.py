"""Subjects: which tracks get a file, and what it is called.

Aff-Wild2 names a file after the video, and where two people are annotated adds ``_left`` and
``_right`` by their place in the picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# A lasting track is on screen for at least this part of the time of the one seen longest, and
# has at least this part of the greatest presence (time on screen x size).
LASTING_TIME = 0.3
LASTING_PRESENCE = 0.15


@dataclass(slots=True)
class TrackSummary:
    """What the naming needs to know of a track; grows with each frame, in constant memory.

    Attributes:
        track: the track's number.
        frames: frames in which it was seen.
        first_frame: 0-based index of the first of them.
        size_sum: sum over frames of the box's longer side, in pixels.
        x_sum: sum over frames of the box's centre, as a part (0..1) of the picture's width.
    """

    track: int
    frames: int = 0
    first_frame: int = -1
    size_sum: float = 0.0
    x_sum: float = 0.0

    def add(self, frame: int, size: float, x: float) -> None:
        """Count one more frame."""
        if self.frames == 0:
            self.first_frame = frame
        self.frames += 1
        self.size_sum += size
        self.x_sum += x

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


def lasting(tracks: Iterable[TrackSummary]) -> list[TrackSummary]:
    """The tracks of people who matter, the most present (time x size) first."""
    tracks = [track for track in tracks if track.frames]
    if not tracks:
        return []
    longest = max(track.frames for track in tracks)
    largest = max(track.size_sum for track in tracks)
    kept = [
        track
        for track in tracks
        if track.frames >= LASTING_TIME * longest and track.size_sum >= LASTING_PRESENCE * largest
    ]
    return sorted(kept, key=lambda track: (-track.size_sum, track.track))


def name_subjects(video: str, tracks: Iterable[TrackSummary], which: str) -> list[Subject]:
    """Choose and name the subjects of a video.

    Args:
        video: the video's file stem.
        tracks: every track of the video.
        which: ``main``: one lasting track is ``video``, two are ``video_left`` and
            ``video_right``, of more only the most present is taken, as ``video``.
            ``all``: every track; the third and further ones are ``video_3``, ``video_4`` ... in
            order of presence.

    Returns:
        At least one subject; with ``track`` None if nobody was ever seen.
    """
    tracks = list(tracks)
    main = lasting(tracks)
    if not main:
        return [Subject(video, None)]
    if which == "all":
        rest = [track for track in tracks if track.frames and track not in main]
        order = main + sorted(rest, key=lambda track: (-track.size_sum, track.track))
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
