"""Whether faces are found when the picture is turned: for videos with a wrong or missing flag."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.faces.landmarks import roi_from_detection
from avaffect.faces.track import Detect, FindLandmarks

TURNS = (90, 180, 270)
SAMPLES = 8
# Samples are kept this small; detectors look at less.
LONGEST = 640
_CODES = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
# Here doubt speaks against a face: of three turns of many pictures one may look like anything.
# The sample clip without a face reaches 0.72, real faces on their side 0.83 and more.
MIN_SCORE, MIN_PRESENCE = 0.75, 0.9
# A face whose eyes are so far from level is not upright, in radians.
LEVEL = math.radians(25)


def turn_of(rolls: NDArray[np.floating]) -> int | None:
    """The turn in degrees clockwise that brings faces upright; None if most of them are.

    Args:
        rolls: [N], the faces' roll in degrees, positive where the head leans to the right of the
            picture.
    """
    if not len(rolls):
        return None
    turn = -90 * round(float(np.median(rolls)) / 90) % 360
    return turn or None


@dataclass(slots=True, eq=False)
class TurnedLook:
    """Keeps some frames of a video, and looks at them turned if nobody was found in it.

    At most 16 small pictures are kept, spread over the video whatever its length.
    """

    _kept: list[tuple[int, NDArray[np.uint8]]] = field(default_factory=list)
    _every: int = 1
    _seen: int = 0

    def keep(self, image: NDArray[np.uint8]) -> None:
        """Take note of the next frame, uint8 [H, W, 3]."""
        number, self._seen = self._seen, self._seen + 1
        if number % self._every:
            return
        factor = LONGEST / max(image.shape[:2])
        if factor < 1:
            shrunk = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
            image = np.asarray(shrunk, np.uint8)
        self._kept.append((number, image))
        if len(self._kept) >= 2 * SAMPLES:
            self._every *= 2
            self._kept = [picture for picture in self._kept if picture[0] % self._every == 0]

    def turn(self, detect: Detect, landmarks: FindLandmarks) -> int | None:
        """The turn in degrees clockwise by which faces come upright; None if there is none.

        Args:
            detect: finds faces in a picture.
            landmarks: finds the mesh in a region.
        """
        found: Counter[int] = Counter()
        for _, image in self._kept:
            for turn in TURNS:
                turned = np.asarray(cv2.rotate(image, _CODES[turn]), np.uint8)
                found[turn] += _has_upright_face(turned, detect, landmarks)
        (best, times), *_ = found.most_common(1) or [(0, 0)]
        # One of many may be a mistake.
        return best if times >= min(2, max(1, len(self._kept))) else None


def _has_upright_face(image: NDArray[np.uint8], detect: Detect, landmarks: FindLandmarks) -> bool:
    for detection in detect(image):
        if detection.score < MIN_SCORE:
            continue
        face = landmarks(image, roi_from_detection(detection))
        if face is None or face.confidence < MIN_PRESENCE:
            continue
        x, y = (float(value) for value in face.points[1] - face.points[0])
        if abs(math.atan2(y, x)) < LEVEL:
            return True
    return False
