"""Scores and intervals by video, of clips in memory."""

from __future__ import annotations

import numpy as np
import pytest

from avaffect.metrics.arrays import score_arrays
from avaffect.metrics.bootstrap import MIN_VIDEOS
from avaffect.metrics.by_video import (
    Interval,
    Pair,
    by_video,
    clip_tally,
    interval_of,
    kind_of,
    score_of,
)
from avaffect.metrics.evaluation import Pair as FilePair
from avaffect.metrics.evaluation import score_pairs

TARGETS = {
    "va": ("valence", "arousal"),
    "expr": tuple(f"class {at}" for at in range(4)),
    "au": ("AU1", "AU99", "AU12"),
}


def noisy(task: str, seed: int, frames: int = 60) -> Pair:
    """Predictions that are half right, and cells that are not labelled or not predicted."""
    rng = np.random.default_rng((1, seed))
    if task == "va":
        labels = rng.uniform(-1, 1, (frames, 2))
        predicted = labels + rng.normal(0, 0.5, labels.shape)
        unknown = float("nan")
    elif task == "expr":
        labels = rng.integers(0, 4, frames).astype(float)
        predicted = np.where(rng.random(frames) < 0.5, labels, rng.integers(0, 4, frames))
        unknown = -1.0
    else:
        labels = rng.integers(0, 2, (frames, 3)).astype(float)
        predicted = np.where(rng.random((frames, 3)) < 0.7, labels, 1 - labels)
        unknown = -1.0
    labels[rng.random(labels.shape) < 0.1] = unknown
    predicted[rng.random(labels.shape) < 0.1] = unknown
    return predicted, labels


@pytest.mark.parametrize("task", TARGETS)
def test_sums_score_as_the_frames_do(task: str) -> None:
    pairs = [noisy(task, seed) for seed in range(5)]
    total = by_video((clip_tally(task, pair, TARGETS[task]) for pair in pairs), "aabbc")
    assert len(total) == 3
    score, _ = score_arrays(task, pairs, TARGETS[task])
    assert score_of(total.sum(axis=0), task, TARGETS[task]) == pytest.approx(score, abs=1e-9)


@pytest.mark.parametrize("task", ["va", "au"])
def test_a_part_without_a_cell_stays_out_of_the_mean(task: str) -> None:
    predicted, labels = noisy(task, 3)
    labels[:, 1] = np.nan if task == "va" else -1
    sums = clip_tally(task, (predicted, labels), TARGETS[task])
    score, _ = score_arrays(task, [(predicted, labels)], TARGETS[task])
    assert score_of(sums, task, TARGETS[task]) == pytest.approx(score, abs=1e-9)


def test_the_interval_is_that_of_evaluate() -> None:
    """The same videos are drawn for the same seed, whoever asks."""
    pairs = []
    for seed in range(MIN_VIDEOS + 2):
        rng = np.random.default_rng(seed)
        labels = rng.uniform(-1, 1, (30, 2))
        pairs.append((labels + rng.normal(0, 0.3, labels.shape), labels))
    names = [f"v{at}" for at in range(len(pairs))]
    files = [FilePair(name, *pair) for name, pair in zip(names, pairs, strict=True)]
    evaluated = score_pairs(files, "va", "abaw5")
    videos = by_video((clip_tally("va", pair, TARGETS["va"]) for pair in pairs), names)
    found = interval_of(videos, "va", TARGETS["va"])
    assert (found.low, found.high) == pytest.approx((evaluated.low, evaluated.high), abs=1e-9)
    assert found.low < evaluated.score < found.high
    assert str(found).endswith(f"over {len(pairs)} videos")


def test_people_of_one_video_are_drawn_together() -> None:
    pairs = [noisy("va", seed) for seed in range(2 * (MIN_VIDEOS - 1))]
    tallies = [clip_tally("va", pair, TARGETS["va"]) for pair in pairs]
    apart = by_video(tallies, [f"v{at}" for at in range(len(pairs))])
    together = by_video(tallies, [f"v{at // 2}" for at in range(len(pairs))])
    assert np.isfinite(interval_of(apart, "va", TARGETS["va"]).low)
    few = interval_of(together, "va", TARGETS["va"])
    assert np.isnan(few.low)
    assert "9 videos, fewer than 10" in str(few)
    assert (few.short, few.to_dict()) == ("-", {"low": None, "high": None, "videos": 9})


def test_one_video_is_one() -> None:
    assert str(Interval(float("nan"), float("nan"), 1)).startswith("1 video, ")


@pytest.mark.parametrize(
    ("clips", "of"),
    [
        ([("a_left", "a", 90), ("a_right", "a", 90), ("b", "b", 1)], "videos"),
        ([("a", "a", 1), ("b", "b", 1)], "pictures"),
        ([("a", "Ann", 1), ("b", "b", 1)], "groups"),
        ([], "videos"),
    ],
)
def test_an_interval_says_what_was_drawn(clips: list[tuple[str, str, int]], of: str) -> None:
    """Pictures that are nobody's are no videos, and people neither."""
    assert kind_of(clips) == of
    videos = np.zeros((1, 12))
    assert str(interval_of(videos, "va", TARGETS["va"], of=of)).startswith(f"1 {of[:-1]}, fewer")
    many = Interval(0.1, 0.2, 12, of)
    assert str(many) == f"95 % interval [0.1000, 0.2000] over 12 {of}"
