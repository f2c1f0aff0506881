"""The Face Landmarker's mesh net: 478 points and the presence of one face.

The net is part of Google's Face Landmarker bundle (Apache-2.0). How pictures are fed to it follows
the public MediaPipe graph ``face_landmarks_detector_graph.cc``: a square crop, turned upright, 1.5
times the face, RGB in 0..1.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.faces.align import AFFWILD2, similarity_transform, warp
from avaffect.faces.face import MESH_POINTS, Detection, Face
from avaffect.models.content import model_content
from avaffect.models.nets import tflite_net
from avaffect.models.session import read_bundle

MESH_NET = "face_landmarks_detector.tflite"
CROP = 256
ROI_SCALE = 1.5
ROI_SIZES = (4.0, 1e5)

# Mesh points in the order of the five-point alignment: eyes (irises), nose tip, mouth corners;
# "left" is the picture's left.
IRIS_LEFT, IRIS_RIGHT, NOSE_TIP, MOUTH_LEFT, MOUTH_RIGHT = 468, 473, 4, 61, 291
FIVE_POINTS = (IRIS_LEFT, IRIS_RIGHT, NOSE_TIP, MOUTH_LEFT, MOUTH_RIGHT)
# Outer and inner, of the picture's left, then of its right.
_EYE_CORNERS = [33, 133, 362, 263]


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
    # Asked several times a face: plain numbers, and columns instead of rows of two.
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = mesh[_EYE_CORNERS, :2].tolist()
    angle = math.atan2(cy + dy - ay - by, cx + dx - ax - bx)
    cos, sin = math.cos(angle), math.sin(angle)
    # The upright frame of the face: measure the box there, then turn its centre back.
    across, along = mesh[:, 0] * cos + mesh[:, 1] * sin, mesh[:, 1] * cos - mesh[:, 0] * sin
    left, right = float(across.min()), float(across.max())
    top, bottom = float(along.min()), float(along.max())
    x, y = (left + right) / 2, (top + bottom) / 2
    size = max(right - left, bottom - top)
    return Roi(x * cos - y * sin, x * sin + y * cos, size * ROI_SCALE, angle)


class Landmarker:
    """Finds the mesh of a face in a region of interest.

    About 6 ms a face on one CPU core, whatever the picture's size. For any thread.

    Args:
        threads: CPU threads of the landmark net.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Attributes:
        on_gpu: whether a GPU runs the net.

    Raises:
        ModelError: if the bundle is not to be had or damaged.
    """

    def __init__(self, threads: int = 1, device: str = "cpu") -> None:
        content = read_bundle(model_content("face-landmarker"), MESH_NET)
        self._mesh = tflite_net(content, device, threads, scale=1 / 255)
        self.on_gpu = self._mesh.on_gpu
        # Kept: a fresh array of this size costs more to allocate than to fill.
        self._pixels = np.empty((1, CROP, CROP, 3), np.float32)
        self._lock = threading.Lock()

    def __call__(self, image: NDArray[np.uint8], roi: Roi) -> Face | None:
        """The face in ``roi``.

        Args:
            image: uint8 [H, W, 3], RGB.
            roi: where to look.

        Returns:
            The face; its ``confidence`` is how sure the net is that there is one, and it can
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
        low, high = mesh[:, :2].min(0), mesh[:, :2].max(0)
        return Face(
            box=np.concatenate([low, high]),
            points=points,
            mesh=mesh,
            confidence=presence,
        )

    def _run_mesh(self, crop: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
        if self.on_gpu:
            outputs = self._mesh(crop[None])  # bytes, which are scaled there
        else:
            with self._lock:
                np.multiply(crop[None], np.float32(1 / 255), out=self._pixels, casting="unsafe")
                outputs = self._mesh(self._pixels)
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
