"""Looking harder for faces, while nobody is found.

The default detector misses faces that fill the picture, small ones and bowed heads. Other looks
find most of them: the same detector on the picture made small in a black frame (close-ups), a
second net, ``blazeface-back``, which comes with avaffect (bowed heads), and that net on parts of
the picture (small faces). They cost several times what the detector does, so they are taken only
while nobody is followed, and less and less often while nobody comes.

The second net sees small faces in cups and bushes, and the landmark net believes some of them. So
small ones must have a score that such things do not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.faces.face import Detection

Picture = NDArray[np.uint8]
Detect = Callable[[Picture], list[Detection]]

SECOND = "blazeface-back"
# A face smaller than this, in shorter sides of the picture, needs this score from the second net.
# Measured on pictures of a cup, of streets and of a garden: 0.72 at most.
SMALL, SURE = 0.3, 0.78
# Side of the black frame in pixels: the detectors of the default make it smaller still.
_FRAME = 384
# A part is a square of this much of the picture's shorter side; neighbours overlap by a third.
_PART, _STEP = 0.75, 2 / 3
_MOST_PARTS = 12
# Smaller parts than this hold nothing that the whole picture does not show.
_SMALLEST_PART = 240
# The longest pause between two searches, in pauses of the detector (``detect_every``).
_LONGEST_PAUSE = 8


def in_frame(detect: Detect, image: Picture, times: float) -> list[Detection]:
    """What ``detect`` finds in ``image`` within a black frame ``times`` as wide and high."""
    height, width = image.shape[:2]
    scale = min(1.0, _FRAME / (times * max(height, width)))
    small = image
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    side = round(times * max(small.shape[:2]))
    top, left = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
    frame = np.zeros((side, side, 3), np.uint8)
    frame[top : top + small.shape[0], left : left + small.shape[1]] = small
    ratio = np.array([width / small.shape[1], height / small.shape[0]], np.float32)
    return [_moved(each, np.array([left, top], np.float32), ratio) for each in detect(frame)]


def in_parts(detect: Detect, image: Picture) -> list[Detection]:
    """What ``detect`` finds in overlapping squares of ``image``; a face may come twice."""
    height, width = image.shape[:2]
    side = int(_PART * min(height, width))
    if side < _SMALLEST_PART:
        return []
    found = []
    corners = [(x, y) for y in _starts(height, side) for x in _starts(width, side)]
    for x, y in corners[:_MOST_PARTS]:
        part = np.ascontiguousarray(image[y : y + side, x : x + side])
        shift = np.array([-x, -y], np.float32)
        found += [_moved(each, shift, np.ones(2, np.float32)) for each in detect(part)]
    return found


def _starts(length: int, side: int) -> list[int]:
    count = 1 + max(0, int(np.ceil((length - side) / (side * _STEP))))
    return [int(start) for start in np.linspace(0, length - side, count)]


def _side(found: Detection) -> float:
    return float(max(found.box[2] - found.box[0], found.box[3] - found.box[1]))


def _moved(found: Detection, shift: NDArray[np.float32], ratio: NDArray[np.float32]) -> Detection:
    box = ((found.box.reshape(2, 2) - shift) * ratio).reshape(4)
    return replace(found, box=box, points=(found.points - shift) * ratio)


@dataclass(slots=True)
class Search:
    """Looks at pictures in which the detector found nobody; see the module.

    Args:
        detect: the detector that found nobody.
        second: a detector of another kind.
        pause: frames between two searches that the detector's own pause stands for.
    """

    detect: Detect
    second: Detect
    pause: int = 15
    _next: int = 0
    _wait: int = 1
    _last: int = 0

    def looks(self, image: Picture) -> Iterator[list[Detection]]:
        """What is found, one look after the other; stop asking when a face is confirmed."""
        yield in_frame(self.detect, image, 3.0)
        least = SMALL * min(image.shape[:2])
        others: tuple[Detect, ...] = (
            self.second,
            lambda whole: in_frame(self.second, whole, 2.0),
            lambda whole: in_parts(self.second, whole),
        )
        for look in others:
            found = look(image)
            yield [each for each in found if each.score >= SURE or _side(each) >= least]

    def due(self, frame: int) -> bool:
        """Whether to search at ``frame`` (0-based index)."""
        return frame >= self._next

    def failed(self, frame: int) -> None:
        """Nobody was found at ``frame``: wait twice as long as the time before."""
        self._last, self._next = frame, frame + self._wait
        self._wait = min(2 * self._wait, _LONGEST_PAUSE * self.pause)

    def cut(self, frame: int) -> None:
        """The picture has changed at ``frame``: search soon, at once if the last time is long ago.

        Not at every cut of a picture that flickers: that would have no bound.
        """
        self._next = min(self._next, max(frame, self._last + self._wait // _LONGEST_PAUSE))

    def found(self) -> None:
        """Somebody is there: search at once when nobody is any more."""
        self._next, self._wait = 0, 1

    def state(self) -> list[Any]:
        """JSON-able values for :meth:`restore`."""
        return [self._next, self._wait, self._last]

    def restore(self, state: list[Any]) -> None:
        """Go on from a :meth:`state`."""
        self._next, self._wait, self._last = state
