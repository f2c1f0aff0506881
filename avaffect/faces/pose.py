"""Head pose and gaze from the mesh, by fitting a canonical head to it.

The canonical head (468 points in centimetres) and the weights of the points that do not move
with expressions come with the Face Landmarker bundle. The fit is a weighted rigid alignment
(Kabsch 1976, Umeyama 1991) under weak perspective: exact for distant faces, a few degrees off for
faces near the camera and far from the picture's centre.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord, require_shape
from avaffect.errors import ModelDamagedError, UsageError
from avaffect.faces.face import MESH_POINTS
from avaffect.files.outside import reading

CANONICAL_POINTS = 468
EYEBALL_RADIUS_CM = 1.2  # adult mean, Bekerman et al. 2014: 24 mm across
# Iris centre, outer and inner corner (or the reverse).
_EYES = np.array([(468, 33, 133), (473, 362, 263)])
# From a picture's axes (y down, z away from the camera) to the canonical head's.
_UPWARDS = np.array([1, -1, -1], np.float32)


@dataclass(frozen=True, eq=False, repr=False)
class HeadModel(ArrayRecord):
    """A canonical head to compare meshes with.

    Attributes:
        points: float32 [468, 3] in centimetres, x to the picture's right, y up, z to the camera.
        weights: float32 [468], 0 for points that expressions move.
    """

    points: NDArray[np.float32]
    weights: NDArray[np.float32]

    def __post_init__(self) -> None:
        require_shape("points", self.points, (CANONICAL_POINTS, 3))
        require_shape("weights", self.weights, (CANONICAL_POINTS,))
        if not (np.isfinite(self.points).all() and np.isfinite(self.weights).all()):
            raise UsageError("the canonical head is not finite")
        if (self.weights > 0).sum() < 3:
            raise UsageError("fewer than three points of the canonical head have a weight")

    @classmethod
    def from_bundle(cls, data: bytes) -> HeadModel:
        """Read MediaPipe's geometry metadata (a protocol buffer).

        Raises:
            ModelDamagedError: if it is not what it should be.
        """
        hint = "run `avaffect models fetch face-landmarker`"
        with reading("face-landmarker", ModelDamagedError, "has no readable head geometry", hint):
            return cls._parse(data)

    @classmethod
    def _parse(cls, data: bytes) -> HeadModel:
        weights = np.zeros(CANONICAL_POINTS, np.float32)
        vertices: list[float] = []
        for field, value in _fields(data):
            if field == 1 and isinstance(value, bytes):  # canonical_mesh: vertex_buffer is field 3
                vertices = [v for f, v in _fields(value) if f == 3 and isinstance(v, float)]
            elif field == 2 and isinstance(value, bytes):  # procrustes_landmark_basis
                entry = dict(_fields(value))
                weights[int(entry.get(1, 0))] = float(entry[2])
        points = np.array(vertices, np.float32).reshape(CANONICAL_POINTS, 5)[:, :3]
        return cls(np.ascontiguousarray(points), weights)

    def fit(self, mesh: NDArray[np.float32]) -> HeadFit:
        """How the head lies in the picture.

        Args:
            mesh: float32 [478, 3] as in :class:`avaffect.faces.face.Face`.
        """
        require_shape("mesh", mesh, (MESH_POINTS, 3))
        used, model, spread = self._basis
        # The mesh need not be centred: the weighted model is, so a shift drops out of the product.
        u, s, vt = np.linalg.svd((mesh[used].astype(np.float64) * _UPWARDS).T @ model)
        # A turn, not a reflection.
        sign = math.copysign(1.0, np.linalg.det(u @ vt))
        u[:, 2] *= sign
        s[2] *= sign
        return HeadFit((u @ vt).astype(np.float32), float(s.sum() / spread))

    def pose(self, mesh: NDArray[np.float32]) -> NDArray[np.float32]:
        """:attr:`HeadFit.pose` of the head fitted to ``mesh``."""
        return self.fit(mesh).pose

    @cached_property
    def _basis(self) -> tuple[NDArray[np.intp], NDArray[np.float64], float]:
        """The points that count, the head's weighted and centred, and its weighted spread."""
        used = np.flatnonzero(self.weights > 0)
        weight = (self.weights[used] / self.weights[used].sum()).astype(np.float64)[:, None]
        centred = self.points[used] - (weight * self.points[used]).sum(0)
        return used, weight * centred, float((weight * centred**2).sum())


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class HeadFit(ArrayRecord):
    """How the canonical head lies in a picture.

    Attributes:
        rotation: float32 [3, 3], canonical head to camera axes (x right, y up, z to the camera).
        scale: pixels per centimetre.
    """

    rotation: NDArray[np.float32]
    scale: float

    @property
    def pose(self) -> NDArray[np.float32]:
        """Yaw, pitch and roll of the head.

        float32 [3] in degrees, (0, 0, 0) facing the camera. Yaw > 0: turned to the picture's
        right. Pitch > 0: looking up. Roll > 0: top of the head leaning to the picture's right.
        """
        # Applied in the order roll, pitch, yaw: R = Ry(yaw) Rx(-pitch) Rz(-roll).
        turn = self.rotation.tolist()
        yaw = math.atan2(turn[0][2], turn[2][2])
        pitch = math.asin(min(1.0, max(-1.0, turn[1][2])))
        roll = -math.atan2(turn[1][0], turn[1][1])
        return np.array([math.degrees(angle) for angle in (yaw, pitch, roll)], np.float32)

    def upright(self, mesh: NDArray[np.float32]) -> NDArray[np.float32]:
        """``mesh`` [N, 3] in pixels, turned to face the camera: x right, y up, z to the camera."""
        upwards: NDArray[np.float32] = mesh * _UPWARDS
        return upwards @ self.rotation  # the inverse turn, for row vectors

    def gaze(self, mesh: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where each eye points, relative to the head.

        The iris centre's distance from the middle of the eye's corners, on a ball of 1.2 cm
        radius. Good for changes over time; the zero point differs from person to person.

        Returns:
            float32 [4] in degrees: yaw and pitch of the eye on the picture's left, then of the
            one on its right; signs as in :attr:`pose`.
        """
        iris, first, second = mesh[_EYES.T]
        offset = self.upright(iris - (first + second) / 2)[:, :2]
        ratio = np.clip(offset / (max(self.scale, 1e-6) * EYEBALL_RADIUS_CM), -1, 1)
        return np.degrees(np.arcsin(ratio)).reshape(-1)


def _fields(data: bytes) -> Iterator[tuple[int, int | float | bytes]]:
    """The (field number, value) pairs of a protocol buffer message."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
        elif kind == 2:
            size = varint()
            yield key >> 3, data[at : at + size]
            at += size
        elif kind == 5:
            yield key >> 3, struct.unpack_from("<f", data, at)[0]
            at += 4
        else:
            raise UsageError(f"wire type {kind}")
