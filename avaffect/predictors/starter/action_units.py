"""The raw signals of action units, from blendshapes and the mesh.

ARKit's blendshapes describe the same muscles as action units but are no FACS codes: these are
*proxies*, made without any AU labels. AU6, AU23 and AU24 are the weakest: the net's
cheek-squint output is dead, so AU6 is inferred from smile and eye squint together, and lip
tightening and pressing are nearly invisible to it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avaffect.faces.face_pose import LANDMARK_VALUES
from avaffect.faces.shape import BLENDSHAPE_NAMES

Signals = NDArray[np.float32]

_BLEND = {name: LANDMARK_VALUES + 3 + 4 + at for at, name in enumerate(BLENDSHAPE_NAMES)}
# Heights (y) of the middle of the upper lip's inner edge and of the lower lip's, iBUG 62 and 66.
INNER_LIPS = (62 * 3 + 1, 66 * 3 + 1)


def blendshape(face_pose: Signals, *names: str) -> Signals:
    """float32 [N], the mean of the blendshapes called ``names`` in ``face_pose`` [N, 263]."""
    return face_pose[:, [_BLEND[name] for name in names]].mean(1)


def signals(face_pose: Signals) -> Signals:
    """The raw signal of each unit, before the subject's neutral is taken off.

    Args:
        face_pose: float32 [N, 263], see ``faces.face_pose``; NaN rows give NaN.

    Returns:
        float32 [N, 12] in the order of ``labels.ACTION_UNITS``.
    """
    smile = blendshape(face_pose, "mouthSmileLeft", "mouthSmileRight")
    squint = blendshape(face_pose, "eyeSquintLeft", "eyeSquintRight")
    gap = face_pose[:, INNER_LIPS[0]] - face_pose[:, INNER_LIPS[1]]
    columns = (
        blendshape(face_pose, "browInnerUp"),
        blendshape(face_pose, "browOuterUpLeft", "browOuterUpRight"),
        blendshape(face_pose, "browDownLeft", "browDownRight"),
        np.sqrt(np.maximum(smile * squint, 0)),
        squint,
        blendshape(face_pose, "mouthUpperUpLeft", "mouthUpperUpRight"),
        smile,
        blendshape(face_pose, "mouthFrownLeft", "mouthFrownRight"),
        blendshape(face_pose, "mouthRollLower", "mouthRollUpper"),
        blendshape(face_pose, "mouthPressLeft", "mouthPressRight"),
        np.maximum(gap, 0),
        blendshape(face_pose, "jawOpen"),
    )
    return np.stack(columns, axis=1).astype(np.float32)
