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

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import ModelDamagedError
from avaffect.faces.face import MESH_POINTS, require_shape

CANONICAL_POINTS = 468
EYEBALL_RADIUS_CM = 1.2  # adult mean, Bekerman et al. 2014: 24 mm across
_EYES = ((468, 33, 133), (473, 362, 263))  # iris centre, outer and inner corner (or the reverse)


@dataclass(frozen=True)
class HeadModel:
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

    @classmethod
    def from_bundle(cls, data: bytes) -> HeadModel:
        """Read MediaPipe's geometry metadata (a protocol buffer).

        Raises:
            ModelDamagedError: if it is not what it should be.
        """
        try:
            return cls._parse(data)
        except (ValueError, IndexError, struct.error) as error:
            raise ModelDamagedError(
                f"the head geometry in the face-landmarker bundle is not readable ({error})",
                "run `avaffect models fetch face-landmarker`",
            ) from error

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

    def rotation(self, mesh: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
        """The turn of the head and its size.

        Args:
            mesh: float32 [478, 3] as in :class:`avaffect.faces.face.Face`.

        Returns:
            float32 [3, 3], canonical head to camera axes (x right, y up, z to the camera), and
            pixels per centimetre.
        """
        require_shape("mesh", mesh, (MESH_POINTS, 3))
        used = self.weights > 0
        weight = (self.weights[used] / self.weights[used].sum())[:, None]
        seen = mesh[:CANONICAL_POINTS][used] * np.array([1, -1, -1], np.float32)
        model = self.points[used]
        seen = seen - (weight * seen).sum(0)
        model = model - (weight * model).sum(0)
        u, s, vt = np.linalg.svd((weight * seen).T @ model)
        sign = np.diag([1.0, 1.0, math.copysign(1.0, np.linalg.det(u @ vt))])
        scale = float(np.trace(np.diag(s) @ sign) / (weight * model**2).sum())
        return (u @ sign @ vt).astype(np.float32), scale

    def pose(self, mesh: NDArray[np.float32]) -> NDArray[np.float32]:
        """Yaw, pitch and roll of the head.

        Returns:
            float32 [3] in degrees, (0, 0, 0) facing the camera. Yaw > 0: turned to the picture's
            right. Pitch > 0: looking up. Roll > 0: top of the head leaning to the picture's right.
        """
        rotation, _ = self.rotation(mesh)
        # Applied in the order roll, pitch, yaw: R = Ry(yaw) Rx(-pitch) Rz(-roll).
        yaw = math.atan2(rotation[0, 2], rotation[2, 2])
        pitch = math.asin(float(np.clip(rotation[1, 2], -1, 1)))
        roll = -math.atan2(rotation[1, 0], rotation[1, 1])
        return np.degrees(np.array([yaw, pitch, roll], np.float32)).astype(np.float32)

    def gaze(self, mesh: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where each eye points, relative to the head.

        The iris centre's distance from the middle of the eye's corners, on a ball of 1.2 cm
        radius. Good for changes over time; the zero point differs from person to person.

        Returns:
            float32 [4] in degrees: yaw and pitch of the eye on the picture's left, then of the
            one on its right; signs as in :meth:`pose`.
        """
        rotation, scale = self.rotation(mesh)
        seen = mesh * np.array([1, -1, -1], np.float32)
        angles = []
        for iris, first, second in _EYES:
            offset = (seen[iris] - (seen[first] + seen[second]) / 2) @ rotation
            ratio = np.clip(offset[:2] / max(scale, 1e-6) / EYEBALL_RADIUS_CM, -1, 1)
            angles += [math.asin(ratio[0]), math.asin(ratio[1])]
        return np.degrees(np.array(angles, np.float32)).astype(np.float32)


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
            raise ValueError(f"wire type {kind}")
