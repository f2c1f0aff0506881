"""A face in one picture: the types that the face stage hands on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord, require_shape

MESH_POINTS = 478


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Detection(ArrayRecord):
    """A face found by a detector.

    Attributes:
        box: float32 [4], left, top, right, bottom in pixels of the picture; may reach outside it.
        points: float32 [5, 2], x and y in pixels of the eye on the picture's left, the eye on
            its right, nose tip, mouth corner on the left, mouth corner on the right.
        score: confidence in 0..1.
    """

    box: NDArray[np.float32]
    points: NDArray[np.float32]
    score: float

    def __post_init__(self) -> None:
        require_shape("box", self.box, (4,))
        require_shape("points", self.points, (5, 2))


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Face(ArrayRecord):
    """A face as the landmark stage finds it.

    Attributes:
        box: float32 [4], left, top, right, bottom in pixels, around the landmarks.
        points: float32 [5, 2], as in :class:`Detection`.
        mesh: float32 [478, 3], x and y in pixels, z in the same unit (smaller is nearer to
            the camera), in MediaPipe's order (468-472 right iris, 473-477 left iris).
        confidence: the landmark net's face presence in 0..1.
    """

    box: NDArray[np.float32]
    points: NDArray[np.float32]
    mesh: NDArray[np.float32]
    confidence: float

    def __post_init__(self) -> None:
        require_shape("box", self.box, (4,))
        require_shape("points", self.points, (5, 2))
        require_shape("mesh", self.mesh, (MESH_POINTS, 3))
