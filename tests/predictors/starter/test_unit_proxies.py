"""starter-1's action unit proxies: signals, scale, and a smiling subject from end to end."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from avaffect.faces.face_pose import SIZE, face_pose_names
from avaffect.predictions.prediction import ACTION_UNITS
from avaffect.predictors.starter import action_units
from avaffect.predictors.starter.neutral import seconds_each
from avaffect.predictors.starter.unit_proxies import (
    FIGURES,
    PROXIES,
    RESTING_PRESENCE,
    UnitProxies,
    describe,
    unit_proxies,
)

NAMES = face_pose_names()
UNITS = unit_proxies()
AU7, AU10, AU12, AU23, AU24, AU25 = (
    ACTION_UNITS.index(name) for name in ("AU7", "AU10", "AU12", "AU23", "AU24", "AU25")
)
raw_values = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 20), st.just(12)),
    elements=st.floats(0, 1, width=32, allow_subnormal=False),
)


def vector(frames: int = 1, **values: float | np.ndarray) -> np.ndarray:
    """float32 [frames, 263] with some values set; ``smile`` sets both sides."""
    out = np.zeros((frames, SIZE), np.float32)
    for name, value in values.items():
        for side in ("Left", "Right") if name not in NAMES else ("",):
            out[:, NAMES.index(name + side)] = value
    return out


def signal(unit: int, **values: float) -> float:
    return float(UNITS.signals(vector(**values))[0, unit])


def present(face_pose: np.ndarray, fps: float = 25.0) -> np.ndarray:
    """bool [N, 12] of a clip, its neutral taken from itself."""
    raw = UNITS.signals(face_pose)
    level = UNITS.neutral_level(raw, seconds_each(np.arange(len(raw)) / fps))
    return UNITS.presence(UNITS.activation(raw, level)) >= 0.5


def test_every_unit_of_the_challenge_is_described() -> None:
    assert tuple(proxy.name for proxy in PROXIES) == ACTION_UNITS
    for proxy in PROXIES:
        assert proxy.reads
        assert proxy.weakness
    lines = describe().splitlines()
    assert len(lines) == 2 + len(PROXIES)
    for proxy, line in zip(PROXIES, lines[2:], strict=True):
        assert line.startswith(f"| {proxy.name} ")
        assert proxy.weakness in line
        assert line.count("|") == 6


def test_what_nothing_else_explains_is_read_as_before() -> None:
    kept = [ACTION_UNITS.index(name) for name in ("AU1", "AU2", "AU4", "AU6", "AU12", "AU15",
                                                  "AU25", "AU26")]  # fmt: skip
    face_pose = np.random.default_rng(0).random((5, SIZE)).astype(np.float32)
    before = action_units.signals(face_pose)
    after = UNITS.signals(face_pose)
    np.testing.assert_array_equal(after[:, kept], before[:, kept])


def test_a_blink_is_no_lid_tightener() -> None:
    squint = signal(AU7, eyeSquint=0.3)
    # Blendshapes of one who blinks: the squint rises with it (GRID clips: .36 to .77).
    blink = signal(AU7, eyeSquint=0.7, eyeBlink=0.65)
    assert blink == pytest.approx(squint, abs=0.1)
    assert signal(AU7, eyeBlink=1.0) == 0


def test_a_nod_changes_lid_tightener_as_resting_people_s() -> None:
    down, up = (signal(AU7, eyeSquint=0.4, pitch=degrees / 90) for degrees in (-20, 20))
    expected = -40 * UNITS.explained.squint_by_pitch
    assert up - down == pytest.approx(expected, abs=1e-5)


def test_a_smile_raises_no_upper_lip_and_presses_no_lips() -> None:
    slope = UNITS.explained.upper_lip_by_smile
    assert signal(AU10, mouthSmile=0.8, mouthUpperUp=0.8 * slope) == pytest.approx(0, abs=1e-6)
    assert signal(AU10, mouthUpperUp=0.5) == pytest.approx(0.5)
    slope = UNITS.explained.press_by_smile
    assert signal(AU24, mouthSmile=0.8, mouthPress=0.8 * slope) == pytest.approx(0, abs=1e-6)
    assert signal(AU24, mouthPress=0.5) == pytest.approx(0.5)


def test_parted_lips_are_neither_tight_nor_pressed() -> None:
    rolled = {"mouthRollLower": 0.4, "mouthRollUpper": 0.4, "mouthPress": 0.4}
    parted = {"y62": UNITS.explained.parted, "y66": 0.0}
    assert signal(AU23, **rolled) == pytest.approx(0.4)
    assert signal(AU24, **rolled) == pytest.approx(0.8)
    assert signal(AU23, **rolled, **parted) == 0
    assert signal(AU24, **rolled, **parted) == 0


def test_a_frame_without_a_face_stays_without() -> None:
    nothing = np.full((2, SIZE), np.nan, np.float32)
    raw = UNITS.signals(nothing)
    assert np.isnan(raw).all()
    assert np.isnan(UNITS.presence(UNITS.activation(raw, UNITS.population.middle))).all()


@pytest.mark.parametrize("part", [0.2, 0.5, 0.8])
@pytest.mark.parametrize("seconds", [1, 3, 10])
@pytest.mark.parametrize("fps", [12.5, 25, 50])
def test_a_smile_is_found_where_it_is_and_only_there(
    part: float, seconds: int, fps: float
) -> None:
    frames = int(seconds * fps)
    smiles = np.arange(frames) >= frames * (1 - part)
    shapes = {"mouthSmile": 0.05 + 0.7 * smiles, "eyeSquint": 0.3, "browInnerUp": 0.15}
    found = present(vector(frames, **shapes), fps)
    np.testing.assert_array_equal(found[:, AU12], smiles)
    assert not found[:, [ACTION_UNITS.index(n) for n in ("AU1", "AU4", "AU15", "AU26")]].any()


def test_one_who_smiles_all_the_time_smiles() -> None:
    assert present(vector(500, mouthSmile=0.8))[:, AU12].all()


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_more_smile_never_lowers_au12(rest, first, second) -> None:
    low, high = sorted((first, second))
    raw = UNITS.signals(np.concatenate([vector(mouthSmile=x) for x in (rest, low, high)]))
    level = UNITS.neutral_level(raw[:1], np.array([1.0]))
    strength = UNITS.intensity(UNITS.activation(raw, level))[:, AU12]
    assert strength[1] <= strength[2]


@given(raw_values, raw_values)
def test_everything_lies_in_its_range_and_rises_with_the_signal(raw, own) -> None:
    level = UNITS.neutral_level(own, np.full(len(own), 0.04))
    active, more = (UNITS.activation(values, level) for values in (raw, raw + np.float32(0.1)))
    assert active.dtype == UNITS.presence(active).dtype == UNITS.intensity(active).dtype
    assert active.dtype == np.float32
    assert ((active >= 0) & (active <= 1)).all()
    assert ((UNITS.presence(active) >= 0) & (UNITS.presence(active) <= 1)).all()
    np.testing.assert_allclose(UNITS.intensity(active), active * 5)
    assert (more >= active).all()
    assert (UNITS.presence(more) >= UNITS.presence(active)).all()


def test_the_scale_s_landmarks() -> None:
    rest, threshold, full = np.zeros((1, 12), np.float32), UNITS.threshold[None], UNITS.full[None]
    np.testing.assert_allclose(UNITS.presence(rest), RESTING_PRESENCE, atol=1e-6)
    np.testing.assert_allclose(UNITS.presence(threshold), 0.5, atol=1e-6)
    for level in (UNITS.population.low, UNITS.population.middle):
        np.testing.assert_allclose(UNITS.activation(full, level), 1, atol=1e-6)
        assert (UNITS.activation(level[None], level) == 0).all()


def test_noise_counts_no_more_than_twice_for_one_who_rests_near_full() -> None:
    level = UNITS.full - np.float32(0.01)
    noise = UNITS.activation(UNITS.full[None], level)
    usual = 0.01 / (UNITS.full - UNITS.population.middle)
    np.testing.assert_allclose(noise[0], 2 * usual, rtol=1e-3)


def test_figures_are_of_pictures_and_say_so() -> None:
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    assert "no action unit labels" in figures["what"]
    assert figures["pictures"]["used"]["train"]["neutral"] >= 1000
    for part in ("test", "validation"):
        held_out = figures[part]
        for name in ACTION_UNITS:
            assert held_out[name]["false_alarms"] < 0.1
            low, high = held_out[name]["interval"]
            assert low <= held_out[name]["auc"] <= high
        # What pictures can show of the units that can be seen well.
        for name in ("AU6", "AU12", "AU25", "AU26"):
            assert held_out[name]["interval"][0] > 0.75


def test_a_scale_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="full"):
        replace(UNITS, full=UNITS.population.high)
    with pytest.raises(ValueError, match="thresholds"):
        replace(UNITS, threshold=np.zeros(12, np.float32))
    with pytest.raises(ValueError, match="parted"):
        replace(UNITS.explained, parted=0.0)
    assert UnitProxies.from_figures(json.loads(FIGURES.read_text())).explained == UNITS.explained
