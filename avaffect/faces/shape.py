"""What a face does: head pose and blendshapes, read from its mesh.

Following a face needs none of this, so it is left to a thread of its own. The blendshape net is
part of Google's Face Landmarker bundle (Apache-2.0), fed as the public MediaPipe graph
``face_blendshapes_graph.cc`` does: 146 of the points, here turned upright.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord, require_shape
from avaffect.faces.face import Face
from avaffect.faces.landmarks import roi_from_mesh
from avaffect.faces.pose import HeadFit, HeadModel
from avaffect.models.content import model_content
from avaffect.models.nets import tflite_net
from avaffect.models.session import read_bundle

BLENDSHAPE_NET = "face_blendshapes.tflite"
BLENDSHAPES = 52
# What the blendshape net was trained on (MediaPipe, face_blendshapes_graph.cc).
# fmt: off
BLENDSHAPE_POINTS = np.array([
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65,
    66, 67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136,
    144, 145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172,
    173, 176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283,
    284, 285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324,
    332, 334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385,
    386, 387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472,
    473, 474, 475, 476, 477,
])
BLENDSHAPE_NAMES = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft",
    "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft",
    "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft",
    "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen",
    "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower",
    "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight",
)
# fmt: on


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class FaceShape(ArrayRecord):
    """What a face does.

    Attributes:
        fit: how the canonical head lies in the mesh; its ``pose`` is yaw, pitch, roll in degrees.
        blendshapes: float32 [52] in 0..1, in the order of :data:`BLENDSHAPE_NAMES`.
    """

    fit: HeadFit
    blendshapes: NDArray[np.float32]

    def __post_init__(self) -> None:
        require_shape("blendshapes", self.blendshapes, (BLENDSHAPES,))

    @property
    def pose(self) -> NDArray[np.float32]:
        """float32 [3], yaw, pitch, roll in degrees (see ``faces.pose``)."""
        return self.fit.pose


class ShapeReader:
    """Reads the shape of faces; under a millisecond a face on one CPU core.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Attributes:
        head: the canonical head that poses are fitted with.
        on_gpu: whether a GPU runs the net.

    Raises:
        ModelError: if the Face Landmarker bundle is not to be had or damaged.
    """

    def __init__(self, device: str = "cpu") -> None:
        bundle = model_content("face-landmarker")
        # Small, and it squares pixels: in float32 everywhere.
        self._net = tflite_net(read_bundle(bundle, BLENDSHAPE_NET), device, half=False)
        self.on_gpu = self._net.on_gpu
        self.head = HeadModel.from_bundle(
            read_bundle(bundle, "geometry_pipeline_metadata_landmarks.binarypb")
        )

    def __call__(self, face: Face) -> FaceShape:
        """The shape of ``face``."""
        (shape,) = self.read([face])
        return shape

    def read(self, faces: Sequence[Face]) -> list[FaceShape]:
        """The shapes of several faces: on a GPU at once, on a CPU one after the other."""
        points = [_points(face) for face in faces]
        batches = [np.stack(points)] if self.on_gpu and points else [each[None] for each in points]
        scores = [row for batch in batches for row in self._net(batch)[0].reshape(-1, BLENDSHAPES)]
        return [
            FaceShape(self.head.fit(face.mesh), np.clip(each, 0, 1).astype(np.float32))
            for face, each in zip(faces, scores, strict=True)
        ]


def _points(face: Face) -> NDArray[np.float32]:
    """float32 [146, 2], what the blendshape net takes."""
    matrix = roi_from_mesh(face.mesh).to_crop()
    points = face.mesh[BLENDSHAPE_POINTS, :2] @ matrix[:, :2].T + matrix[:, 2]
    return points.astype(np.float32)
