"""A long video in segments that are gone through at once, each with a warm-up before it.

Only what is found in single frames is found in segments: faces, tracks, what nets say of them. In
the warm-up a segment's tracker comes to where the whole video's would be; what it found there is
left out, and serves to tell which track goes on (``preprocessing.stitch``). All that looks at a
person's whole time (subjects, names, stillness, smoothing) and the sound come after the joining,
as ever.

In the folder of the pass: ``segments/plan.json``, and a spool a segment in ``segments/0`` ...
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avaffect.config import AnalysisConfig
from avaffect.faces.holding import Holding
from avaffect.files.atomic import write_json
from avaffect.files.lock import alone_in
from avaffect.files.names import CROPS, SEGMENTS
from avaffect.files.outside import read_kept
from avaffect.media.frames import Frame
from avaffect.media.segments import NoSegmentsError, Segment, read_stamps
from avaffect.media.source import Source
from avaffect.preprocessing.nets import Nets
from avaffect.preprocessing.stitch import Part, stitch
from avaffect.preprocessing.video_pass import Passed, run_pass, spool_arrays
from avaffect.progress import EventCallback, Notice, ignore_events
from avaffect.store.spool import Spool

# How long a segment's tracker runs before what it finds counts. The detector comes by 25 times,
# and a track's own look is blended in 20 times; measured in docs/speed.md.
WARM_UP_S = 10.0
# Of a segment, its warm-up is at most this much.
_MOST_WARM_UP = 0.25

_PLACE = {"index": int, "pts": int}
_SEGMENT = {"key": _PLACE, "first": _PLACE, "start": _PLACE, "stop": _PLACE, "zero_s": float}
_PLAN = {"key": str, "segments": [_SEGMENT], "begin": [(dict, None)], "why": (str, None)}
_EDGES = {str: int}


@dataclass(frozen=True)
class Plan:
    """How a pass is cut into segments.

    Attributes:
        folder: of the pass.
        key: of the pass.
        segments: none where the video cannot be cut.
        begin: by segment, the state of ``Holding`` at its first frame.
        why: why it cannot.
    """

    folder: Path
    key: str
    segments: tuple[Segment, ...]
    begin: tuple[dict[str, Any] | None, ...]
    why: str | None = None

    @classmethod
    def read(cls, folder: Path, key: str) -> Plan | None:
        """That of a pass, if there is one.

        Bounds: as `outside.read_json`.
        """
        kept = read_kept(folder / SEGMENTS / "plan.json", _PLAN)
        if kept is None or kept["key"] != key or len(kept["segments"]) != len(kept["begin"]):
            return None
        segments = tuple(map(Segment.of, kept["segments"]))
        return cls(folder, key, segments, tuple(kept["begin"]), kept["why"])

    def write(self) -> None:
        """Keep it.

        Raises:
            OutputError: the disk does not take it.
        """
        segments = [segment.to_dict() for segment in self.segments]
        plan = {"key": self.key, "segments": segments, "begin": self.begin, "why": self.why}
        write_json(self.folder / SEGMENTS / "plan.json", plan)

    def give_up(self, why: str) -> None:
        """From now on the video is gone through in one go."""
        Plan(self.folder, self.key, (), (), why).write()

    def place(self, number: int) -> Path:
        """The folder of a segment."""
        return self.folder / SEGMENTS / str(number)

    def key_of(self, number: int) -> str:
        """The key of a segment's spool: another segment is another pass."""
        segment = self.segments[number]
        return f"{self.key}-{segment.first.index}-{segment.start.index}-{segment.stop.index}"


def cut(
    video: Source,
    config: AnalysisConfig,
    folder: Path,
    key: str,
    seconds: float,
    *,
    warm_up_s: float = WARM_UP_S,
    on_event: EventCallback = ignore_events,
) -> int:
    """Plan the segments of a pass; a plan that is there is kept.

    Args:
        video: the video.
        config: the settings.
        folder, key: of the pass, see ``video_pass.analyse``.
        seconds: of a segment, about.
        warm_up_s: of the warm-up, at most a quarter of a segment.
        on_event: is told why a video cannot be cut.

    Returns:
        How many there are; 0 if the video is gone through in one go: it is short, or cannot be
        cut, or was begun so.

    Raises:
        OutputError: the disk does not take the plan.
    """
    if (plan := Plan.read(folder, key)) is not None:
        return len(plan.segments)
    if Spool.resume(folder, spool_arrays(config), key) is not None:
        return 0
    try:
        stamps = read_stamps(video.media, config.media)
    except NoSegmentsError as error:
        on_event(Notice(f"{error.problem}: it is gone through in one go"))
        return 0
    segments = stamps.segments(seconds, min(warm_up_s, _MOST_WARM_UP * seconds))
    if len(segments) < 2:
        return 0
    begin: list[dict[str, Any] | None] = []
    # When faces are looked at depends on all times before.
    holding = Holding(lambda image, roi: None, config.faces.looks)
    at = 0
    for segment in segments:
        for time in stamps.times[at : segment.first.index].tolist():
            holding.begin(time)
        at = max(at, segment.first.index)
        begin.append(holding.state() if at else None)
    Plan(folder, key, tuple(segments), tuple(begin)).write()
    return len(segments)


def pass_segment(
    video: Source,
    config: AnalysisConfig,
    nets: Callable[[EventCallback], Nets],
    folder: Path,
    key: str,
    number: int,
    *,
    crops: bool = False,
    on_event: EventCallback = ignore_events,
) -> None:
    """Go through a segment, from its last checkpoint if there is one; nothing if it is done.

    Args:
        video: the video.
        config: the settings.
        nets: gives those for ``config``.
        folder, key: of the pass.
        number: of the segment, from 0.
        crops: whether pictures of the faces are written.
        on_event: progress, and notices.

    Raises:
        BusyError: another process goes through it.
        MediaError, FeatureError, KeyboardInterrupt: as ``video_pass.analyse``.
    """
    plan = Plan.read(folder, key)
    if plan is None or number >= len(plan.segments):
        return  # another segment has found that the video cannot be cut
    place, segment = plan.place(number), plan.segments[number]
    with alone_in(place):
        edges: dict[str, int] = read_kept(place / "edges.json", _EDGES) or {}

        def note(frame: Frame) -> None:
            index = frame.index + segment.first.index
            if index in (segment.start.index - 1, segment.stop.index - 1):
                edges[str(index)] = zlib.crc32(frame.image.data)
                write_json(place / "edges.json", edges)

        try:
            passed = run_pass(
                video,
                config,
                nets(on_event),
                place,
                plan.key_of(number),
                crops=place / CROPS if crops else None,
                segment=segment,
                begin=plan.begin[number],
                on_frame=note,
                on_event=on_event,
            )
        except NoSegmentsError as error:
            plan.give_up(error.why)
            return
        passed.spool.checkpoint(passed.kept())


def join(
    video: Source,
    config: AnalysisConfig,
    folder: Path,
    key: str,
    *,
    crops: Path | None = None,
    on_event: EventCallback = ignore_events,
) -> bool:
    """Make one finished pass in ``folder`` of its segments, if all of them are done.

    Args:
        video: the video.
        config: the settings.
        folder, key: of the pass.
        crops: where pictures of the faces belong, a folder a track; None where there are none.
        on_event: is told if segments could not be used.

    Returns:
        Whether there is one now; if not, the pass is to be done in one go.

    Raises:
        OutputError: the disk does not take it.
    """
    if (plan := Plan.read(folder, key)) is None:
        return False
    arrays = spool_arrays(config)
    done = Spool.resume(folder, arrays, key)
    if done is not None and Passed.again(*done) is not None:
        return True
    parts = []
    edges: dict[str, set[int]] = {}
    for number, segment in enumerate(plan.segments):
        kept = Spool.resume(plan.place(number), arrays, plan.key_of(number))
        passed = None if kept is None else Passed.again(*kept)
        if passed is None:
            return False
        parts.append(Part(segment, passed))
        seen = read_kept(plan.place(number) / "edges.json", _EDGES) or {}
        for index, value in seen.items():
            edges.setdefault(index, set()).add(value)
    why = plan.why
    if parts and any(len(values) > 1 for values in edges.values()):
        why = "a frame is decoded differently from its middle"
    if why is not None:
        problem = NoSegmentsError(video.path, why).problem
        on_event(Notice(f"{problem}: it is gone through in one go"))
        plan.give_up(why)
        return False
    if not parts:
        return False
    if crops is not None:
        shutil.rmtree(crops, ignore_errors=True)
    spool = Spool.create(folder, arrays, key)
    pictures = [plan.place(number) / CROPS for number in range(len(parts))]
    stitch(parts, spool, pictures if crops is not None else [], crops)
    shutil.rmtree(folder / SEGMENTS, ignore_errors=True)
    return True
