"""``openface``: a CSV a person with the columns that OpenFace 2.2's FeatureExtraction writes.

As of a run with ``-pose -gaze -aus``. Names, units, axes and signs are OpenFace's, see
docs/converting.md; a column that we have no values for is empty in every row, and so is every
row without a face, where OpenFace writes zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.converting.form import Choices, Files, ending
from avaffect.converting.recording import Recording
from avaffect.converting.rows import Block, Rows, numbers
from avaffect.files.csv_text import write_csv_blocks

HEAD = ("frame", "face_id", "timestamp", "confidence", "success")
GAZE = (
    *(f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz"),
    "gaze_angle_x",
    "gaze_angle_y",
)
POSE = (*(f"pose_T{axis}" for axis in "xyz"), *(f"pose_R{axis}" for axis in "xyz"))
# fmt: off
_INTENSITIES = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
_PRESENCES = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 28, 45)
# fmt: on
COLUMNS = (
    *HEAD,
    *GAZE,
    *POSE,
    *(f"AU{unit:02}_r" for unit in _INTENSITIES),
    *(f"AU{unit:02}_c" for unit in _PRESENCES),
)
"""What is written, in this order."""
_TURN = ("yaw", "pitch", "roll")
_EYES = ("gaze_left_yaw", "gaze_left_pitch", "gaze_right_yaw", "gaze_right_pitch")
# From our camera's axes (x right, y up, z to the camera) to OpenFace's (x right, y down, z away).
_FLIP = np.array([1.0, -1.0, -1.0])

Values = NDArray[np.float64]


def files(recording: Recording, choices: Choices) -> Files:
    """``<person>.csv`` each."""
    return [(ending(rows.place, ".csv"), partial(_write, rows)) for rows in recording.people]


def rotations(turn: Values) -> Values:
    """float64 [n, 3, 3], head to camera in OpenFace's axes, of yaw, pitch, roll [n, 3] in degrees.

    Ours is Ry(yaw) Rx(-pitch) Rz(-roll); with y and z reversed it is Ry(-yaw) Rx(-pitch) Rz(roll).
    """
    yaw, pitch, roll = np.radians(turn).T
    return _about(1, -yaw) @ _about(0, -pitch) @ _about(2, roll)


def pose(turn: Values) -> Values:
    """float64 [n, 3], ``pose_Rx``, ``pose_Ry``, ``pose_Rz`` in radians.

    They are the angles of Rx Ry Rz (OpenFace, ``RotationHelpers.h``): positive when looking down,
    to the picture's left, and leaning to the picture's right.

    Args:
        turn: [n, 3], yaw, pitch, roll in degrees, as our tables have them.
    """
    matrix = rotations(turn)
    return np.stack(
        [
            np.arctan2(-matrix[:, 1, 2], matrix[:, 2, 2]),
            np.arcsin(np.clip(matrix[:, 0, 2], -1, 1)),
            np.arctan2(-matrix[:, 0, 1], matrix[:, 0, 0]),
        ],
        axis=1,
    )


def gaze(turn: Values, eyes: Values) -> Values:
    """float64 [n, 8], the columns :data:`GAZE`: a direction of length 1 an eye, and two angles.

    Of the eye on the picture's left first. A look into the camera along its axis is (0, 0, -1).
    The angles, in radians, are of both eyes' mean: positive to the picture's right, and down.

    Args:
        turn: as `pose`.
        eyes: [n, 4], each eye's yaw and pitch in degrees relative to the head.
    """
    matrix = rotations(turn)
    directions = []
    for place in (0, 2):
        across, up = np.sin(np.radians(eyes[:, place : place + 2])).T
        ahead = np.sqrt(np.clip(1 - across**2 - up**2, 0, None))
        own = np.stack([across, up, ahead], axis=1)
        own /= np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-12)
        directions.append((matrix @ (own * _FLIP)[:, :, None])[:, :, 0])
    mean = (directions[0] + directions[1]) / 2
    angles = [np.arctan2(mean[:, axis], -mean[:, 2]) for axis in (0, 1)]
    return np.concatenate([*directions, np.stack(angles, axis=1)], axis=1)


def _write(rows: Rows, path: Path) -> None:
    write_csv_blocks(path, COLUMNS, _blocks(rows))


def _blocks(rows: Rows) -> Iterator[Block]:
    ours = {f"AU{unit:02}_r": f"AU{unit}_intensity" for unit in _INTENSITIES}
    ours |= {f"AU{unit:02}_c": f"AU{unit}" for unit in _PRESENCES}
    asked = ["frame", "present", "confidence", *_TURN, *_EYES, *ours.values()]
    at = 0
    for block in rows.blocks(asked):
        count = len(block["frame"])
        found = dict.fromkeys(COLUMNS, np.full(count, np.nan))
        seen = numbers(block, ["present"])[:, 0] == 1
        turn = numbers(block, _TURN)
        confidence = numbers(block, ["confidence"])[:, 0]
        found |= {
            "frame": block["frame"],
            "face_id": np.full(count, rows.number),
            "timestamp": rows.times[at : at + count],
            "confidence": np.where(seen, np.nan_to_num(confidence), 0.0),
            "success": seen.astype(np.int64),
        }
        found |= dict(zip(POSE[3:], pose(turn).T, strict=True))
        found |= dict(zip(GAZE, gaze(turn, numbers(block, _EYES)).T, strict=True))
        for name, own in ours.items():
            # Without a face the table has no unit either.
            found[name] = numbers(block, [own])[:, 0]
        yield {name: _short(values) for name, values in found.items()}
        at += count


def _short(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """As many digits as the tables' own values have; whole numbers as they are."""
    return values.round(6) if values.dtype == np.float64 else values


def _about(axis: int, angle: Values) -> Values:
    """float64 [n, 3, 3], a turn about an axis (0 x, 1 y, 2 z), right-handed."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    matrix = np.zeros((len(angle), 3, 3))
    matrix[:, axis, axis] = 1
    matrix[:, first, first] = matrix[:, second, second] = np.cos(angle)
    matrix[:, first, second] = -np.sin(angle)
    matrix[:, second, first] = np.sin(angle)
    return matrix
