"""Action unit proxies from blendshapes, over each subject's own neutral face.

ARKit's blendshapes describe the same muscles as action units but are no FACS codes: these are
*proxies*, made without any AU labels. AU6, AU23 and AU24 are the weakest: the net's
cheek-squint output is dead, so AU6 is inferred from smile and eye squint together, and lip
tightening and pressing are nearly invisible to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.faces.face_pose import LANDMARK_VALUES
from avaffect.faces.shape import BLENDSHAPE_NAMES

Signals = NDArray[np.float32]

_BLEND = {name: LANDMARK_VALUES + 3 + 4 + at for at, name in enumerate(BLENDSHAPE_NAMES)}
# Heights (y) of the middle of the upper lip's inner edge and of the lower lip's, iBUG 62 and 66.
INNER_LIPS = (62 * 3 + 1, 66 * 3 + 1)
# The part of frames assumed to be less active than the neutral level: a subject may be smiling for
# most of the clip and still has a neutral mouth for this part of it.
NEUTRAL_QUANTILE = 0.15
# Turned faces distort blendshapes: the neutral face is taken from frames turned less than this.
_FRONTAL_DEGREES = 30.0
# Probability of presence goes from .12 to .88 over this range of activation around the threshold.
_SOFTNESS = 0.08


@dataclass(frozen=True, slots=True)
class Proxy:
    """How an action unit is read.

    Attributes:
        name: e.g. ``AU12``.
        full: the signal's value at full contraction (intensity 5).
        cap: the most that counts as neutral: someone who smiles through the whole clip is not
            taken for neutral.
        threshold: activation (0..1, of the way from neutral to full) that counts as present.
    """

    name: str
    full: float
    cap: float
    threshold: float


PROXIES = (
    Proxy("AU1", full=0.85, cap=0.35, threshold=0.30),
    Proxy("AU2", full=0.75, cap=0.30, threshold=0.30),
    Proxy("AU4", full=0.60, cap=0.25, threshold=0.30),
    Proxy("AU6", full=0.60, cap=0.25, threshold=0.35),
    Proxy("AU7", full=0.70, cap=0.45, threshold=0.35),
    Proxy("AU10", full=0.45, cap=0.15, threshold=0.30),
    Proxy("AU12", full=0.85, cap=0.25, threshold=0.25),
    Proxy("AU15", full=0.35, cap=0.12, threshold=0.35),
    Proxy("AU23", full=0.45, cap=0.20, threshold=0.40),
    Proxy("AU24", full=0.50, cap=0.30, threshold=0.55),
    Proxy("AU25", full=0.25, cap=0.05, threshold=0.15),
    Proxy("AU26", full=0.60, cap=0.10, threshold=0.20),
)


def blendshape(face_pose: Signals, *names: str) -> Signals:
    """float32 [N], the mean of the blendshapes called ``names`` in ``face_pose`` [N, 263]."""
    return face_pose[:, [_BLEND[name] for name in names]].mean(1)


def signals(face_pose: Signals) -> Signals:
    """The raw signal of each proxy, before the subject's neutral is taken off.

    Args:
        face_pose: float32 [N, 263], see ``faces.face_pose``; NaN rows give NaN.

    Returns:
        float32 [N, 12] in the order of :data:`PROXIES`.
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


def is_frontal(face_pose: Signals) -> NDArray[np.bool_]:
    """bool [N], rows of ``face_pose`` fit for estimating the neutral face; NaN rows are not."""
    yaw_pitch = np.abs(face_pose[:, LANDMARK_VALUES : LANDMARK_VALUES + 2]) * 90
    return np.all(yaw_pitch < _FRONTAL_DEGREES, axis=1)


def neutral(raw: Signals) -> Signals:
    """A subject's neutral level of each signal, float32 [12].

    A low quantile over the clip, so that a person may be expressive for most of it; capped,
    so that one who never relaxes is not taken for neutral.

    Args:
        raw: float32 [M, 12], the signals of (some) frontal frames; M may be 0.
    """
    caps = np.array([proxy.cap for proxy in PROXIES], np.float32)
    if not len(raw):
        return caps * np.float32(0.5)
    return np.minimum(np.quantile(raw, NEUTRAL_QUANTILE, axis=0), caps).astype(np.float32)


def activation(raw: Signals, level: Signals) -> Signals:
    """float32 [N, 12] in 0..1: how far each signal is from neutral to full contraction."""
    full = np.array([proxy.full for proxy in PROXIES], np.float32)
    return np.clip((raw - level) / (full - level), 0, 1)


def presence(active: Signals) -> Signals:
    """float32 [N, 12], a score of presence (0.5 at each threshold), *no probability*."""
    threshold = np.array([proxy.threshold for proxy in PROXIES], np.float32)
    odds = np.exp((active - threshold) / np.float32(_SOFTNESS / 2))
    return np.asarray(odds / (1 + odds), np.float32)


def intensity(active: Signals) -> Signals:
    """float32 [N, 12] in 0..5, linear in the activation (not FACS A-E, which humans code)."""
    return active * 5
