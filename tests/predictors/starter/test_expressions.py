"""Expressions from a frame model's opinion and activations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from avaffect.predictions.prediction import ACTION_UNITS, EXPRESSIONS
from avaffect.predictors.starter.expressions import (
    SURE,
    prototype_probabilities,
    with_other,
    with_units,
)


def active(**units: float) -> np.ndarray:
    out = np.zeros((1, 12), np.float32)
    for name, value in units.items():
        out[0, ACTION_UNITS.index(name)] = value
    return out


def opinion(**shares: float) -> np.ndarray:
    out = np.zeros((1, 8), np.float32)
    for name, value in shares.items():
        out[0, EXPRESSIONS.index(name)] = value
    return out


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ({}, "Neutral"),
        ({"AU12": 1, "AU6": 0.6}, "Happiness"),
        ({"AU1": 1, "AU2": 1, "AU26": 1}, "Surprise"),
        ({"AU15": 1, "AU1": 0.5, "AU4": 0.5}, "Sadness"),
        ({"AU4": 1, "AU23": 0.8, "AU24": 0.8}, "Anger"),
        ({"AU10": 1, "AU4": 0.3}, "Disgust"),
        ({"AU1": 1, "AU2": 0.8, "AU4": 1, "AU25": 1}, "Fear"),
    ],
)
def test_prototypes_speak_for_their_expression(units, expected: str) -> None:
    out = prototype_probabilities(active(**units))[0]
    assert EXPRESSIONS[out.argmax()] == expected
    assert out[7] == 0


def test_the_opinion_and_the_units_are_both_heard() -> None:
    unsure = opinion(Happiness=0.5, Anger=0.5)
    smiling = active(AU12=1, AU6=1)
    assert with_units(unsure, smiling)[0, 4] > with_units(unsure, active())[0, 4]
    anger = opinion(Happiness=0.1, Anger=0.9)
    assert with_units(unsure, smiling)[0, 4] > with_units(anger, smiling)[0, 4]


def test_other_takes_over_where_nothing_is_sure() -> None:
    even = np.append(np.full(7, 1 / 7, np.float32), np.float32(0))[None]
    assert EXPRESSIONS[with_other(even)[0].argmax()] == "Other"
    sure = opinion(Fear=SURE + 0.01, Anger=1 - SURE - 0.01)
    np.testing.assert_array_equal(with_other(sure), sure)


shares = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 20), st.just(7)),
    elements=st.floats(0.015625, 1, width=32),
)
activations = hnp.arrays(
    np.float32, (20, 12), elements=st.floats(0, 1, width=32, allow_subnormal=False)
)


@given(shares, activations)
def test_probabilities_sum_to_one(raw, units) -> None:
    given_opinion = np.zeros((len(raw), 8), np.float32)
    given_opinion[:, :7] = raw / raw.sum(1, keepdims=True)
    out = with_other(with_units(given_opinion, units[: len(raw)]))
    assert ((out >= 0) & (out <= 1)).all()
    np.testing.assert_allclose(out.sum(1), 1, atol=1e-5)


def test_a_frame_without_a_face_stays_without() -> None:
    nothing = np.full((1, 8), np.nan, np.float32)
    assert np.isnan(with_units(nothing, np.full((1, 12), np.nan, np.float32))).all()
