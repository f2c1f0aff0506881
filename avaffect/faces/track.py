"""Following faces through a video, with an identity each.

Between detections a face is followed from its own landmarks: the mesh of one frame tells where
to look in the next, so that a frame costs one run of the landmark net a face. The detector looks
at the whole picture every ``detect_every`` frames, and at every frame while somebody is missing.
Found faces are assigned to tracks by overlap (Hungarian assignment); those left over are compared
with the people seen before by position and appearance, so that a face that leaves and comes back
keeps its number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from avaffect.config import FaceConfig
from avaffect.faces.appearance import describe, similarity
from avaffect.faces.boxes import iou
from avaffect.faces.cuts import CutDetector
from avaffect.faces.face import Detection, Face
from avaffect.faces.landmarks import Roi, roi_from_detection, roi_from_mesh
from avaffect.media.frames import Frame

Detect = Callable[[NDArray[np.uint8]], list[Detection]]
FindLandmarks = Callable[[NDArray[np.uint8], Roi], Face | None]

SAME_PLACE = 0.3  # overlap (IoU) above which a detection is a face that is already followed
SAME_FACE = 0.5  # overlap above which two tracks follow one face
SHORT_LOSS_S = 1.0
SIMILAR_SHORT = 0.55  # appearance needed to take up a track after a short loss in the same place
SIMILAR_LONG = 0.72  # ... after a long loss, elsewhere, or after a cut
SIMILAR_SWITCH = 0.45  # a followed face that looks less like its track than this is someone else
LOOK_EVERY_S = 0.5  # how often a track's appearance is updated and checked
REMEMBERED = 64  # people kept in mind


@dataclass(frozen=True, slots=True)
class TrackedFace:
    """A face and the number of the track (one person, as far as one can tell) it belongs to."""

    track: int
    face: Face


@dataclass(slots=True)
class _Track:
    number: int
    roi: Roi
    box: NDArray[np.float32]
    look: NDArray[np.float32]
    frames: int = 1
    last_time: float = 0.0
    last_look: float = 0.0
    active: bool = True
    cut_since: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "roi": [self.roi.x, self.roi.y, self.roi.size, self.roi.angle],
            "box": [float(value) for value in self.box],
            "look": [float(value) for value in self.look],
            "frames": self.frames,
            "last_time": self.last_time,
            "last_look": self.last_look,
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


@dataclass(slots=True)
class Tracker:
    """Follows the faces of one video; call :meth:`update` with each frame in order.

    Args:
        detect: finds faces in a whole picture.
        landmarks: finds the mesh in a region.
        config: thresholds and intervals.
    """

    detect: Detect
    landmarks: FindLandmarks
    config: FaceConfig
    _tracks: list[_Track] = field(default_factory=list)
    _next: int = 1
    _since_detection: int = 0
    _searching: int = 0
    _cuts: CutDetector = field(default_factory=CutDetector)

    def update(self, frame: Frame) -> list[TrackedFace]:
        """The faces of ``frame``, at most ``max_faces``, each with its track's number."""
        if self._cuts(frame.image):
            for track in self._tracks:
                track.active, track.cut_since = False, True
        faces = self._follow(frame)
        if self._should_detect():
            self._since_detection = 0
            self._find_new(frame, faces)
        else:
            self._since_detection += 1
        return [TrackedFace(number, face) for number, face in sorted(faces.items())]

    def _should_detect(self) -> bool:
        if not any(track.active for track in self._tracks):
            return True
        if self._searching > 0:
            self._searching -= 1
            return True
        return self._since_detection + 1 >= self.config.detect_every

    def _follow(self, frame: Frame) -> dict[int, Face]:
        faces: dict[int, Face] = {}
        for track in [track for track in self._tracks if track.active]:
            face = self._look_at(frame, track.roi)
            if face is None or not self._is_continuous(track, face):
                self._lose(track)
                continue
            faces[track.number] = face
        self._drop_doubles(frame, faces)
        for track in self._tracks:
            if track.number not in faces:
                continue
            if frame.time - track.last_look >= LOOK_EVERY_S:
                look = describe(frame.image, faces[track.number])
                if similarity(look, track.look) < SIMILAR_SWITCH:
                    # The landmarks have slipped onto someone else.
                    del faces[track.number]
                    self._lose(track)
                    continue
                blend = 0.8 * track.look + 0.2 * look
                track.look = blend / np.linalg.norm(blend)
                track.last_look = frame.time
            self._saw(track, frame, faces[track.number])
        return faces

    def _look_at(self, frame: Frame, roi: Roi) -> Face | None:
        face = self.landmarks(frame.image, roi)
        if face is None or face.confidence < self.config.min_presence:
            return None
        left, top, right, bottom = face.box
        height, width = frame.image.shape[:2]
        inside = min(right, width) > max(left, 0) and min(bottom, height) > max(top, 0)
        if not inside or max(right - left, bottom - top) < self.config.min_size:
            return None
        return face

    def _is_continuous(self, track: _Track, face: Face) -> bool:
        """A face neither jumps away nor doubles its size from one frame to the next."""
        before, now = track.box, face.box
        ratio = (now[2] - now[0] + now[3] - now[1]) / max(
            before[2] - before[0] + before[3] - before[1], 1e-3
        )
        return 0.5 < ratio < 2.0 and float(iou(before[None], now[None])[0, 0]) > 0.1

    def _drop_doubles(self, frame: Frame, faces: dict[int, Face]) -> None:
        """Where two tracks follow one face, keep the one that it looks like."""
        tracks = {track.number: track for track in self._tracks}
        numbers = sorted(faces)
        for at, first in enumerate(numbers):
            for second in numbers[at + 1 :]:
                if first not in faces or second not in faces:
                    continue
                if iou(faces[first].box[None], faces[second].box[None])[0, 0] < SAME_FACE:
                    continue
                look = describe(frame.image, faces[first])
                worse = min(
                    (first, second), key=lambda number: similarity(look, tracks[number].look)
                )
                del faces[worse]
                self._lose(tracks[worse])

    def _find_new(self, frame: Frame, faces: dict[int, Face]) -> None:
        found = sorted(
            self.detect(frame.image), key=lambda one: -float(np.prod(one.box[2:] - one.box[:2]))
        )
        fresh: list[tuple[Face, NDArray[np.float32]]] = []
        for one in self._unfollowed(found, faces)[: self.config.max_faces]:
            face = self._look_at(frame, roi_from_detection(one))
            if face is None:
                continue
            others = [*faces.values(), *(other for other, _ in fresh)]
            if others and iou(face.box[None], np.stack([o.box for o in others])).max() > SAME_FACE:
                continue
            fresh.append((face, describe(frame.image, face)))
        room = self.config.max_faces - len(faces)
        for (face, look), track in self._relink(frame, fresh[: max(room, 0)]):
            if track is None:
                track = _Track(self._next, roi_from_mesh(face.mesh), face.box, look)
                self._next += 1
                self._tracks.append(track)
                track.last_look = frame.time
            self._saw(track, frame, face)
            faces[track.number] = face
        if len(self._tracks) > REMEMBERED:
            self._forget()

    def _unfollowed(self, found: list[Detection], faces: dict[int, Face]) -> list[Detection]:
        if not found or not faces:
            return found
        overlap = iou(
            np.stack([one.box for one in found]), np.stack([face.box for face in faces.values()])
        )
        rows, columns = linear_sum_assignment(-overlap)
        pairs = zip(rows, columns, strict=True)
        taken = {row for row, column in pairs if overlap[row, column] > SAME_PLACE}
        return [one for row, one in enumerate(found) if row not in taken]

    def _relink(
        self, frame: Frame, fresh: list[tuple[Face, NDArray[np.float32]]]
    ) -> list[tuple[tuple[Face, NDArray[np.float32]], _Track | None]]:
        lost = [track for track in self._tracks if not track.active]
        if not fresh or not lost:
            return [(one, None) for one in fresh]
        score = np.array(
            [[self._likeness(frame, track, face, look) for track in lost] for face, look in fresh]
        )
        rows, columns = linear_sum_assignment(-score)
        linked = {
            row: lost[column]
            for row, column in zip(rows, columns, strict=True)
            if score[row, column] > 0
        }
        return [(one, linked.get(row)) for row, one in enumerate(fresh)]

    def _likeness(
        self, frame: Frame, track: _Track, face: Face, look: NDArray[np.float32]
    ) -> float:
        """How well ``face`` would continue ``track``; 0 where it may not."""
        alike = similarity(track.look, look)
        size = float(max(face.box[2] - face.box[0], face.box[3] - face.box[1]))
        centre = (face.box[:2] + face.box[2:]) / 2
        moved = float(np.linalg.norm(centre - (track.box[:2] + track.box[2:]) / 2)) / size
        near = not track.cut_since and frame.time - track.last_time < SHORT_LOSS_S and moved < 1.0
        if alike < (SIMILAR_SHORT if near else SIMILAR_LONG):
            return 0.0
        return alike + (1.0 - moved if near else 0.0)

    def _saw(self, track: _Track, frame: Frame, face: Face) -> None:
        track.roi, track.box = roi_from_mesh(face.mesh), face.box
        track.last_time, track.active, track.cut_since = frame.time, True, False
        track.frames += 1

    def _lose(self, track: _Track) -> None:
        track.active = False
        self._searching = self.config.detect_every

    def _forget(self) -> None:
        """Drop the lost track with the fewest frames: passers-by, in a crowd."""
        lost = [track for track in self._tracks if not track.active]
        if lost:
            self._tracks.remove(min(lost, key=lambda track: track.frames))

    def state(self) -> dict[str, Any]:
        """Everything needed to go on later, as JSON-able values (see :meth:`restore`)."""
        return {
            "tracks": [track.to_json() for track in self._tracks],
            "next": self._next,
            "since_detection": self._since_detection,
            "searching": self._searching,
            "cuts": self._cuts.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state`; the next frame is the one after it was taken."""
        self._tracks = [_Track.from_json(track) for track in state["tracks"]]
        self._next = state["next"]
        self._since_detection = state["since_detection"]
        self._searching = state["searching"]
        self._cuts.restore(state["cuts"])
