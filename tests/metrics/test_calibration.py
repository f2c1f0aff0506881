"""Temperature and calibration error on made-up nets whose calibration is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.arrays import softmax
from avaffect.metrics.calibration import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
)

CLASSES = 5


def net(temperature, count=20_000, seed=0):
    """Logits that are calibrated when divided by ``temperature``, and labels drawn by them."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, CLASSES))
    chances = softmax(logits).cumsum(axis=1)
    labels = (rng.random((count, 1)) > chances).sum(axis=1)
    return logits * temperature, np.minimum(labels, CLASSES - 1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_that_was_put_in_comes_out(temperature: float) -> None:
    assert fit_temperature(*net(temperature)) == pytest.approx(temperature, rel=0.05)


def test_a_fitted_temperature_mends_an_overconfident_net() -> None:
    logits, labels = net(3.0)
    before = expected_calibration_error(logits, labels)
    after = expected_calibration_error(logits, labels, fit_temperature(logits, labels))
    assert before > 0.1
    assert after < 0.02


def test_the_error_of_a_net_that_is_always_sure_and_half_right_is_a_half() -> None:
    logits = np.array([[100.0, 0.0]] * 10)
    labels = np.array([0, 1] * 5)
    assert expected_calibration_error(logits, labels) == pytest.approx(0.5)


def test_reliability_bins_hold_every_prediction_once() -> None:
    logits, labels = net(1.0, 1000)
    bins = reliability(softmax(logits), labels)
    assert sum(each.count for each in bins) == 1000
    assert [each.confidence for each in bins] == sorted(each.confidence for each in bins)


def test_chance_surprises_by_the_logarithm_of_the_number_of_classes() -> None:
    labels = np.array([0, 1, 2])
    assert negative_log_likelihood(np.zeros((3, 4)), labels) == pytest.approx(np.log(4))


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 10), st.integers(0, 99))
def test_a_temperature_changes_no_decision_and_rows_sum_to_one(temperature, seed) -> None:
    logits = np.random.default_rng(seed).normal(0, 3, (20, CLASSES))
    mended = softmax(logits, temperature)
    np.testing.assert_allclose(mended.sum(axis=1), 1)
    np.testing.assert_array_equal(mended.argmax(axis=1), logits.argmax(axis=1))


@pytest.mark.parametrize(
    ("values", "labels"),
    [(np.zeros((0, 3)), np.zeros(0, int)), (np.zeros((2, 3)), np.zeros(3, int))],
)
def test_what_does_not_go_together_is_refused(values, labels) -> None:
    with pytest.raises(ValueError, match=r"nothing|together"):
        fit_temperature(values, labels)
