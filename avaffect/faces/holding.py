"""Faces that are held: the landmark net is asked anew only where a face has changed.

From one frame to the next most faces change less than the net's own noise. So a followed face is
looked at some times a second, and in every other frame in which its picture has changed. In
between it is *held*: the net's last answer stands for it while it is followed, and what is
recorded lies on the straight line between the frames around (``preprocessing.between``).

What changed is told by small grey pictures of the region in which the face was seen last, so that
a movement of the head shows as well as one of the lips.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.faces.align import warp
from avaffect.faces.face import MESH_POINTS, Face
from avaffect.faces.landmarks import FIVE_POINTS, ROI_SCALE, Roi, roi_from_mesh
from avaffect.faces.track import FindLandmarks, TrackedFace

Picture = NDArray[np.uint8]
Looks = Literal["every", "changed", "few"]

# Side of a small picture and of its fields in pixels. The face itself fills it.
_SIDE, _FIELD = 48, 6
# Frames in a row that a face is held at the most: they wait in memory for the next one.
MOST_HELD = 4
# Parts of the region's side, or radians, by which a face may lie beside where it was looked for.
_NEAR = 0.06
# Frame times are not exact.
_EARLY_S = 0.004


@dataclass(frozen=True)
class Rule:
    """When a face is looked at.

    Attributes:
        every_s: all faces are looked at in the first frame that is so many seconds later than
            the last such frame.
        change: a face is looked at where one of the fields of its small picture has changed by
            more than this in the mean, in grey levels (0..255) at a contrast (standard
            deviation) of 50.
        near: a held face is looked at after all where its two likeliest expressions are nearer
            to each other than this, in probability (``preprocessing.doubt``).
    """

    every_s: float
    change: float
    near: float


RULES: dict[Looks, Rule | None] = {
    "every": None,
    "changed": Rule(1 / 10, 8.0, 0.15),
    "few": Rule(1 / 5, 20.0, 0.0),
}


@dataclass(slots=True, eq=False)
class _Seen:
    face: Face
    grey: Picture  # [_SIDE, _SIDE], the region of the face
    settled: bool  # found where it was looked for
    track: int | None = None
    contrast: float = field(init=False)

    def __post_init__(self) -> None:
        self.contrast = max(float(self.grey.std()), 5.0)

    def change(self, image: Picture, roi: Roi) -> float:
        """By how much the field of ``roi`` that changed most did, see :class:`Rule`."""
        apart = cv2.absdiff(self.grey, _grey(image, roi))
        fields = cv2.resize(apart, (_SIDE // _FIELD,) * 2, interpolation=cv2.INTER_AREA)
        return float(fields.max()) * 50 / self.contrast


class Holding:
    """The landmark net, asked anew only where a face has changed; stands in its place.

    Call :meth:`begin` before each frame and :meth:`held` behind it.

    Args:
        landmarks: the net.
        looks: a key of :data:`RULES`; ``every`` never holds.
    """

    def __init__(self, landmarks: FindLandmarks, looks: Looks) -> None:
        self._landmarks = landmarks
        self._rule = RULES[looks]
        # By the region in which the next frame will be looked at.
        self._before: dict[Roi, _Seen] = {}
        self._now: dict[Roi, _Seen] = {}
        self._held: set[int] = set()
        self._due = True
        self._due_s: float | None = None
        self._since = 0

    def begin(self, time: float) -> None:
        """The next frame is at ``time`` seconds."""
        rule = self._rule
        if rule is None:
            return
        self._before, self._now = self._now, {}
        self._held.clear()
        self._since += 1
        self._due = (
            self._due_s is None
            or time - self._due_s >= rule.every_s - _EARLY_S
            or self._since > MOST_HELD
        )
        if self._due:
            self._due_s, self._since = time, 0

    def __call__(self, image: Picture, roi: Roi) -> Face | None:
        """The face in ``roi`` of ``image``, as `faces.landmarks.Landmarker`, or that of before."""
        rule, seen = self._rule, self._before.get(roi)
        if rule is None:
            return self._landmarks(image, roi)
        may_rest = seen is not None and seen.settled and not self._due
        if seen is not None and may_rest and seen.change(image, roi) <= rule.change:
            self._now[roi] = seen
            self._held.add(id(seen.face))
            return seen.face
        face = self._landmarks(image, roi)
        place = None if face is None else roi_from_mesh(face.mesh)
        if face is not None and place is not None and place.touches(image):
            self._now[place] = _Seen(face, _grey(image, place), _is_near(roi, place))
        return face

    def held(self, found: Sequence[TrackedFace]) -> frozenset[int]:
        """The tracks whose face in this frame is that of the frame before.

        Args:
            found: all that the tracker found in this frame.
        """
        seen = {id(each.face): each for each in self._now.values()}
        held = set()
        for tracked in found:
            if (known := seen.get(id(tracked.face))) is None:
                continue
            # The tracker may have taken it for someone else's since.
            if id(tracked.face) in self._held and known.track == tracked.track:
                held.add(tracked.track)
            known.track = tracked.track
        return frozenset(held)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on later, as JSON-able values (see :meth:`restore`)."""
        seen = [
            {
                "mesh": _text(each.face.mesh),
                "confidence": each.face.confidence,
                "grey": _text(each.grey),
                "settled": each.settled,
                "track": each.track,
            }
            for each in self._now.values()
        ]
        return {"due_s": self._due_s, "since": self._since, "seen": seen}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a :meth:`state`, taken after a frame in which no face was held."""
        self._due_s, self._since = state["due_s"], state["since"]
        for each in state["seen"]:
            mesh = _array(each["mesh"], np.float32).reshape(MESH_POINTS, 3)
            face = Face(
                box=np.concatenate([mesh[:, :2].min(0), mesh[:, :2].max(0)]),
                points=mesh[list(FIVE_POINTS), :2].copy(),
                mesh=mesh,
                confidence=each["confidence"],
            )
            grey = _array(each["grey"], np.uint8).reshape(_SIDE, _SIDE)
            self._now[roi_from_mesh(mesh)] = _Seen(face, grey, each["settled"], each["track"])


def _is_near(looked_in: Roi, found_in: Roi) -> bool:
    """Whether the net would find much the same if it looked again where it has found a face.

    The first look at a face that leans, or was detected a little beside its place, is rough.
    """
    apart = math.hypot(found_in.x - looked_in.x, found_in.y - looked_in.y)
    turn = math.remainder(found_in.angle - looked_in.angle, 2 * math.pi)
    return (
        apart < _NEAR * looked_in.size
        and abs(turn) < _NEAR
        and abs(found_in.size / looked_in.size - 1) < _NEAR
    )


def _grey(image: Picture, roi: Roi) -> Picture:
    """uint8 [_SIDE, _SIDE], the face in ``roi`` as it lies in the picture."""
    face = roi.size / ROI_SCALE
    # Of a large face every n-th row and column is enough, and much faster.
    every = max(1, int(face / (4 * _SIDE)))
    scale, half = _SIDE / face * every, (_SIDE - 1) / 2
    matrix = np.array(
        [
            [scale, 0, half - scale * roi.x / every],
            [0, scale, half - scale * roi.y / every],
        ]
    )
    square = warp(image[::every, ::every], matrix, _SIDE)
    return np.asarray(cv2.cvtColor(square, cv2.COLOR_RGB2GRAY), np.uint8)


def _text(array: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _array(text: str, dtype: type) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(text), dtype).copy()
