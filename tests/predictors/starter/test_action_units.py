"""Action unit proxies: what each signal is read from."""

from __future__ import annotations

import numpy as np
import pytest

from avaffect.faces.face_pose import SIZE, face_pose_names
from avaffect.predictions.prediction import ACTION_UNITS
from avaffect.predictors.starter.action_units import signals

NAMES = face_pose_names()


def vector(**values: float) -> np.ndarray:
    out = np.zeros((1, SIZE), np.float32)
    for name, value in values.items():
        out[0, NAMES.index(name)] = value
    return out


def unit(name: str) -> int:
    return ACTION_UNITS.index(name)


@pytest.mark.parametrize(
    ("shapes", "name", "expected"),
    [
        ({"browInnerUp": 0.6}, "AU1", 0.6),
        ({"browOuterUpLeft": 0.2, "browOuterUpRight": 0.6}, "AU2", 0.4),
        ({"browDownLeft": 0.5, "browDownRight": 0.5}, "AU4", 0.5),
        ({"eyeSquintLeft": 0.4, "eyeSquintRight": 0.2}, "AU7", 0.3),
        ({"mouthUpperUpLeft": 0.2, "mouthUpperUpRight": 0.4}, "AU10", 0.3),
        ({"mouthSmileLeft": 0.9, "mouthSmileRight": 0.7}, "AU12", 0.8),
        ({"mouthFrownLeft": 0.3, "mouthFrownRight": 0.3}, "AU15", 0.3),
        ({"mouthRollLower": 0.2, "mouthRollUpper": 0.4}, "AU23", 0.3),
        ({"mouthPressLeft": 0.2, "mouthPressRight": 0.4}, "AU24", 0.3),
        ({"y62": 0.02, "y66": -0.1}, "AU25", 0.12),
        ({"jawOpen": 0.7}, "AU26", 0.7),
    ],
)
def test_each_signal_reads_its_blendshapes_and_no_other(
    shapes, name: str, expected: float
) -> None:
    out = signals(vector(**shapes))[0]
    assert out[unit(name)] == pytest.approx(expected, abs=1e-6)
    assert out.sum() == pytest.approx(expected, abs=1e-6)


def test_au6_needs_both_smile_and_squint() -> None:
    smile = {"mouthSmileLeft": 0.81, "mouthSmileRight": 0.81}
    squint = {"eyeSquintLeft": 0.25, "eyeSquintRight": 0.25}
    assert signals(vector(**smile))[0, unit("AU6")] == 0
    assert signals(vector(**squint))[0, unit("AU6")] == 0
    both = signals(vector(**smile, **squint))[0, unit("AU6")]
    assert both == pytest.approx(0.45, abs=1e-6)


def test_a_frame_without_a_face_stays_without() -> None:
    assert np.isnan(signals(np.full((2, SIZE), np.nan, np.float32))).all()
