"""The one streaming pass over a video: decode, follow faces, encode, record."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from avaffect.config import AnalysisConfig, FaceConfig
from avaffect.errors import NoFramesError
from avaffect.faces.encoders import encoder_spec
from avaffect.faces.face_pose import SIZE as FACE_POSE_SIZE
from avaffect.faces.holding import RULES, Holding
from avaffect.faces.limits import Limits
from avaffect.faces.search import Search
from avaffect.faces.subjects import Subject, TrackSummary, name_subjects
from avaffect.faces.track import TrackedFace, Tracker
from avaffect.faces.turned import TurnedLook, turn_of
from avaffect.files.npy import ArraySpec
from avaffect.interrupts import Interrupts
from avaffect.media.frames import DecodeReport, Frame, FrameReader
from avaffect.media.given import Given, GivenFrames
from avaffect.media.probe import MediaInfo
from avaffect.media.segments import Segment
from avaffect.media.source import Source
from avaffect.preprocessing import people
from avaffect.preprocessing.doubt import Doubt, expression_arrays
from avaffect.preprocessing.nets import Nets
from avaffect.preprocessing.recorder import Recorder, frames_at_once
from avaffect.progress import EventCallback, Notice, Progress, ignore_events
from avaffect.store.spool import Spool
from avaffect.store.subject import SpooledSubject

CHECKPOINT_EVERY = 250
REPORT_EVERY = 10


@dataclass(frozen=True)
class Analysis:
    """What the pass over a video found.

    Attributes:
        info: what the header holds.
        report: what decoding met; counts of a resumed pass are of all its parts.
        spool: the records on disk.
        tracks: a summary a track.
        limits: what made the tracker leave somebody out.
        rotate: the ``MediaConfig.rotate`` by which faces would be upright; None if they are.
        segments: how many it was joined of; 0 if it went through the video in one go.
    """

    info: MediaInfo
    report: DecodeReport
    spool: Spool
    tracks: list[TrackSummary]
    limits: Limits
    rotate: int | None = None
    segments: int = 0

    def subjects(self, faces: FaceConfig, name: str | None = None) -> list[Subject]:
        """Who gets a file, by :func:`avaffect.faces.subjects.name_subjects`.

        Args:
            faces: the settings.
            name: what the video is called; None takes its stem.
        """
        name = name or self.info.path.stem
        return name_subjects(name, self.tracks, faces.subjects, self.report.frames)

    def spooled(self, faces: FaceConfig, name: str | None = None) -> list[SpooledSubject]:
        """Their features; see :meth:`subjects`."""
        return [
            SpooledSubject(
                subject.name, self.spool, () if subject.track is None else (subject.track,)
            )
            for subject in self.subjects(faces, name)
        ]

    def people(self) -> dict[str, Any]:
        """Who was seen, for the record; see ``people.record`` and ``people.looks``."""
        found = people.record(self.tracks, self.limits, self.report.frames)
        return {**found, "looks": people.looks(self.spool)}


@dataclass(frozen=True)
class Passed:
    """A pass that came to its end.

    Attributes:
        spool: the records on disk.
        report: what decoding met.
        limits: what made the tracker leave somebody out.
        turn: the turn in degrees clockwise that would bring the faces upright; None if none.
        state: what a pass would go on with.
        segments: how many it was joined of; 0 if it went through the video in one go.
    """

    spool: Spool
    report: DecodeReport
    limits: Limits
    turn: int | None
    state: dict[str, Any]
    segments: int = 0

    def kept(self) -> dict[str, Any]:
        """The state of a checkpoint that :meth:`again` makes the same of."""
        whole = {"report": asdict(self.report), "turn": self.turn, "segments": self.segments}
        return {**self.state, "whole": whole}

    @classmethod
    def again(cls, spool: Spool, state: dict[str, Any]) -> Passed | None:
        """What :meth:`kept` kept; None of a pass that did not come to its end."""
        if (whole := state.get("whole")) is None:
            return None
        limits = Limits(**state["tracker"]["limits"])
        report = DecodeReport(**whole["report"])
        return cls(spool, report, limits, whole["turn"], state, whole["segments"])


def spool_arrays(config: AnalysisConfig) -> dict[str, ArraySpec]:
    """What each record of a pass carries."""
    arrays = {"face_pose": ArraySpec((FACE_POSE_SIZE,), "float32")}
    for name in config.encoders:
        spec = encoder_spec(name)
        arrays[name] = ArraySpec((spec.size,), spec.dtype)
    return arrays


def analyse(
    video: Source | Given,
    config: AnalysisConfig,
    nets: Nets,
    folder: Path,
    key: str,
    *,
    crops: Path | None = None,
    on_event: EventCallback = ignore_events,
) -> Analysis:
    """Go through a video once, from the last checkpoint if there is one.

    Costs about 14 ms of CPU for each look at a face without deep embedding. Memory does not
    grow with the video's length; the spool takes about 1 kB a face (4 kB with embedding).

    Args:
        video: the video, or frames that the caller has.
        config: the settings.
        nets: loaded for ``config``.
        folder: where the spool lies; kept when interrupted, to go on later.
        key: fingerprint of all that the records depend on; a spool of another key is started anew.
        crops: a folder for crops, a subfolder a track; None writes none.
        on_event: progress in frames, and notices about damage.

    Raises:
        MediaError: if the file is no readable video.
        FeatureError: something else wrote into ``folder`` meanwhile.
        KeyboardInterrupt: after Ctrl-C; its message has how far the pass is saved.
    """
    opened = GivenFrames(video) if isinstance(video, Given) else video
    info = opened.media
    for doubt in info.doubts:
        on_event(Notice(doubt, warning=True))
    passed = run_pass(opened, config, nets, folder, key, crops=crops, on_event=on_event)
    report = passed.report
    on_event(Progress("faces", report.frames, report.frames, finished=True))
    for notice in _damage(video.path, report):
        on_event(notice)
    rotate = None if passed.turn is None else (info.video.rotation + passed.turn) % 360
    tracks = people.summaries(passed.spool, info.video.width)
    found = Analysis(info, report, passed.spool, tracks, passed.limits, rotate, passed.segments)
    for notice in people.notices(
        video.path.name,
        tracks,
        found.subjects(config.faces),
        passed.limits,
        report.frames,
        config.faces,
    ):
        on_event(notice)
    return found


def run_pass(
    video: Source | GivenFrames,
    config: AnalysisConfig,
    nets: Nets,
    folder: Path,
    key: str,
    *,
    crops: Path | None = None,
    segment: Segment | None = None,
    begin: dict[str, Any] | None = None,
    on_frame: Callable[[Frame], None] | None = None,
    on_event: EventCallback = ignore_events,
) -> Passed:
    """The pass itself, over a whole video or a segment of it.

    Args:
        video, config, nets, folder, key, crops, on_event: see :func:`analyse`.
        segment: goes through this segment alone; frames are numbered from its warm-up's first.
        begin: the state of ``Holding`` to begin with.
        on_frame: gets each frame before anything is done with it.
    """
    path, arrays = video.path, spool_arrays(config)
    holding = Holding(nets.landmarker, config.faces.looks)
    search = Search(nets.detector, nets.second, config.faces.detect_every)
    tracker = Tracker(nets.detector, holding, config.faces, search)
    turned = TurnedLook()
    before = 0 if segment is None else segment.first.index
    resumed = Spool.resume(folder, arrays, key)
    if resumed is None:
        spool, start = Spool.create(folder, arrays, key), 0
        if begin is not None:
            holding.restore(begin)
        if crops is not None:
            # Pictures of an unfinished pass with other settings.
            shutil.rmtree(crops, ignore_errors=True)
    else:
        spool, state = resumed
        if (passed := Passed.again(spool, state)) is not None:
            return passed
        start = spool.frames
        tracker.restore(state["tracker"])
        holding.restore(state["holding"])
        on_event(Notice(f"going on with '{path.name}' at frame {before + start + 1}"))
    with _reader(video, config, start, segment) as reader:
        recorder = Recorder(
            spool,
            nets.encoders,
            nets.shapes,
            crops,
            config.faces.crop_size,
            frames_at_once(*reader.info.video.square_size),
            _doubt(config, nets),
        )
        frames = iter(reader) if on_frame is None else _shown(reader, on_frame)
        hint = reader.info.frames_hint
        if segment is not None:
            hint = segment.stop.index - segment.first.index
        try:
            _follow(frames, hint, tracker, holding, nets, recorder, turned, on_event)
        except KeyboardInterrupt as error:
            # Only now that the recorder has ended is it known.
            raise KeyboardInterrupt(_saved(path, spool, before)) from error
        report = reader.report
        if report.frames == 0:
            raise NoFramesError(
                f"no frame of '{path}' could be decoded",
                report.first_error or "check whether the file plays in a video player",
            )
        state = _state(tracker, holding)
        spool.checkpoint(state)
        spool.require_whole()
        return Passed(spool, report, tracker.limits, _turn(spool, turned, nets), state)


def _reader(
    video: Source | GivenFrames, config: AnalysisConfig, start: int, segment: Segment | None
) -> FrameReader | GivenFrames:
    if isinstance(video, GivenFrames):
        return video
    return FrameReader(video.path, config.media, start=start, info=video.media, segment=segment)


def _shown(frames: Iterable[Frame], on_frame: Callable[[Frame], None]) -> Iterator[Frame]:
    for frame in frames:
        on_frame(frame)
        yield frame


def _turn(spool: Spool, turned: TurnedLook, nets: Nets) -> int | None:
    """The turn in degrees clockwise that would bring the faces upright, None if there is none."""
    poses = [spool.base(track)["pose"] for track in spool.tracks]
    if sum(map(len, poses)) < spool.frames / 2:
        # Upside down, few are found: those frames are looked at that have none.
        return turned.turn(nets.detector, nets.landmarker)
    return turn_of(np.concatenate(poses)[:, 2])


def _follow(
    frames: Iterator[Frame],
    hint: int | None,
    tracker: Tracker,
    holding: Holding,
    nets: Nets,
    recorder: Recorder,
    turned: TurnedLook,
    on_event: EventCallback,
) -> None:
    """Do the pass. When asked to stop it saves what was done, then raises KeyboardInterrupt."""
    with recorder, Interrupts() as interrupts:
        interrupts.patient = False
        # Whether the tracker has seen just the frames that were recorded.
        whole = True
        # What is held waits for the next frame: a pass goes on behind one in which nobody is.
        state: dict[str, Any] | None = None
        checkpoint_due = False
        try:
            for frame in frames:
                interrupts.patient, whole = True, False
                holding.begin(frame.time)
                found = tracker.update(frame)
                held = holding.held(found)
                faces = _aligned(found, held, frame, nets)
                if not faces:
                    turned.keep(frame.image)
                done = frame.index + 1
                checkpoint_due |= done % CHECKPOINT_EVERY == 0
                if held:
                    recorder.put(frame, faces, None, held)
                else:
                    state = _state(tracker, holding)
                    recorder.put(frame, faces, state if checkpoint_due else None)
                    checkpoint_due = False
                interrupts.patient, whole = False, True
                if interrupts.asked:
                    raise KeyboardInterrupt
                if done % REPORT_EVERY == 0:
                    on_event(Progress("faces", done, hint if hint and hint >= done else None))
        except KeyboardInterrupt:
            if whole and state is not None:
                recorder.save(state)
            raise


def _state(tracker: Tracker, holding: Holding) -> dict[str, Any]:
    """What a pass needs to go on, after a frame in which no face is held."""
    return {"tracker": tracker.state(), "holding": holding.state()}


def _saved(path: Path, spool: Spool, before: int) -> str:
    """The message of a pass that was stopped, and began behind so many frames."""
    if not spool.saved:
        return f"nothing of '{path.name}' was saved yet, the same command begins it anew"
    saved = before + spool.saved
    return f"'{path.name}' is saved up to frame {saved}, the same command goes on from there"


def _aligned(
    faces: list[TrackedFace], held: frozenset[int], frame: Frame, nets: Nets
) -> list[TrackedFace]:
    if nets.aligner is None:
        return faces
    return [
        tracked
        if tracked.track in held
        else replace(tracked, face=nets.refined(frame, tracked.face))
        for tracked in faces
    ]


def _doubt(config: AnalysisConfig, nets: Nets) -> Doubt | None:
    rule, names = RULES[config.faces.looks], expression_arrays(nets.encoders)
    if rule is None or not rule.near or not names:
        return None
    return Doubt(rule.near, names, nets.landmarker, nets.refined)


def _damage(path: Path, report: DecodeReport) -> list[Notice]:
    notices = []
    if report.damaged:
        notices.append(
            Notice(
                f"'{path.name}' is damaged: {report.damaged} decoding errors "
                f"({report.first_error}); all {report.frames} decodable frames were used",
                warning=True,
            )
        )
    if report.repaired_times:
        notices.append(
            Notice(
                f"'{path.name}': {report.repaired_times} of {report.frames} frames had a missing "
                "or backward timestamp, which was repaired",
                warning=True,
            )
        )
    return notices
