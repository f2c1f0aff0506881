"""Labels are the functions they are said to be, and expressions as frequent as in the true set."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from avaffect.datasets.synth.face import ACTIONS
from avaffect.datasets.synth.script import (
    LABELS,
    control_times,
    expression_events,
    label,
    random_actions,
    random_speech,
    spread,
    wander,
)
from avaffect.labels import ACTION_UNITS, EXPRESSIONS


def frame(**actions: float) -> np.ndarray:
    return np.array([[actions.get(name, 0.0) for name in ACTIONS]])


def labelled(pitch=0.0, energy=0.0, **actions):
    return label(frame(**actions), np.array([pitch]), np.array([energy]))


def test_every_label_is_explained() -> None:
    assert LABELS.keys() == {"valence", "arousal", "expression", *ACTION_UNITS}


@given(arrays(np.float64, (4, 6), elements=st.floats(0, 1)), st.floats(-1, 1), st.floats(0, 1))
def test_labels_are_what_their_text_says(actions, pitch, energy) -> None:
    """The formulas as README.txt prints them, evaluated."""
    found = label(actions, np.full(4, pitch), np.full(4, energy))
    for row, values in enumerate(actions):
        names = dict(zip(ACTIONS, values.tolist(), strict=True))
        names |= {
            "pitch": pitch,
            "energy": energy,
            "max": max,
            "clip": lambda x, low, high: min(max(x, low), high),
        }

        def text_of(name, names=names):
            return eval(LABELS[name].partition(":")[0], {"__builtins__": {}}, names)  # noqa: S307

        expected = [text_of("valence"), text_of("arousal")]
        np.testing.assert_allclose(found.va[row], expected, atol=1e-12)
        assert found.au[row].tolist() == [int(text_of(name)) for name in ACTION_UNITS]


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ({}, "Neutral"),
        (dict.fromkeys(ACTIONS, 0.24), "Neutral"),
        ({"smile": 0.25}, "Happiness"),
        ({"smile": 1, "open_mouth": 0.5, "brow_raise": 0.5}, "Happiness"),
        ({"smile": 1, "brow_lower": 0.5}, "Other"),
        ({"lip_raise": 1, "brow_lower": 0.5}, "Disgust"),
        ({"brow_raise": 1, "open_mouth": 0.8, "lip_down": 0.8}, "Fear"),
        ({"brow_raise": 1, "open_mouth": 1}, "Surprise"),
        ({"brow_raise": 1, "open_mouth": 1, "brow_lower": 0.5}, "Other"),
        ({"lip_down": 1}, "Sadness"),
        ({"lip_down": 1, "brow_lower": 0.5}, "Sadness"),
        ({"lip_down": 1, "open_mouth": 0.5}, "Other"),
        ({"brow_lower": 1}, "Anger"),
        ({"brow_lower": 1, "brow_raise": 1}, "Other"),
        ({"brow_raise": 1}, "Other"),
        ({"open_mouth": 1}, "Other"),
    ],
)
def test_expression(actions, expected: str) -> None:
    assert EXPRESSIONS[labelled(**actions).expr[0]] == expected


def test_face_and_voice_both_count() -> None:
    silent, heard = labelled(smile=0.5), labelled(smile=0.5, pitch=1.0, energy=1.0)
    np.testing.assert_allclose(heard.va - silent.va, [[0.4, 0.7]])
    calm, smiling = labelled(pitch=0.5), labelled(pitch=0.5, smile=1.0, open_mouth=1.0)
    np.testing.assert_allclose(smiling.va - calm.va, [[0.6, 0.45]])


def test_types() -> None:
    found = labelled()
    assert (found.va.dtype, found.expr.dtype, found.au.dtype) == (np.float64, np.int64, np.int64)
    assert found.au.shape == (1, 12)


@given(
    st.integers(0, 2**32),
    st.integers(0, 200),
    st.lists(st.integers(0, 50), min_size=1, max_size=8).filter(any),
)
def test_spread_is_as_even_as_can_be(seed, count, weights) -> None:
    found = np.bincount(
        spread(np.random.default_rng(seed), count, weights), minlength=len(weights)
    )
    expected = count * np.array(weights) / sum(weights)
    assert found.sum() == count
    assert (np.abs(found - expected) < 1 + 1e-9).all()


def test_wander_is_smooth_and_has_a_spread_of_one() -> None:
    values = np.concatenate([wander(np.random.default_rng(i), 60, 1.0) for i in range(20)])
    assert values.std() == pytest.approx(1, abs=0.1)
    assert values.mean() == pytest.approx(0, abs=0.15)
    assert np.abs(np.diff(wander(np.random.default_rng(0), 60, 1.0))).max() < 0.1


def test_classes_are_as_frequent_as_in_the_true_set() -> None:
    rng = np.random.default_rng(0)
    events = expression_events(rng)
    counts = np.zeros(len(EXPRESSIONS))
    valence = []
    for _ in range(40):
        actions = random_actions(rng, 30, events)
        speech = random_speech(rng, 30)
        pitch, energy = speech.at(control_times(30))
        labels = label(actions, pitch, energy)
        counts += np.bincount(labels.expr, minlength=len(counts))
        valence.append(np.column_stack([label(actions, pitch * 0, energy * 0).va, pitch, energy]))
    true = [0.2996, 0.0266, 0.0186, 0.0201, 0.1475, 0.1212, 0.0490, 0.3174]
    np.testing.assert_allclose(counts / counts.sum(), true, atol=0.04)
    # Face and voice know nothing of each other.
    linked = np.corrcoef(np.concatenate(valence).T)[:2, 2:]
    assert np.abs(linked).max() < 0.15


def test_actions_stay_in_range_and_are_smooth() -> None:
    rng = np.random.default_rng(2)
    actions = random_actions(rng, 20, itertools.cycle(range(len(EXPRESSIONS))))
    assert actions.shape == (len(control_times(20)), len(ACTIONS))
    assert actions.min() >= 0
    assert actions.max() <= 1
    assert (actions.max(axis=0) > 0.5).all()
    assert np.abs(np.diff(actions, axis=0)).max() < 0.1


def test_speech_has_phrases_and_pauses() -> None:
    speech = random_speech(np.random.default_rng(1), 60)
    assert 0.7 < speech.speaking.mean() < 0.95
    assert {0.0, 1.0} <= set(speech.speaking.tolist())
    assert np.abs(speech.pitch).max() <= 1
    assert speech.energy.min() >= 0
    assert speech.energy.max() <= 1
