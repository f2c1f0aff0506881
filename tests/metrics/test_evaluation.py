"""Evaluations: masks, concatenation, editions, intervals, comparisons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.errors import UsageError
from avaffect.labels import ACTION_UNITS
from avaffect.metrics.evaluation import Pair, compare, score_pairs
from avaffect.metrics.scores import ccc
from avaffect.metrics.tallies import join_mtl


def va_pair(subject, seed, frames=50, noise=0.3):
    rng = np.random.default_rng(seed)
    annotated = rng.uniform(-1, 1, (frames, 2))
    return Pair(subject, np.clip(annotated + rng.normal(0, noise, (frames, 2)), -1, 1), annotated)


def with_rows(pair, predicted, annotated):
    return Pair(
        pair.subject,
        np.concatenate([pair.predicted, predicted]),
        np.concatenate([pair.annotated, annotated]),
    )


def test_va_is_the_mean_ccc_of_everything_concatenated() -> None:
    pairs = [va_pair("a", 1), va_pair("b", 2, frames=80)]
    result = score_pairs(pairs, "va", "abaw10", resamples=100)
    x = np.concatenate([pair.predicted for pair in pairs])
    y = np.concatenate([pair.annotated for pair in pairs])
    each = [ccc(x[:, at], y[:, at]) for at in (0, 1)]
    assert result.parts["CCC valence"] == pytest.approx(each[0], abs=1e-12)
    assert result.parts["CCC arousal"] == pytest.approx(each[1], abs=1e-12)
    assert result.score == pytest.approx(np.mean(each))
    assert result.frames == 130
    assert result.subjects[0].score == pytest.approx(
        np.mean([ccc(pairs[0].predicted[:, at], pairs[0].annotated[:, at]) for at in (0, 1)])
    )


@given(st.integers(1, 30), st.integers(0, 1))
def test_invalid_frames_change_nothing(count, column) -> None:
    pair = va_pair("a", 3)
    wild = np.full((count, 2), 0.9)
    invalid = np.full((count, 2), -5.0)
    invalid[:, column] = 0.1  # one of the two is enough
    longer = with_rows(pair, wild, invalid)
    plain = score_pairs([pair], "va", "abaw10", resamples=100)
    masked = score_pairs([longer], "va", "abaw10", resamples=100)
    assert masked.score == pytest.approx(plain.score, abs=1e-12)
    assert masked.subjects[0].invalid == count


def test_frames_without_prediction_are_left_out_and_counted() -> None:
    pair = va_pair("a", 4)
    longer = with_rows(pair, np.full((7, 2), -5.0), np.full((7, 2), 0.2))
    result = score_pairs([longer], "va", "abaw10", resamples=100)
    assert result.subjects[0].unpredicted == 7
    assert result.frames == 50


@pytest.mark.parametrize("extra", [1, 2])
def test_a_row_more_or_fewer_is_told_and_left_out(extra: int) -> None:
    pair = va_pair("a", 5)
    more = Pair("a", pair.predicted, np.concatenate([pair.annotated, np.ones((extra, 2))]))
    result = score_pairs([more], "va", "abaw10", resamples=100)
    assert result.subjects[0].rows == -extra
    assert result.score == score_pairs([pair], "va", "abaw10", resamples=100).score


def test_expr_of_late_and_early_editions() -> None:
    predicted = np.array([0, 0, 1, 4, 4, 6, 5])
    annotated = np.array([0, 1, 1, 4, 4, 6, -1])
    late = score_pairs([Pair("a", predicted, annotated)], "expr", "abaw10", resamples=100)
    # By hand: F1 of 0: 2/3, of 1: 2/3, of 4: 1, of 6: 1, the other four 0.
    macro = (2 / 3 + 2 / 3 + 1 + 1) / 8
    assert late.score == pytest.approx(macro)
    assert late.parts["accuracy"] == pytest.approx(5 / 6)
    assert late.confusion[1, 0] == 1
    early = score_pairs([Pair("a", predicted, annotated)], "expr", "abaw2", resamples=100)
    assert early.score == pytest.approx(0.67 * macro * 8 / 7 + 0.33 * 5 / 6)


def test_au_of_late_and_early_editions() -> None:
    annotated = np.zeros((4, 12), np.int64)
    annotated[:2, 0] = 1
    predicted = annotated.copy()
    predicted[0, 0] = 0  # a miss
    predicted[3, 5] = 1  # a false alarm
    late = score_pairs([Pair("a", predicted, annotated)], "au", "abaw10", resamples=100)
    assert late.parts["F1 AU1"] == pytest.approx(2 / 3)
    assert late.score == pytest.approx(2 / 3 / 12)
    early = score_pairs([Pair("a", predicted, annotated)], "au", "abaw2", resamples=100)
    assert early.score == pytest.approx(0.5 * (2 / 3 / 12) + 0.5 * 46 / 48)


def test_the_interval_holds_the_score_and_narrows_with_more_videos() -> None:
    few = score_pairs([va_pair(f"v{at}", at) for at in range(10)], "va", "abaw10")
    many = score_pairs([va_pair(f"v{at}", at) for at in range(80)], "va", "abaw10")
    for result in (few, many):
        assert result.low <= result.score <= result.high
    assert many.high - many.low < few.high - few.low
    again = score_pairs([va_pair(f"v{at}", at) for at in range(10)], "va", "abaw10")
    assert (again.low, again.high) == (few.low, few.high)
    other = score_pairs([va_pair(f"v{at}", at) for at in range(80)], "va", "abaw10", seed=1)
    assert (other.low, other.high) != (many.low, many.high)
    assert other.score == many.score


def test_left_and_right_are_drawn_together() -> None:
    pairs = [va_pair("a_left", 1), va_pair("a_right", 2), va_pair("b", 3)]
    result = score_pairs(pairs, "va", "abaw10", resamples=100)
    assert result.videos == ("a", "b")
    assert len(result.subjects) == 3


def test_a_better_prediction_is_found_better() -> None:
    names = [f"v{at}" for at in range(30)]
    good = score_pairs([va_pair(n, at, noise=0.2) for at, n in enumerate(names)], "va", "abaw10")
    bad = score_pairs([va_pair(n, at, noise=0.6) for at, n in enumerate(names)], "va", "abaw10")
    result = compare(good, bad)
    assert result.difference == pytest.approx(good.score - bad.score)
    assert result.low > 0
    assert result.p < 0.05
    same = compare(good, good)
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_what_cannot_be_compared_is_refused() -> None:
    first = score_pairs([va_pair("a", 1)], "va", "abaw10", resamples=100)
    other = score_pairs([va_pair("b", 1)], "va", "abaw10", resamples=100)
    with pytest.raises(UsageError, match="different videos"):
        compare(first, other)


def test_nothing_to_score_is_an_error() -> None:
    pair = Pair("a", np.zeros((3, 2)), np.full((3, 2), -5.0))
    with pytest.raises(UsageError, match="no frame"):
        score_pairs([pair], "va", "abaw10")


@pytest.mark.parametrize("videos", [1, 2, 9])
def test_few_videos_have_no_interval_and_no_p(videos: int) -> None:
    good, bad = (
        score_pairs(
            [va_pair(f"v{at}{side}", at, noise=noise) for at in range(videos)
             for side in ("_left", "_right")],
            "va", "abaw10",
        )
        for noise in (0.2, 0.9)
    )  # fmt: skip
    assert np.isnan([good.low, good.high]).all()
    result = compare(good, bad)
    assert result.difference == good.score - bad.score
    assert np.isnan([result.low, result.high, result.p]).all()


def test_what_the_annotations_say_nothing_of_is_absent() -> None:
    expr = Pair("a", np.array([0, 1, 1, 7]), np.array([0, 1, 3, -1]))
    result = score_pairs([expr], "expr", "abaw10")
    absent = ("Disgust", "Happiness", "Sadness", "Surprise", "Other")
    assert result.absent == tuple(f"F1 {name}" for name in absent)
    # The score is the challenge's all the same.
    assert result.score == pytest.approx(np.mean([1, 2 / 3, 0, 0, 0, 0, 0, 0]))
    labelled = np.zeros((4, 12), int)
    labelled[0, :3] = 1
    units = score_pairs([Pair("a", np.ones((4, 12), int), labelled)], "au", "abaw10")
    assert units.absent == tuple(f"F1 {name}" for name in ACTION_UNITS[3:])
    va = np.column_stack([np.linspace(-1, 1, 4), np.full(4, 0.1)])
    assert score_pairs([Pair("a", va, va)], "va", "abaw10").absent == ("CCC arousal",)
    labels = join_mtl(va, expr.annotated, labelled)
    assert score_pairs([Pair("a", labels, labels)], "mtl", "abaw11").absent == (
        "CCC arousal", *(f"F1 {name}" for name in absent), *units.absent
    )  # fmt: skip


def mtl_pair(subject, seed, frames=60):
    rng = np.random.default_rng(seed)
    labels, predicted = (
        join_mtl(
            rng.uniform(-1, 1, (frames, 2)),
            rng.integers(0, 8, frames),
            rng.integers(0, 2, (frames, 12)),
        )
        for _ in range(2)
    )
    predicted[: frames // 2] = labels[: frames // 2]
    return Pair(subject, predicted, labels)


def test_mtl_masks_each_task_by_itself() -> None:
    pairs = [mtl_pair(name, at) for at, name in enumerate("abcdefghij", 1)]
    for pair in pairs:
        pair.annotated[:10, :2] = -5
        pair.annotated[5:20, 2] = -1
        pair.annotated[8:25, 3:] = -1
        pair.predicted[30, 2] = -1
    result = score_pairs(pairs, "mtl", "abaw11", resamples=100)
    columns = {"va": slice(0, 2), "expr": 2, "au": slice(3, None)}
    each = {
        task: score_pairs(
            [Pair(p.subject, p.predicted[:, at], p.annotated[:, at]) for p in pairs],
            task, "abaw11", resamples=100,
        )
        for task, at in columns.items()
    }  # fmt: skip
    assert result.score == pytest.approx(sum(evaluation.score for evaluation in each.values()))
    assert np.array_equal(result.confusion, each["expr"].confusion)
    first = result.subjects[0]
    # Frames 8 and 9 are invalid in all three tasks.
    assert (first.frames, first.invalid, first.unpredicted) == (58, 2, 1)
    assert result.low <= result.score <= result.high
    assert result.subjects[1].score == pytest.approx(
        sum(evaluation.subjects[1].score for evaluation in each.values())
    )


def test_mtl_needs_all_tasks() -> None:
    pair = mtl_pair("a", 1)
    pair.annotated[:, 2] = -1
    with pytest.raises(UsageError, match="task 'expr'"):
        score_pairs([pair], "mtl", "abaw11")
    # One video without it is no harm, and has no score of its own.
    result = score_pairs([pair, mtl_pair("b", 2)], "mtl", "abaw11", resamples=100)
    assert np.isnan(result.subjects[0].score)
    assert np.isfinite(result.score)


def test_no_pairs_at_all_are_an_error() -> None:
    for task in ("va", "mtl"):
        with pytest.raises(UsageError, match="no frame"):
            score_pairs([], task, "abaw11")
