"""One pass of those over segments: each decoded frame once, and tracks that go on.

In the warm-up of a segment both it and the segment before have followed the same faces: which of
its tracks are which is told by where they lie. A face that comes only later and was seen before
is known again by its appearance, as the tracker knows who comes back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import output_error
from avaffect.faces.appearance import similarity
from avaffect.faces.detectors.boxes import best_pairs, iou
from avaffect.faces.limits import Limits
from avaffect.faces.track import SAME_FACE, SIMILAR_ANYWHERE
from avaffect.files.npy import Array
from avaffect.media.frames import DecodeReport
from avaffect.media.segments import Segment
from avaffect.preprocessing.recorder import crop_file
from avaffect.preprocessing.video_pass import Passed
from avaffect.store.spool import Spool

_ROWS = 512
# Frames of the warm-up's end that are compared.
_COMPARED = 100


@dataclass(frozen=True)
class Part:
    """A segment, and the pass over it."""

    segment: Segment
    passed: Passed

    @property
    def looks(self) -> dict[int, NDArray[np.float32]]:
        """What each track that the tracker remembers looks like, float32 [D]."""
        tracks = self.passed.state["tracker"]["tracks"]
        return {track["number"]: np.array(track["look"], np.float32) for track in tracks}

    def boxes(self, start: int, stop: int) -> dict[int, dict[int, NDArray[np.float32]]]:
        """By track and frame of the whole video, the boxes from frame ``start`` to ``stop``."""
        found = {}
        for track in self.passed.spool.tracks:
            base = self.passed.spool.base(track)
            frames = base["frame"] + self.segment.first.index
            rows = (frames >= start) & (frames < stop)
            found[track] = dict(zip(frames[rows].tolist(), base["box"][rows], strict=True))
        return found


def stitch(
    parts: Sequence[Part], spool: Spool, pictures: Sequence[Path], crops: Path | None
) -> None:
    """Write the passes over segments into one.

    Args:
        parts: all segments, in order.
        spool: an empty one, which gets all records and a checkpoint.
        pictures: by segment, the folder of its faces, a folder a track; they are moved.
        crops: where to; None leaves them.

    Raises:
        OutputError: the disk does not take it.
    """
    # Per segment, by its own track the whole video's.
    numbers: list[dict[int, int]] = []
    looks: dict[int, NDArray[np.float32]] = {}
    following = 1
    for at, part in enumerate(parts):
        mine = _known(parts[at - 1], part, numbers[at - 1], looks) if at else {}
        for track in _own(part):
            if track not in mine:
                mine[track] = following
                following += 1
        numbers.append(mine)
        looks |= {mine[track]: look for track, look in part.looks.items() if track in mine}
        _append(part, mine, spool, pictures[at] if crops is not None else None, crops)
    last = parts[-1].passed
    limits = _limits([part.passed.limits for part in parts])
    frames = parts[-1].segment.stop.index
    report = replace(_NOTHING, frames=frames, first_time_s=parts[0].segment.zero_s)
    state = {**last.state, "tracker": {**last.state["tracker"], "limits": limits.to_json()}}
    turns = [part.passed.turn for part in parts]
    turn = max(turns, key=turns.count)
    spool.checkpoint(Passed(spool, report, limits, turn, state, len(parts)).kept())
    spool.require_whole()


_NOTHING = DecodeReport(0, 0, 0, None, 0.0)


def _own(part: Part) -> list[int]:
    """The tracks of a segment that were seen in the segment itself, not in its warm-up alone."""
    first, last = (
        place.index - part.segment.first.index for place in (part.segment.start, part.segment.stop)
    )
    found = []
    for track in sorted(part.passed.spool.tracks):
        frames = part.passed.spool.base(track)["frame"]
        if ((frames >= first) & (frames < last)).any():
            found.append(track)
    return found


def _known(
    before: Part, part: Part, numbers: dict[int, int], looks: dict[int, NDArray[np.float32]]
) -> dict[int, int]:
    """The tracks of ``part`` that were there before: the whole video's number of each.

    Args:
        before: the segment before.
        part: the segment.
        numbers: the whole video's number of each track of ``before``.
        looks: what all people looked like when they were seen last, by the whole video's number.
    """
    own = _own(part)
    start = part.segment.start.index
    then, now = (each.boxes(start - _COMPARED, start) for each in (before, part))
    there = [track for track in then if track in numbers]
    found: dict[int, int] = {}
    for row, column in best_pairs(
        _together([now[each] for each in own], [then[t] for t in there])
    ):
        if _overlap(now[own[row]], then[there[column]]) > SAME_FACE:
            found[own[row]] = numbers[there[column]]
    mine = part.looks
    fresh = [track for track in own if track not in found and track in mine]
    lost = [number for number in looks if number not in found.values()]
    alike = np.array([[similarity(mine[t], looks[n]) for n in lost] for t in fresh])
    for row, column in best_pairs(alike.reshape(len(fresh), len(lost))):
        if alike[row, column] > SIMILAR_ANYWHERE:
            found[fresh[row]] = lost[column]
    return found


def _together(now: list[Any], then: list[Any]) -> NDArray[np.float64]:
    """float64 [now, then], how well the boxes of two tracks lie on each other, all together."""
    return np.array(
        [
            [_overlap(mine, other) * len(mine.keys() & other.keys()) for other in then]
            for mine in now
        ]
    ).reshape(len(now), len(then))


def _overlap(mine: dict[int, Array], other: dict[int, Array]) -> float:
    """The mean overlap (IoU) of two tracks in the frames that both have; 0 without any."""
    both = sorted(mine.keys() & other.keys())
    return float(
        np.mean([iou(mine[at][None], other[at][None])[0, 0] for at in both]) if both else 0.0
    )


def _append(
    part: Part, numbers: dict[int, int], spool: Spool, pictures: Path | None, crops: Path | None
) -> None:
    """Write what a segment has of its own frames."""
    segment, own = part.segment, part.passed.spool
    shift = segment.first.index
    first, last = segment.start.index - shift, segment.stop.index - shift
    for time in own.times()[first:last]:
        spool.append_frame(float(time))
    for track, number in sorted(numbers.items()):
        for at in range(0, own.tracks[track], _ROWS):
            for record in own.track(track, at, at + _ROWS):
                here = int(record["frame"])
                if not first <= here < last:
                    continue
                record["frame"] = here + shift
                spool.append_record(number, record)
                if pictures is not None and crops is not None:
                    _move(pictures / str(track), here, crops / str(number), here + shift)


def _move(source: Path, here: int, target: Path, there: int) -> None:
    """Move the picture of a frame; one that is gone is made again later from the stored points."""
    old, new = crop_file(source, here), crop_file(target, there)
    try:
        new.parent.mkdir(parents=True, exist_ok=True)
        old.replace(new)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise output_error(new, error) from error


def _limits(all_parts: Sequence[Limits]) -> Limits:
    """The limits that bound in any segment."""
    crowded = [each.crowded_s for each in all_parts if each.crowded_s is not None]
    small = [each.small_s for each in all_parts if each.small_s is not None]
    forgotten = sum(each.forgotten for each in all_parts)
    return Limits(min(crowded, default=None), min(small, default=None), forgotten)
