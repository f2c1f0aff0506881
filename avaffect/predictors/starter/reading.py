"""What the built-in models read of a subject: the face's pose, a net's values, active units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avaffect.faces.face_pose import LANDMARK_VALUES
from avaffect.labels import ACTION_UNITS
from avaffect.predictors.interface import Predictor, chunks, require_arrays
from avaffect.predictors.starter.neutral import frontality, seconds_each
from avaffect.predictors.starter.speaking import lip_gap
from avaffect.predictors.starter.unit_proxies import unit_proxies
from avaffect.store.subject import SubjectFeatures

Values = NDArray[np.float32]

VOICE = "voice"
# The neutral face is estimated from at most about this many frames, evenly spread.
NEUTRAL_FRAMES = 20_000
# A face turned this far (degrees of yaw) keeps its say beside a voice; that far, it has none.
_TURNED = (40.0, 75.0)


class Pose(NamedTuple):
    """What is needed of the face pose of N frames; NaN where there is no face.

    ``signals`` [N, 12] of the action units, ``frontal`` [N] in 0..1 (0 without a face), ``gap``
    [N] between the lips, ``yaw`` [N] in degrees.
    """

    signals: Values
    frontal: Values
    gap: Values
    yaw: Values


def read_pose(subject: SubjectFeatures) -> Pose:
    """The pose of each frame of ``subject``."""
    frames = subject.frames
    signals = np.full((frames, len(ACTION_UNITS)), np.nan, np.float32)
    frontal = np.zeros(frames, np.float32)
    gap, yaw = (np.full(frames, np.nan, np.float32) for _ in range(2))
    if "face_pose" in subject.names:
        for rows in chunks(frames):
            face_pose = subject.array("face_pose", rows.start, rows.stop)
            signals[rows] = unit_proxies().signals(face_pose)
            frontal[rows], gap[rows] = frontality(face_pose), lip_gap(face_pose)
            yaw[rows] = face_pose[:, LANDMARK_VALUES] * 90
        absent = ~np.asarray(subject.present)
        signals[absent], gap[absent] = np.nan, np.nan
    return Pose(signals, frontal, gap, yaw)


def require_seen(predictor: Predictor, subject: SubjectFeatures, faces: Sequence[str]) -> None:
    """Raise FeatureError where an array of ``faces`` is missing and not for want of a picture."""
    listens = VOICE in predictor.needs and VOICE in subject.names
    only_sound = listens and "face_pose" not in subject.names
    require_arrays(predictor, subject, () if only_sound else faces)


def read_net(subject: SubjectFeatures, name: str, size: int) -> Values:
    """float32 [N, size], what the net called ``name`` gave; NaN without a face."""
    values = np.full((subject.frames, size), np.nan, np.float32)
    if name in subject.names:
        for rows in chunks(subject.frames):
            values[rows] = subject.array(name, rows.start, rows.stop)
        values[~np.asarray(subject.present)] = np.nan
    return values


def active_units(pose: Pose, times: NDArray[np.float64]) -> Values:
    """float32 [N, 12], activation of each action unit in 0..1, NaN without a face."""
    proxies = unit_proxies()
    some = slice(None, None, -(-len(times) // NEUTRAL_FRAMES) or 1)
    weight = seconds_each(times[some]) * pose.frontal[some]
    return proxies.activation(pose.signals, proxies.neutral_level(pose.signals[some], weight))


def face_trust(pose: Pose, presence: Values) -> Values:
    """float32 [N] in 0..1: how much of its say a face keeps beside a voice."""
    kept, lost = _TURNED
    trust = np.clip((lost - np.abs(pose.yaw)) / (lost - kept), 0, 1) * presence
    return np.nan_to_num(trust).astype(np.float32)
