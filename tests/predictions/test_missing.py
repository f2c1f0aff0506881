from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avaffect.errors import UnknownNameError
from avaffect.predictions.missing import DEFAULT_POLICY, POLICIES, fill, marked
from avaffect.predictions.prediction import Prediction

NAN = np.nan


def valence(values: list[float], times: list[float] | None = None, **more: Any) -> Prediction:
    n = len(values)
    at = np.arange(n, dtype=float) if times is None else np.array(times)
    seen = ~np.isnan(values)
    va = np.stack([values, np.negative(values)], axis=1)
    return Prediction("clip", "test", at, seen, np.where(seen, 1, NAN), va=va, **more)


GAPS = [NAN, 0.0, NAN, NAN, NAN, NAN, 0.5, NAN]


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        ("previous", [NAN, 0, 0, 0, 0, 0, 0.5, 0.5]),
        ("nearest", [0, 0, 0, 0, 0.5, 0.5, 0.5, 0.5]),
        ("linear", [0, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5]),
        ("invalid", GAPS),
    ],
)
def test_policies(policy: str, wanted: list[float]) -> None:
    result = fill(valence(GAPS), policy)
    np.testing.assert_allclose(result.va[:, 0], wanted, atol=1e-6)
    np.testing.assert_allclose(result.va[:, 1], np.negative(wanted), atol=1e-6)
    made = np.isnan(GAPS) & ~np.isnan(wanted)
    assert result.filled.tolist() == made.tolist()
    # Whether a face is seen does not change.
    assert result.present.tolist() == (~np.isnan(GAPS)).tolist()


def test_time_and_not_the_frame_number_counts() -> None:
    p = valence([0.0, NAN, 1.0], times=[0.0, 0.1, 1.0])
    assert fill(p, "linear").va[1, 0] == pytest.approx(0.1)
    assert fill(p, "nearest").va[1, 0] == 0
    late = valence([0.0, NAN, 1.0], times=[0.0, 0.9, 1.0])
    assert fill(late, "nearest").va[1, 0] == 1


def test_middle_of_a_gap_goes_to_the_earlier_frame() -> None:
    assert fill(valence([0.0, NAN, 1.0]), "nearest").va[1, 0] == 0


def test_linear_keeps_probabilities_and_switches_where_they_cross() -> None:
    expr = np.full((5, 8), NAN)
    expr[0], expr[4] = np.eye(8)[4], np.eye(8)[1]
    p = Prediction("c", "m", np.arange(5), np.ones(5), np.ones(5), expr=expr)
    result = fill(p, "linear")
    np.testing.assert_allclose(result.expr.sum(axis=1), 1, atol=1e-6)
    assert result.expression_ids()[[0, 1, 3, 4]].tolist() == [4, 4, 1, 1]


def test_tasks_are_filled_each_by_itself() -> None:
    au = np.array([[0.5] * 12, [NAN] * 12, [NAN] * 12])
    p = valence([0.0, 0.2, NAN], au=au, au_intensity=au * 5)
    result = fill(p, "previous")
    assert result.va[:, 0].tolist() == pytest.approx([0, 0.2, 0.2])
    assert (result.au == 0.5).all()
    assert (result.au_intensity == 2.5).all()
    assert result.filled.tolist() == [False, True, True]


@pytest.mark.parametrize("policy", POLICIES)
def test_no_face_at_all_stays_invalid(policy: str) -> None:
    result = fill(valence([NAN] * 4), policy)
    assert np.isnan(result.va).all()
    assert not result.filled.any()


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=50)
@given(values=st.lists(st.one_of(st.floats(-1, 1), st.just(NAN)), max_size=25))
def test_whatever_the_gaps(policy: str, values: list[float]) -> None:
    p = valence(values)
    result = fill(p, policy)
    seen = ~np.isnan(values)
    # Values that were there stay to the bit; new ones lie between them; twice is as once.
    assert np.array_equal(result.va[seen], p.va[seen])
    if seen.any():
        known = p.va[seen, 0]
        made = result.va[~np.isnan(result.va[:, 0]), 0]
        assert known.min() <= made.min()
        assert made.max() <= known.max()
    again = fill(result, policy)
    assert np.array_equal(again.va, result.va, equal_nan=True)
    assert np.array_equal(again.filled, result.filled)


def test_names() -> None:
    assert DEFAULT_POLICY in POLICIES
    with pytest.raises(UnknownNameError, match="did you mean 'linear'"):
        fill(valence([0.0]), "linar")


@pytest.mark.parametrize("policy", POLICIES)
def test_a_column_that_the_model_does_not_know_stays_unknown(policy: str) -> None:
    values = [NAN, 0.0, NAN, 0.5, NAN]
    both = fill(valence(values), policy)
    va = np.stack([values, [NAN] * 5], axis=1)
    alone = fill(replace(valence(values), **{"va": va}), policy)
    assert np.array_equal(alone.va[:, 0], both.va[:, 0], equal_nan=True)
    assert np.isnan(alone.va[:, 1]).all()
    assert alone.filled.tolist() == both.filled.tolist()


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_marked_is_not_made_up(policy: str) -> None:
    p = valence(GAPS)
    result = marked(p, policy)
    np.testing.assert_array_equal(result.va, p.va)
    assert result.filled.tolist() == fill(p, policy).filled.tolist()
    # Filled or not, what was marked is written the same.
    np.testing.assert_array_equal(fill(result, policy).va, fill(p, policy).va)


@pytest.mark.parametrize("start", [1 / 3, 1.48, 95443.717, -0.021])
@pytest.mark.parametrize("policy", POLICIES)
def test_the_clock_of_tables_does_not_change_what_is_made_up(policy: str, start: float) -> None:
    """On another clock, rounding would decide the ties of gaps' middles."""
    rng = np.random.default_rng(2)
    values = np.where(rng.random(400) < 0.5, NAN, rng.uniform(-1, 1, 400))
    p = valence(list(values), times=list(np.arange(400) / 25))
    late = fill(replace(p, start=start), policy)
    np.testing.assert_array_equal(late.va, fill(p, policy).va)
    np.testing.assert_array_equal(late.columns()["time"], p.times + start)


def test_who_was_heard_does_not_change() -> None:
    heard = np.array([True, False, True])
    result = fill(valence([0.5, NAN, NAN], heard=heard), "nearest")
    assert result.heard.tolist() == heard.tolist()
    assert (result.valued, result.filled.tolist()) == (1, [False, True, True])


def with_interval(p: Prediction, below: list[float], above: list[float]) -> Prediction:
    reach = np.stack([np.negative(below), above], axis=1)[:, None, :]
    return replace(p, va_interval=np.clip(p.va[:, :, None] + reach, -1, 1))


@pytest.mark.parametrize("policy", ["linear", "nearest", "previous"])
def test_interval_in_a_gap_holds_both_neighbours(policy: str) -> None:
    p = valence([NAN, 0.0, NAN, NAN, 0.5, NAN])
    p = with_interval(p, [0, 0.1, 0, 0, 0.2, 0], [0, 0.3, 0, 0, 0.4, 0])
    wanted = np.array([[-0.1, 0.3], [-0.1, 0.3], [-0.1, 0.9], [-0.1, 0.9], [0.3, 0.9], [0.3, 0.9]])
    if policy == "previous":
        wanted[0] = NAN
    result = fill(p, policy).va_interval
    np.testing.assert_allclose(result[:, 0], wanted, atol=1e-6)
    # Arousal is the negative, but for how far the bounds are.
    np.testing.assert_allclose(result[2, 1], [-0.7, 0.3], atol=1e-6)


def test_interval_of_an_invalid_frame_is_invalid() -> None:
    p = with_interval(valence(GAPS), [0.1] * 8, [0.1] * 8)
    np.testing.assert_array_equal(fill(p, "invalid").va_interval, p.va_interval)
    nobody = with_interval(valence([NAN] * 3), [0.1] * 3, [0.1] * 3)
    assert np.isnan(fill(nobody).va_interval).all()


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=50)
@given(
    values=st.lists(st.one_of(st.floats(-1, 1, width=32), st.just(NAN)), max_size=25),
    seed=st.integers(0, 99),
)
def test_intervals_whatever_the_gaps(policy: str, values: list[float], seed: int) -> None:
    rng = np.random.default_rng(seed)
    p = with_interval(valence(values), *rng.uniform(0, 1, (2, len(values))).tolist())
    result = fill(p, policy)  # the type checks low <= va <= high and NaN itself
    seen = ~np.isnan(values)
    assert np.array_equal(result.va_interval[seen], p.va_interval[seen])
    again = fill(result, policy)
    assert np.array_equal(again.va_interval, result.va_interval, equal_nan=True)
