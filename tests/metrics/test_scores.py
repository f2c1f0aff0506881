"""Scores against independent computations, and by their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from avaffect.metrics.scores import (
    accuracy,
    binary_accuracy,
    binary_counts,
    binary_f1,
    ccc,
    confusion,
    f1_per_class,
    macro_f1,
)

values = hnp.arrays(
    np.float64, st.integers(2, 60), elements=st.floats(-1, 1, allow_subnormal=False)
)
labels = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=80)


def test_ccc_of_a_worked_example() -> None:
    # By hand: means 2 and 3, variances 2/3, covariance 2/3: 2 * 2/3 / (4/3 + 1) = 4/7.
    assert ccc([1, 2, 3], [2, 3, 4]) == pytest.approx(4 / 7)


@given(values, st.integers(0, 2**32 - 1))
def test_ccc_is_pearson_times_the_bias_correction(x, seed) -> None:
    y = np.random.default_rng(seed).uniform(-1, 1, len(x))
    assume(x.std() > 1e-3 and y.std() > 1e-3)
    ratio = x.std() / y.std()
    shift = (x.mean() - y.mean()) ** 2 / (x.std() * y.std())
    expected = stats.pearsonr(x, y).statistic * 2 / (ratio + 1 / ratio + shift)
    assert ccc(x, y) == pytest.approx(expected, abs=1e-9)


@given(values)
def test_ccc_with_itself_is_one_and_shift_and_scale_lower_it(x) -> None:
    assume(x.std() > 1e-3)
    assert ccc(x, x) == pytest.approx(1)
    assert ccc(x + 0.5, x) < 1
    assert ccc(x * 0.5, x) < 1
    assert ccc(-x, x) < 1
    assert ccc(x, x * 0.3 + 0.1) == pytest.approx(ccc(x * 0.3 + 0.1, x))


def test_ccc_of_constants_and_of_nothing() -> None:
    assert ccc([0.5, 0.5], [0.5, 0.5]) == 1
    assert ccc([0.5, 0.5], [0.1, 0.1]) == 0
    assert np.isnan(ccc([], []))
    with pytest.raises(ValueError, match="shape"):
        ccc([1, 2], [1])


def naive_f1(predicted, annotated, label):
    hits = sum(p == a == label for p, a in zip(predicted, annotated, strict=True))
    called, was = sum(p == label for p in predicted), sum(a == label for a in annotated)
    if not called + was:
        return 0.0
    precision, recall = hits / called if called else 0.0, hits / was if was else 0.0
    return 2 * precision * recall / (precision + recall) if hits else 0.0


@given(labels)
def test_f1_and_accuracy_are_what_counting_gives(pairs) -> None:
    predicted, annotated = zip(*pairs, strict=True)
    counts = confusion(predicted, annotated, 8)
    assert counts.sum() == len(pairs)
    expected = [naive_f1(predicted, annotated, label) for label in range(8)]
    np.testing.assert_allclose(f1_per_class(counts), expected)
    assert macro_f1(counts) == pytest.approx(np.mean(expected))
    assert accuracy(counts) == pytest.approx(np.mean([p == a for p, a in pairs]))


def test_rows_of_the_confusion_are_annotations() -> None:
    counts = confusion([1, 1], [0, 1], 2)
    assert counts.tolist() == [[0, 1], [0, 1]]
    with pytest.raises(ValueError, match="between 0 and 1"):
        confusion([2], [0], 2)


@given(hnp.arrays(np.int64, st.tuples(st.integers(1, 40), st.just(3)), elements=st.integers(0, 1)))
def test_binary_f1_is_the_f1_of_the_positive_class(predicted) -> None:
    annotated = np.roll(predicted, 1, axis=0)
    counts = binary_counts(predicted, annotated)
    assert (counts.sum(1) == len(predicted)).all()
    expected = [naive_f1(*pair, 1) for pair in zip(predicted.T, annotated.T, strict=True)]
    np.testing.assert_allclose(binary_f1(counts), expected)
    assert binary_accuracy(counts) == pytest.approx((predicted == annotated).mean())


def test_binary_values_must_be_binary() -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        binary_counts([[2]], [[1]])
