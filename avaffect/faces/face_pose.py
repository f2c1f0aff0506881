"""The face pose vector: what OpenFace gives ABAW1 (Rasipuram et al.), from the mesh.

The paper (section I-B.2) feeds OpenFace's output to its second visual branch: landmarks, head
pose, gaze, action unit intensities. This vector holds the same kinds of things, 263 values:

====== ==================================================================================
values what
====== ==================================================================================
204    68 landmarks (iBUG order) x, y, z, without place, turn and size: turned to face the
       camera by the head pose, centred, divided by the distance between the eyes' outer
       corners; x to the picture's right, y up, z to the camera
3      yaw, pitch, roll in degrees / 90
4      gaze in degrees / 90: yaw and pitch of the left eye, then of the right (picture's sides)
52     blendshapes, 0..1
====== ==================================================================================
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avaffect.faces.face import Face
from avaffect.faces.shape import BLENDSHAPE_NAMES, FaceShape

# The mesh points nearest to iBUG's 68.
# fmt: off
IBUG68 = np.array([
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
    71, 63, 105, 66, 107, 336, 296, 334, 293, 301,
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,
    78, 82, 13, 312, 308, 317, 14, 87,
])
# fmt: on
LANDMARK_VALUES = IBUG68.size * 3
SIZE = LANDMARK_VALUES + 3 + 4 + len(BLENDSHAPE_NAMES)
_OUTER_CORNERS = (33, 263)


def face_pose_names() -> list[str]:
    """What each of the 263 values is called."""
    landmarks = [f"{axis}{point}" for point in range(IBUG68.size) for axis in "xyz"]
    gaze = ["gaze_left_yaw", "gaze_left_pitch", "gaze_right_yaw", "gaze_right_pitch"]
    return [*landmarks, "yaw", "pitch", "roll", *gaze, *BLENDSHAPE_NAMES]


def face_pose(face: Face, shape: FaceShape) -> NDArray[np.float32]:
    """float32 [263] of ``face``, whose shape is ``shape``."""
    upright = shape.fit.upright(face.mesh)
    first, second = upright[list(_OUTER_CORNERS)]
    landmarks = upright[IBUG68]
    landmarks = (landmarks - landmarks.mean(0)) / max(float(np.linalg.norm(second - first)), 1e-6)
    gaze = shape.fit.gaze(face.mesh)
    return np.concatenate(
        [landmarks.reshape(-1), shape.pose / 90, gaze / 90, shape.blendshapes]
    ).astype(np.float32)
