"""Following faces through a video, with an identity each.

Between detections a face is followed from its own landmarks: the mesh of one frame shows where
to look in the next, so that a frame costs one run of the landmark net a face. The detector looks
at the whole picture every ``detect_every`` frames, at every frame while nobody is followed or
somebody was just lost, and then less and less often. Where nobody is found, it is looked for
harder (``faces.search``). Found faces are assigned to tracks by overlap
(Hungarian assignment); those left over are compared with the people seen before by position and
appearance, so that a face that leaves and comes back keeps its number. Faces that come near each
other are distinguished by appearance; after a cut nothing else counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.config import FaceConfig
from avaffect.faces.appearance import describe, similarity
from avaffect.faces.cuts import CutDetector
from avaffect.faces.detectors.boxes import best_pairs, iou
from avaffect.faces.face import Detection, Face
from avaffect.faces.landmarks import Roi, roi_from_detection, roi_from_mesh
from avaffect.faces.limits import Limits
from avaffect.faces.search import Search
from avaffect.media.frames import Frame

Detect = Callable[[NDArray[np.uint8]], list[Detection]]
FindLandmarks = Callable[[NDArray[np.uint8], Roi], Face | None]
Box = NDArray[np.float32]
Look = NDArray[np.float32]
LookAt = Callable[[Frame, Roi], Face | None]

SAME_PLACE = 0.3  # overlap (IoU) above which a detection is a face that is already followed
SAME_FACE = 0.5  # overlap above which two tracks follow one face
FOLLOWED = 0.1  # overlap with the frame before, below which a face has jumped away
# Distances between two faces, in sides of the larger box:
NEAR = 1.0  # within which their landmarks may be mixed up
COVERING = 2.0  # within which the hair, hands or shoulders of one may cover the other
# A face that was lost this long ago or this far away, in sides, may be anybody's.
LOSS_S, LOSS_SIDES = 3.0, 3.0
# Likenesses in appearance, by the measurements in faces.appearance: the same person is above 0.71
# in 95 % of comparisons and never below 0.61, another one below 0.52 in 95 % and never above 0.66.
SIMILAR_HERE = 0.5  # needed to take up a track that was lost here and now
SIMILAR_ANYWHERE = 0.7  # ... after a long loss, elsewhere, or after a cut
SIMILAR_SWITCH = 0.45  # a followed face that looks less like its track than this is someone else
SURER = 0.1  # likeness by which another track must be the better one to overrule the position
LARGER = 1.5  # a new face takes the place of one this much smaller, where there is room for one
LOOK_EVERY_S = 0.5  # how often a track's appearance is updated and checked
REMEMBERED = 64  # people kept in mind, or twice as many as may be followed


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """A face and the number of the track (one person, as far as is known) it belongs to."""

    track: int
    face: Face


@dataclass(slots=True, eq=False)
class _Track:
    number: int
    roi: Roi
    box: Box
    look: Look
    last_look: float
    last_time: float
    last_frame: int
    frames: int = 0
    active: bool = True
    cut_since: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "roi": [self.roi.x, self.roi.y, self.roi.size, self.roi.angle],
            "box": self.box.tolist(),
            "look": self.look.tolist(),
            "last_look": self.last_look,
            "last_time": self.last_time,
            "last_frame": self.last_frame,
            "frames": self.frames,
            "active": self.active,
            "cut_since": self.cut_since,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> _Track:
        return cls(
            **{
                **value,
                "roi": Roi(*value["roi"]),
                "box": np.array(value["box"], np.float32),
                "look": np.array(value["look"], np.float32),
            }
        )


@dataclass(slots=True, eq=False)
class Tracker:
    """Follows the faces of one video; call :meth:`update` with each frame in order.

    Args:
        detect: finds faces in a whole picture.
        landmarks: finds the mesh in a region.
        config: thresholds and intervals.
        search: looks harder where ``detect`` finds nobody; None does not.

    Attributes:
        limits: what made it leave somebody out.
    """

    detect: Detect
    landmarks: FindLandmarks
    config: FaceConfig
    search: Search | None = None
    limits: Limits = field(default_factory=Limits)
    _tracks: list[_Track] = field(default_factory=list)
    _next: int = 1
    _detected: int = 0
    _cuts: CutDetector = field(default_factory=CutDetector)

    def update(self, frame: Frame) -> list[TrackedFace]:
        """The faces of ``frame``, at most ``max_faces``, each with its track's number."""
        if self._cuts(frame.image):
            for track in self._tracks:
                track.active, track.cut_since = False, True
            if self.search is not None:
                self.search.cut(frame.index)
        faces = self._follow(frame)
        if self._should_detect(frame):
            self._detected = frame.index
            self._find_new(frame, faces, self.detect(frame.image), self._look_at)
            self._search(frame, faces)
        return [TrackedFace(number, face) for number, face in sorted(faces.items())]

    def _search(self, frame: Frame, faces: dict[int, Face]) -> None:
        """Look harder, if nobody is there and it is time to."""
        if self.search is None:
            return
        if not faces and self.search.due(frame.index):
            for found in self.search.looks(frame.image):
                self._find_new(frame, faces, found, self._look_twice)
                if faces:
                    break
            else:
                self.search.failed(frame.index)
        if faces:
            self.search.found()

    def _should_detect(self, frame: Frame) -> bool:
        if not any(track.active for track in self._tracks):
            return True
        every = self.config.detect_every
        # Often at first for those who were lost, then more and more rarely.
        pauses = [
            max(1, (frame.index - track.last_frame) // every)
            for track in self._tracks
            if not track.active
        ]
        return frame.index - self._detected >= min([every, *pauses])

    def _follow(self, frame: Frame) -> dict[int, Face]:
        followed = [track for track in self._tracks if track.active]
        faces: dict[int, Face] = {}
        for track in followed:
            face = self._look_at(frame, track.roi)
            if face is None or not _is_continuous(track.box, face.box):
                track.active = False
            else:
                faces[track.number] = face
        near = self._tell_apart(frame, faces)
        for track in followed:
            if track.number not in faces:
                continue
            if track.number not in near and frame.time - track.last_look >= LOOK_EVERY_S:
                look = describe(frame.image, faces[track.number])
                if self._is_someone_else(track, look):
                    track.active = False
                    del faces[track.number]
                    continue
                blend = 0.8 * track.look + 0.2 * look
                track.look, track.last_look = blend / np.linalg.norm(blend), frame.time
            _saw(track, frame, faces[track.number])
        return faces

    def _look_at(self, frame: Frame, roi: Roi) -> Face | None:
        face = self.landmarks(frame.image, roi)
        if face is None or face.confidence < self.config.min_presence:
            return None
        height, width = frame.image.shape[:2]
        picture = np.array([[0, 0, width, height]], np.float32)
        if not iou(face.box[None], picture)[0, 0] > 0:
            return None
        if _side(face.box) < self.config.min_size:
            if self.limits.small_s is None:
                self.limits.small_s = frame.time
            return None
        return face

    def _look_twice(self, frame: Frame, roi: Roi) -> Face | None:
        """As `_look_at`, and a second look must find a face at the place of the first."""
        first = self._look_at(frame, roi)
        face = first and self._look_at(frame, roi_from_mesh(first.mesh))
        return face if first and face and _is_continuous(first.box, face.box) else None

    def _tell_apart(self, frame: Frame, faces: dict[int, Face]) -> set[int]:
        """See that two tracks neither follow one face nor swap theirs.

        Returns:
            The tracks with another face near them. What they look like is not to be learned now.
        """
        tracks = {track.number: track for track in self._tracks}
        near: set[int] = set()
        for first, second in combinations(sorted(faces), 2):
            if first not in faces or second not in faces:
                continue
            boxes = faces[first].box, faces[second].box
            if _distance(*boxes) > NEAR:
                continue
            near |= {first, second}
            pair = tracks[first], tracks[second]
            likeness = np.array(
                [
                    [similarity(look, track.look) for track in pair]
                    for look in (
                        describe(frame.image, faces[number]) for number in (first, second)
                    )
                ]
            )
            if _overlap(*boxes) > SAME_FACE:
                worse = pair[int(likeness.mean(0).argmin())]
                worse.active = False
                del faces[worse.number]
            elif likeness[0, 1] + likeness[1, 0] > np.trace(likeness) + SURER:
                faces[first], faces[second] = faces[second], faces[first]
        return near

    def _is_someone_else(self, track: _Track, look: Look) -> bool:
        """Whether the landmarks have slipped from the person of ``track`` onto another."""
        own = similarity(look, track.look)
        better = max(own + SURER, SIMILAR_ANYWHERE)
        return own < SIMILAR_SWITCH or any(
            similarity(look, other.look) > better for other in self._tracks if not other.active
        )

    def _find_new(
        self, frame: Frame, faces: dict[int, Face], found: list[Detection], look_at: LookAt
    ) -> None:
        fresh: list[Face] = []
        found = self._unfollowed(sorted(found, key=lambda detection: -_side(detection.box)), faces)
        many = self.config.max_faces
        for detection in found:
            full = len(fresh) >= many or (
                len(faces) >= many and _side(detection.box) <= LARGER * _smallest(faces)
            )
            if full and self.limits.crowded_s is not None:
                break
            face = look_at(frame, roi_from_detection(detection))
            known = [*faces.values(), *fresh]
            if face and all(_overlap(face.box, other.box) <= SAME_FACE for other in known):
                if full:
                    self.limits.crowded_s = frame.time
                else:
                    fresh.append(face)
        self._make_room(frame, faces, fresh)
        looks = [describe(frame.image, face) for face in fresh]
        for face, look, track in zip(fresh, looks, self._relink(frame, fresh, looks), strict=True):
            if track is None and self._may_be_missing(frame, face, faces):
                continue
            if track is None:
                track = _Track(
                    number=self._next,
                    roi=roi_from_mesh(face.mesh),
                    box=face.box,
                    look=look,
                    last_look=frame.time,
                    last_time=frame.time,
                    last_frame=frame.index,
                )
                self._next += 1
                self._tracks.append(track)
            _saw(track, frame, face)
            faces[track.number] = face
        self._forget()

    def _unfollowed(self, found: list[Detection], faces: dict[int, Face]) -> list[Detection]:
        if not found or not faces:
            return found
        overlap = iou(
            np.stack([detection.box for detection in found]),
            np.stack([face.box for face in faces.values()]),
        )
        pairs = best_pairs(overlap)
        taken = {row for row, column in pairs if overlap[row, column] > SAME_PLACE}
        return [detection for row, detection in enumerate(found) if row not in taken]

    def _make_room(self, frame: Frame, faces: dict[int, Face], fresh: list[Face]) -> None:
        """Leave the largest ``max_faces``; those that are followed are preferred."""
        fresh.sort(key=lambda face: -_side(face.box))
        tracks = {track.number: track for track in self._tracks}
        while fresh and len(faces) + len(fresh) > self.config.max_faces:
            if self.limits.crowded_s is None:
                self.limits.crowded_s = frame.time
            smallest = min(faces, key=lambda number: _side(faces[number].box), default=None)
            if smallest is None or (_side(fresh[-1].box) <= LARGER * _side(faces[smallest].box)):
                fresh.pop()
            else:
                del faces[smallest]
                tracks[smallest].active = False

    def _relink(self, frame: Frame, fresh: list[Face], looks: list[Look]) -> list[_Track | None]:
        """For each new face the lost track that it continues."""
        lost = [track for track in self._tracks if not track.active]
        linked: list[_Track | None] = [None] * len(fresh)
        if fresh and lost:
            score = np.array(
                [
                    [_likeness(frame, track, face, look) for track in lost]
                    for face, look in zip(fresh, looks, strict=True)
                ]
            )
            for row, column in best_pairs(score):
                if score[row, column] > 0:
                    linked[row] = lost[column]
        return linked

    def _may_be_missing(self, frame: Frame, face: Face, faces: dict[int, Face]) -> bool:
        """Whether an unknown face may be someone just lost, still half covered by another one."""
        return any(_distance(face.box, other.box) < COVERING for other in faces.values()) and any(
            frame.time - track.last_time < LOSS_S and not track.cut_since
            for track in self._tracks
            if not track.active
        )

    def _forget(self) -> None:
        """Drop the lost tracks with the fewest frames: passers-by, in a crowd."""
        lost = [track for track in self._tracks if not track.active]
        lost.sort(key=lambda track: track.frames)
        most = max(REMEMBERED, 2 * self.config.max_faces)
        for track in lost[: max(0, len(self._tracks) - most)]:
            self._tracks.remove(track)
            self.limits.forgotten += 1

    def state(self) -> dict[str, Any]:
        """Everything needed to go on later, as JSON-able values (see :meth:`restore`)."""
        return {
            "tracks": [track.to_json() for track in self._tracks],
            "next": self._next,
            "detected": self._detected,
            "cuts": self._cuts.state(),
            "limits": self.limits.to_json(),
            "search": None if self.search is None else self.search.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state`; the next frame is the one after it was taken."""
        self._tracks = [_Track.from_json(track) for track in state["tracks"]]
        self._next = state["next"]
        self._detected = state["detected"]
        self._cuts.restore(state["cuts"])
        self.limits = Limits(**state["limits"])
        if self.search is not None and state["search"] is not None:
            self.search.restore(state["search"])


def _saw(track: _Track, frame: Frame, face: Face) -> None:
    track.roi, track.box = roi_from_mesh(face.mesh), face.box
    track.last_time, track.last_frame = frame.time, frame.index
    track.active, track.cut_since = True, False
    track.frames += 1


def _likeness(frame: Frame, track: _Track, face: Face, look: Look) -> float:
    """How well ``face`` would continue ``track``; 0 where it may not."""
    alike = similarity(track.look, look)
    if track.cut_since or not _similar_size(track.box, face.box):
        doubt = 1.0
    else:
        elapsed = (frame.time - track.last_time) / LOSS_S
        moved = _distance(track.box, face.box) / LOSS_SIDES
        doubt = min(1.0, max(elapsed, moved))
    needed = SIMILAR_HERE + doubt * (SIMILAR_ANYWHERE - SIMILAR_HERE)
    return alike + 1.0 - doubt if alike > needed else 0.0


def _is_continuous(before: Box, now: Box) -> bool:
    """A face neither jumps away nor doubles its size from one frame to the next."""
    return _similar_size(before, now) and _overlap(before, now) > FOLLOWED


def _side(box: Box) -> float:
    return float(max(box[2] - box[0], box[3] - box[1]))


def _smallest(faces: dict[int, Face]) -> float:
    """Of the longer sides of ``faces``, the shortest."""
    return min(_side(face.box) for face in faces.values())


def _similar_size(first: Box, second: Box) -> bool:
    return 0.5 < _side(first) / max(_side(second), 1e-3) < 2.0


def _overlap(first: Box, second: Box) -> float:
    return float(iou(first[None], second[None])[0, 0])


def _distance(first: Box, second: Box) -> float:
    """Between the boxes' centres, in sides of the larger one."""
    apart = (first[:2] + first[2:] - second[:2] - second[2:]) / 2
    return float(np.linalg.norm(apart)) / max(_side(first), _side(second), 1e-3)
