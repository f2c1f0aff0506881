"""What is read of found faces: aligned, encoded, measured and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.faces.align import align
from avaffect.faces.encoders import Encoder
from avaffect.faces.face import Face
from avaffect.faces.face_pose import face_pose
from avaffect.faces.quality import QualityReader
from avaffect.faces.shape import FaceShape, ShapeReader
from avaffect.media.frames import Frame


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class ReadFace(ArrayRecord):
    """A face as it is recorded.

    Attributes:
        box: float32 [4], left, top, right, bottom in the file's own pixels.
        points: float32 [5, 2], likewise.
        pose: float32 [3], yaw, pitch, roll in degrees.
        confidence: the face's quality, 0..1.
        presence: the landmark net's, 0..1.
        seen: float32 [3] in 0..1, see ``faces.quality``.
        arrays: ``face_pose`` and what each encoder says.
    """

    box: NDArray[np.float32]
    points: NDArray[np.float32]
    pose: NDArray[np.float32]
    confidence: float
    presence: float
    seen: NDArray[np.float32]
    arrays: Mapping[str, NDArray[np.float32]]


class FaceReader:
    """Reads faces, of one picture or several.

    Args:
        encoders: nets to run on each face.
        shapes: reads pose and blendshapes.
    """

    def __init__(self, encoders: Sequence[Encoder], shapes: ShapeReader) -> None:
        self._encoders = encoders
        self._shapes = shapes
        self._quality = QualityReader()

    def __call__(self, found: Sequence[tuple[Frame, Face]]) -> list[ReadFace]:
        """Each of ``found``, a face and the frame that it is in."""
        vectors: dict[str, NDArray[np.float32]] = {}
        if found:
            for encoder in self._encoders:
                crops = [
                    align(frame.image, face.points, encoder.spec.crop) for frame, face in found
                ]
                vectors[encoder.spec.name] = encoder(np.stack(crops))
        shapes = self._shapes.read([face for _, face in found]) if found else []
        return [
            self._read(frame, face, shape, {name: values[row] for name, values in vectors.items()})
            for row, ((frame, face), shape) in enumerate(zip(found, shapes, strict=True))
        ]

    def _read(
        self, frame: Frame, face: Face, shape: FaceShape, vectors: dict[str, NDArray[np.float32]]
    ) -> ReadFace:
        quality = self._quality(frame.image, face, shape.pose)
        # Recorded in the file's own pixels, seen in square ones.
        to_file = frame.scale.to_file
        return ReadFace(
            box=to_file(face.box.reshape(2, 2)).reshape(4),
            points=to_file(face.points),
            pose=shape.pose,
            confidence=quality.confidence,
            presence=face.confidence,
            seen=quality.seen,
            arrays={"face_pose": face_pose(face, shape), **vectors},
        )
