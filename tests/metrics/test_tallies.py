"""Every official score against scikit-learn and numpy, out of added-up tallies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from avaffect.challenge.editions import EDITIONS
from avaffect.metrics.tallies import confusion_of, join_mtl, score, split_mtl, tally

seeds = st.integers(0, 2**32 - 1)
SKILL = st.floats(0, 1)


def ccc_by_hand(x, y):
    return 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)


def drawn(seed, skill, edition):
    """Predictions and labels of three videos that agree in a share ``skill`` of the frames."""
    rng = np.random.default_rng(seed)
    classes, units = len(edition.expressions), len(edition.action_units)
    for _ in range(3):
        n = int(rng.integers(2, 30))
        right = rng.random(n) < skill
        labels = {
            "va": rng.uniform(-1, 1, (n, 2)),
            "expr": rng.integers(0, classes, n),
            "au": (rng.random((n, units)) < 0.3).astype(np.int64),
        }
        predicted = {
            "va": rng.uniform(-1, 1, (n, 2)),
            "expr": rng.integers(0, classes, n),
            "au": (rng.random((n, units)) < 0.3).astype(np.int64),
        }
        for task in labels:
            predicted[task][right] = labels[task][right]
        yield predicted, labels


def wanted(task, edition, predicted, labels):
    early = edition.name in ("abaw1", "abaw2")
    if task == "va":
        return np.mean([ccc_by_hand(predicted[:, d], labels[:, d]) for d in (0, 1)])
    if task == "expr":
        numbers = range(len(edition.expressions))
        macro = f1_score(labels, predicted, average="macro", labels=numbers, zero_division=0)
        return 0.67 * macro + 0.33 * accuracy_score(labels, predicted) if early else macro
    each = [
        f1_score(labels[:, u], predicted[:, u], zero_division=0) for u in range(labels.shape[1])
    ]
    return 0.5 * np.mean(each) + 0.5 * (predicted == labels).mean() if early else np.mean(each)


@given(seeds, SKILL, st.sampled_from(sorted(EDITIONS)), st.sampled_from(["va", "expr", "au"]))
def test_official_scores(seed, skill, name, task) -> None:
    edition = EDITIONS[name]
    videos = list(drawn(seed, skill, edition))
    sums = sum(tally(predicted[task], labels[task], task, edition) for predicted, labels in videos)
    predicted, labels = (
        np.concatenate([video[side][task] for video in videos]) for side in (0, 1)
    )
    got, parts = score(sums, task, edition)
    assert got == pytest.approx(wanted(task, edition, predicted, labels), abs=1e-9)
    if task == "expr":
        numbers = range(len(edition.expressions))
        each = f1_score(labels, predicted, average=None, labels=numbers, zero_division=0)
        np.testing.assert_allclose([parts[f"F1 {name}"] for name in edition.expressions], each)
        assert np.array_equal(
            confusion_of(sums, task), confusion_matrix(labels, predicted, labels=numbers)
        )
    else:
        assert confusion_of(sums, task) is None


@given(seeds, SKILL)
def test_the_multi_task_score_is_the_sum_of_three(seed, skill) -> None:
    edition = EDITIONS["abaw7"]
    videos = list(drawn(seed, skill, edition))
    sums = {
        task: sum(
            tally(predicted[task], labels[task], task, edition) for predicted, labels in videos
        )
        for task in ("va", "expr", "au")
    }
    got, parts = score(np.concatenate(list(sums.values())), "mtl", edition)
    each = {task: score(sums_of_task, task, edition)[0] for task, sums_of_task in sums.items()}
    assert got == pytest.approx(sum(each.values()))
    assert parts["va mean CCC"] == each["va"]
    assert parts["expr macro F1"] == each["expr"]
    assert parts["au mean F1"] == each["au"]
    assert len(parts) == 3 + 2 + 1 + 8 + 1 + 12
    assert got <= 3


def test_perfect_multi_task_predictions_score_three() -> None:
    edition = EDITIONS["abaw11"]
    labels = {
        "va": np.array([[0.5, -0.5], [0.1, 0.9]] * 4),
        "expr": np.arange(8),
        "au": np.eye(8, 12, dtype=np.int64) + np.eye(8, 12, 4, dtype=np.int64),
    }
    sums = [tally(labels[task], labels[task], task, edition) for task in labels]
    assert score(np.concatenate(sums), "mtl", edition)[0] == pytest.approx(3)
    back = split_mtl(join_mtl(**labels))
    assert all(np.array_equal(back[task], labels[task]) for task in labels)


@pytest.mark.parametrize("task", ["va", "expr", "au"])
def test_a_tally_of_nothing_has_no_score(task: str) -> None:
    edition = EDITIONS["abaw10"]
    shape = {"va": (0, 2), "expr": (0,), "au": (0, 12)}[task]
    empty = np.empty(shape, float if task == "va" else np.int64)
    sums = tally(empty, empty, task, edition)
    assert np.isnan([score(sums, task, edition)[0], *score(sums, task, edition)[1].values()]).all()
