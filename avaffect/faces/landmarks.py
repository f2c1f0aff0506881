"""The Face Landmarker nets: 478 mesh points, presence and 52 blendshapes of one face.

The nets are Google's Face Landmarker bundle (Apache-2.0). How pictures and points are fed to
them follows the public MediaPipe graphs ``face_landmarks_detector_graph.cc`` (square crop, turned
upright, 1.5 times the face, RGB in 0..1) and ``face_blendshapes_graph.cc`` (146 of the points).
One thing differs: the blendshape net gets the points as they lie in the upright crop, not in the
picture. Place and size are nothing to it, but it takes a head that leans for a change of
expression (measured: blendshapes move by up to 0.1 at 30 degrees).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.faces.align import AFFWILD2, similarity_transform, warp
from avaffect.faces.face import BLENDSHAPES, MESH_POINTS, Detection, Face
from avaffect.faces.pose import HeadModel
from avaffect.models.fetch import model_path
from avaffect.models.session import TfliteNet, read_bundle

CROP = 256
ROI_SCALE = 1.5
ROI_SIZES = (4.0, 1e5)

# Mesh points in the order of the five-point alignment: eyes (irises), nose tip, mouth corners;
# "left" is the picture's left.
IRIS_LEFT, IRIS_RIGHT, NOSE_TIP, MOUTH_LEFT, MOUTH_RIGHT = 468, 473, 4, 61, 291
FIVE_POINTS = (IRIS_LEFT, IRIS_RIGHT, NOSE_TIP, MOUTH_LEFT, MOUTH_RIGHT)
EYE_CORNERS_LEFT = (33, 133)
EYE_CORNERS_RIGHT = (362, 263)

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
assert len(BLENDSHAPE_NAMES) == BLENDSHAPES  # noqa: S101 - a fact of this file, not of its input


@dataclass(frozen=True, slots=True)
class Roi:
    """A square, turned region of a picture to look for landmarks in.

    Attributes:
        x, y: centre in pixels (0, 0 is the middle of the first pixel).
        size: side in pixels.
        angle: turn in radians, clockwise in the picture (the angle of the line between the eyes).
    """

    x: float
    y: float
    size: float
    angle: float

    def to_crop(self) -> NDArray[np.float32]:
        """float32 [2, 3], the affine map from picture pixels to crop pixels."""
        scale = CROP / self.size
        cos, sin = math.cos(self.angle) * scale, math.sin(self.angle) * scale
        half = (CROP - 1) / 2
        return np.array(
            [
                [cos, sin, half - cos * self.x - sin * self.y],
                [-sin, cos, half + sin * self.x - cos * self.y],
            ],
            np.float32,
        )

    def touches(self, image: NDArray[np.uint8]) -> bool:
        """Whether the region is one at all, and has a part in ``image``; False for NaN."""
        height, width = image.shape[:2]
        reach = self.size * math.sqrt(0.5)  # from the centre to a corner
        return (
            ROI_SIZES[0] <= self.size <= ROI_SIZES[1]
            and math.isfinite(self.angle)
            and -reach < self.x < width + reach
            and -reach < self.y < height + reach
        )


def roi_from_detection(found: Detection) -> Roi:
    """Where to look for the landmarks of a newly detected face."""
    left, top, right, bottom = (float(value) for value in found.box)
    eyes = found.points[1] - found.points[0]
    return Roi(
        (left + right) / 2,
        (top + bottom) / 2,
        max(right - left, bottom - top) * ROI_SCALE,
        math.atan2(float(eyes[1]), float(eyes[0])),
    )


def roi_from_mesh(mesh: NDArray[np.float32]) -> Roi:
    """Where to look for the landmarks of a face that was at ``mesh`` in the frame before."""
    eyes = mesh[list(EYE_CORNERS_RIGHT), :2].mean(0) - mesh[list(EYE_CORNERS_LEFT), :2].mean(0)
    angle = math.atan2(float(eyes[1]), float(eyes[0]))
    cos, sin = math.cos(angle), math.sin(angle)
    # The upright frame of the face: measure the box there, then turn its centre back.
    turned = mesh[:, :2] @ np.array([[cos, -sin], [sin, cos]], np.float32)
    low, high = turned.min(0), turned.max(0)
    x, y = (float(value) for value in (low + high) / 2)
    size = float((high - low).max())
    return Roi(x * cos - y * sin, x * sin + y * cos, size * ROI_SCALE, angle)


class Landmarker:
    """Finds the mesh of a face in a region of interest.

    About 5 ms a face on one CPU core, whatever the picture's size.

    Args:
        threads: CPU threads of the landmark net.

    Attributes:
        head: the canonical head that poses are fitted with.

    Raises:
        ModelError: if the bundle is not to be had or damaged.
    """

    def __init__(self, threads: int = 1) -> None:
        bundle = model_path("face-landmarker")
        self._mesh = TfliteNet(read_bundle(bundle, "face_landmarks_detector.tflite"), threads)
        self._blend = TfliteNet(read_bundle(bundle, "face_blendshapes.tflite"), 1)
        self.head = HeadModel.from_bundle(
            read_bundle(bundle, "geometry_pipeline_metadata_landmarks.binarypb")
        )

    def __call__(self, image: NDArray[np.uint8], roi: Roi) -> Face | None:
        """The face in ``roi``.

        Args:
            image: uint8 [H, W, 3], RGB.
            roi: where to look.

        Returns:
            The face; its ``confidence`` says how sure the net is that there is one, and it can
            be aligned. None where the region lies outside the picture or is none at all, or the
            points are not usable.
        """
        if not roi.touches(image):
            return None
        matrix = roi.to_crop()
        crop = warp(image, matrix, CROP)
        mesh_out, presence = self._run_mesh(crop)
        back = cv2.invertAffineTransform(matrix)
        mesh = np.empty((MESH_POINTS, 3), np.float32)
        mesh[:, :2] = mesh_out[:, :2] @ back[:, :2].T + back[:, 2]
        mesh[:, 2] = mesh_out[:, 2] * (roi.size / CROP)
        points = mesh[list(FIVE_POINTS), :2].copy()
        if not np.isfinite(mesh).all() or not _can_be_aligned(points):
            return None
        (blend,) = self._blend(mesh_out[None, BLENDSHAPE_POINTS, :2])
        low, high = mesh[:, :2].min(0), mesh[:, :2].max(0)
        return Face(
            box=np.concatenate([low, high]),
            points=points,
            mesh=mesh,
            pose=self.head.pose(mesh),
            blendshapes=np.clip(blend.reshape(-1), 0, 1).astype(np.float32),
            confidence=presence,
        )

    def _run_mesh(self, crop: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
        outputs = self._mesh(crop[None].astype(np.float32) / 255.0)
        points = next(value for value in outputs if value.size == MESH_POINTS * 3)
        # The other two are the face flag (a logit, shape [1, 1, 1, 1]) and a tongue-out score.
        flag = next(value for value in outputs if value.shape == (1, 1, 1, 1))
        presence = 1.0 / (1.0 + math.exp(-float(np.clip(flag.reshape(-1)[0], -50, 50))))
        # The net counts from the crop's corner, the crop's map from the middle of a pixel.
        return points.reshape(MESH_POINTS, 3) - np.array([0.5, 0.5, 0], np.float32), presence


def _can_be_aligned(points: NDArray[np.float32]) -> bool:
    try:
        similarity_transform(points, AFFWILD2.template_px)
    except ValueError:
        return False
    return True
