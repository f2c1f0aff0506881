"""Scores of arrays in memory against scikit-learn and numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from avaffect.errors import UnknownNameError
from avaffect.metrics.arrays import score_arrays

NAMES = ("a", "b", "c")


def by_hand_ccc(x, y):
    return 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 2), st.sampled_from("fd"))
def test_va_is_the_mean_ccc_of_valid_cells(seed, clips, width, dtype) -> None:
    rng = np.random.default_rng(seed)
    pairs = []
    for _ in range(clips):
        predicted, labels = rng.uniform(-1, 1, (2, rng.integers(5, 40), width)).astype(dtype)
        labels[rng.random(labels.shape) < 0.3] = np.nan
        predicted[rng.random(predicted.shape) < 0.1] = np.nan
        # One clip has enough of each dimension.
        pairs.append((predicted, labels))
    pairs.append(tuple(rng.uniform(-1, 1, (2, 5, width)).astype(dtype)))
    score, parts = score_arrays("va", pairs, NAMES[:width])
    x, y = (np.concatenate(side).astype(float) for side in zip(*pairs, strict=True))
    known = ~np.isnan(x + y)
    each = [by_hand_ccc(x[known[:, d], d], y[known[:, d], d]) for d in range(width)]
    assert list(parts) == [f"CCC {name}" for name in NAMES[:width]]
    np.testing.assert_allclose(list(parts.values()), each, atol=1e-9)
    assert score == pytest.approx(np.mean(each), abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(2, 3))
def test_expr_is_macro_f1_over_all_classes(seed, classes) -> None:
    rng = np.random.default_rng(seed)
    pairs = [tuple(rng.integers(-1, classes, (2, 20))), tuple(rng.integers(0, classes, (2, 3)))]
    score, parts = score_arrays("expr", pairs, NAMES[:classes])
    x, y = (np.concatenate(side) for side in zip(*pairs, strict=True))
    use = (x >= 0) & (y >= 0)
    wanted = f1_score(y[use], x[use], average=None, labels=range(classes), zero_division=0)
    assert score == parts["macro F1"] == pytest.approx(wanted.mean())
    assert parts["accuracy"] == pytest.approx(accuracy_score(y[use], x[use]))
    np.testing.assert_allclose([parts[f"F1 {name}"] for name in NAMES[:classes]], wanted)


@given(st.integers(0, 2**32 - 1))
def test_au_is_the_mean_f1_of_valid_cells(seed) -> None:
    rng = np.random.default_rng(seed)
    pairs = [tuple(rng.integers(-1, 2, (2, 30, 3)).astype(np.int8)) for _ in range(2)]
    pairs.append(tuple(rng.integers(0, 2, (2, 3, 3)).astype(np.int8)))
    score, parts = score_arrays("au", pairs, NAMES)
    x, y = (np.concatenate(side) for side in zip(*pairs, strict=True))
    use = (x >= 0) & (y >= 0)
    wanted = [f1_score(y[use[:, u], u], x[use[:, u], u], zero_division=0) for u in range(3)]
    np.testing.assert_allclose([parts[f"F1 {name}"] for name in NAMES], wanted)
    assert score == parts["mean F1"] == pytest.approx(np.mean(wanted))
    assert parts["accuracy"] == pytest.approx((x == y)[use].mean())


def test_a_part_without_a_cell_stays_out_of_the_mean() -> None:
    labels = np.array([[0.1, np.nan], [0.5, np.nan]], np.float32)
    score, parts = score_arrays("va", [(np.abs(np.nan_to_num(labels)), labels)], NAMES[:2])
    assert score == pytest.approx(1)
    assert np.isnan(parts["CCC b"])
    units = np.array([[1, -1], [0, -1]], np.int8)
    score, parts = score_arrays("au", [(np.array([[1, 1], [0, 0]]), units)], NAMES[:2])
    assert score == 1
    assert np.isnan(parts["F1 b"])


@pytest.mark.parametrize("task", ["va", "expr", "au"])
def test_nothing_to_score_is_nan(task: str) -> None:
    empty = np.full((4,) if task == "expr" else (4, 3), np.nan if task == "va" else -1)
    for pairs in ([], [(np.zeros_like(empty), empty)], [(empty, np.zeros_like(empty))]):
        score, parts = score_arrays(task, pairs, NAMES)
        assert np.isnan([score, *parts.values()]).all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UnknownNameError):
        score_arrays("mtl", [], NAMES)
    for predicted, labels in [((3, 2), (3, 2)), ((3, 3), (4, 3)), ((3,), (3,))]:
        with pytest.raises(ValueError, match="targets of va"):
            score_arrays("va", [(np.zeros(predicted), np.zeros(labels))], NAMES)
    with pytest.raises(ValueError, match="between 0 and 2"):
        score_arrays("expr", [(np.array([3]), np.array([0]))], NAMES)
    with pytest.raises(ValueError, match="0 or 1"):
        score_arrays("au", [(np.full((1, 3), 2), np.zeros((1, 3), int))], NAMES)
