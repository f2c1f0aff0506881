"""Action unit proxies: signals, the neutral face, presence and intensity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from avaffect.faces.face_pose import SIZE, face_pose_names
from avaffect.predictions.prediction import ACTION_UNITS
from avaffect.predictors.starter.action_units import (
    PROXIES,
    activation,
    intensity,
    is_frontal,
    neutral,
    presence,
    signals,
)

NAMES = face_pose_names()
CAPS = np.array([proxy.cap for proxy in PROXIES], np.float32)
FULL = np.array([proxy.full for proxy in PROXIES], np.float32)
raw_values = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 40), st.just(12)),
    elements=st.floats(0, 1, width=32, allow_subnormal=False),
)


def vector(**values: float) -> np.ndarray:
    out = np.zeros((1, SIZE), np.float32)
    for name, value in values.items():
        out[0, NAMES.index(name)] = value
    return out


def unit(name: str) -> int:
    return ACTION_UNITS.index(name)


def test_the_proxies_are_the_challenge_s_units_in_order():
    assert tuple(proxy.name for proxy in PROXIES) == ACTION_UNITS
    assert (CAPS < FULL).all()


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
def test_each_signal_reads_its_blendshapes_and_no_other(shapes, name, expected):
    out = signals(vector(**shapes))[0]
    assert out[unit(name)] == pytest.approx(expected, abs=1e-6)
    assert out.sum() == pytest.approx(expected, abs=1e-6)


def test_au6_needs_both_smile_and_squint():
    smile = {"mouthSmileLeft": 0.81, "mouthSmileRight": 0.81}
    squint = {"eyeSquintLeft": 0.25, "eyeSquintRight": 0.25}
    assert signals(vector(**smile))[0, unit("AU6")] == 0
    assert signals(vector(**squint))[0, unit("AU6")] == 0
    both = signals(vector(**smile, **squint))[0, unit("AU6")]
    assert both == pytest.approx(0.45, abs=1e-6)


def test_a_frame_without_a_face_stays_without():
    assert np.isnan(signals(np.full((2, SIZE), np.nan, np.float32))).all()
    assert not is_frontal(np.full((2, SIZE), np.nan, np.float32)).any()


def test_turned_faces_do_not_make_the_neutral_face():
    turned = np.concatenate([vector(yaw=0.2), vector(yaw=0.5), vector(pitch=-0.5)])
    assert is_frontal(turned).tolist() == [True, False, False]


def test_someone_who_smiles_most_of_the_time_still_has_a_neutral_mouth():
    smile = np.zeros((100, 12), np.float32)
    smile[20:, unit("AU12")] = 0.8
    active = activation(smile, neutral(smile))
    assert active[:20, unit("AU12")].max() == 0
    assert active[20:, unit("AU12")].min() > 0.9


def test_someone_who_always_smiles_is_not_taken_for_neutral():
    smile = np.zeros((100, 12), np.float32)
    smile[:, unit("AU12")] = 0.8
    present = presence(activation(smile, neutral(smile)))
    assert (present[:, unit("AU12")] > 0.5).all()


def test_without_a_frontal_frame_the_neutral_face_is_a_guess():
    level = neutral(np.zeros((0, 12), np.float32))
    assert ((level > 0) & (level < CAPS)).all()


@given(raw_values)
def test_the_neutral_level_never_exceeds_its_cap(raw):
    assert (neutral(raw) <= CAPS).all()


@given(raw_values)
def test_everything_lies_in_its_range_and_rises_with_the_signal(raw):
    level = neutral(raw)
    active = activation(raw, level)
    assert ((active >= 0) & (active <= 1)).all()
    assert ((presence(active) >= 0) & (presence(active) <= 1)).all()
    np.testing.assert_allclose(intensity(active), active * 5)
    more = activation(raw + np.float32(0.1), level)
    assert (more >= active).all()
    assert (presence(more) >= presence(active)).all()


def test_presence_is_even_at_the_threshold():
    thresholds = np.array([[proxy.threshold for proxy in PROXIES]], np.float32)
    np.testing.assert_allclose(presence(thresholds), 0.5, atol=1e-6)
