"""Who was seen in a video: a summary a track, and notices about those left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from avaffect.config import FaceConfig
from avaffect.faces.face_pose import LANDMARK_VALUES
from avaffect.faces.limits import Limits
from avaffect.faces.shape import BLENDSHAPES
from avaffect.faces.stillness import Stillness
from avaffect.faces.subjects import Subject, TrackSummary, counting, portraits
from avaffect.progress import Notice
from avaffect.store.spool import Spool

_ROWS = 512


def summaries(spool: Spool, width: int) -> list[TrackSummary]:
    """A summary of each track in ``spool``, of a picture ``width`` pixels wide.

    Memory does not grow with a track's length.
    """
    times = spool.times()
    found = []
    for number, count in sorted(spool.tracks.items()):
        summary, stillness = TrackSummary(number), Stillness()
        for at in range(0, count, _ROWS):
            records = spool.track(number, at, at + _ROWS)
            for box in records["box"]:
                size = float(max(box[2] - box[0], box[3] - box[1]))
                summary.add(size, float(box[0] + box[2]) / 2 / width)
            pose = records["face_pose"]
            stillness.add(
                times[records["frame"]], pose[:, :LANDMARK_VALUES], pose[:, -BLENDSHAPES:]
            )
        summary.still = stillness.is_still(summary.size)
        found.append(summary)
    return found


def looks(spool: Spool) -> dict[str, int]:
    """How many faces of all frames there are, and how many of them were held."""
    return {
        "faces": sum(spool.tracks.values()),
        "held": sum(int(spool.base(track)["held"].sum()) for track in spool.tracks),
    }


def record(tracks: Sequence[TrackSummary], limits: Limits, frames: int) -> dict[str, Any]:
    """Who was seen, for the record of a video of ``frames`` frames.

    Returns:
        ``seen``: how many people, for long enough to count; ``portraits``: for each face that
        never moved its track, mean place (0 left to 1 right of the picture) and frames; and the
        limits that bound, see :class:`avaffect.faces.limits.Limits`.
    """
    there = counting(tracks, frames)
    pictures = portraits(there)
    return {
        "seen": len(there) - len(pictures),
        "portraits": [
            {"track": track.track, "x": round(track.x, 3), "frames": track.frames}
            for track in pictures
        ],
        "limits": limits.to_json(),
    }


def notices(
    name: str,
    tracks: Sequence[TrackSummary],
    subjects: Sequence[Subject],
    limits: Limits,
    frames: int,
    config: FaceConfig,
) -> list[Notice]:
    """Notices about a video's people, most of all about those who get no file.

    Args:
        name: of the video's file.
        tracks: all of them.
        subjects: who gets a file.
        limits: what the tracker left out.
        frames: of the video.
        config: the settings.
    """
    there = counting(tracks, frames)
    pictures = portraits(there)
    taken = {subject.track for subject in subjects}
    notes = limits.notices(name, config)
    for track in pictures:
        where = "left" if track.x < 1 / 3 else "right" if track.x > 2 / 3 else "middle"
        file = next((s.name for s in subjects if s.track == track.track), None)
        fate = "left out" if file is None else f"called '{file}'"
        notes.append(
            Notice(
                f"'{name}': the face in the {where} of the picture never moves: it is taken for "
                f"a portrait and {fate}"
            )
        )
    more = sum(track.track not in taken for track in there if track not in pictures)
    if more:
        people = "1 more person was" if more == 1 else f"{more} more people were"
        notes.append(Notice(f"'{name}': {people} seen: subjects=\"all\""))
    passing = len(tracks) - len(there)
    if config.subjects == "all" and passing:
        faces = "1 face was" if passing == 1 else f"{passing} faces were"
        notes.append(Notice(f"'{name}': {faces} seen too briefly to get a file"))
    return notes
