"""Emotions of a speaker who was never heard: Gaussians with one speaker a file."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from avaffect.arrays import softmax
from avaffect.errors import UsageError
from avaffect.sound.speakers import Speakers

WINDOW_S = 3.0
MEANS = np.array([[2.0, 0.0, 0.0], [-2.0, 0.0, 0.0], [0.0, 2.5, 0.0], [0.0, -2.5, 0.0]])
EVEN = np.full(4, 0.25)


def speakers(spread: float = 4.0, heed: float = 1.0, prior: Any = EVEN) -> Speakers:
    return Speakers(MEANS, np.full(3, spread), np.asarray(prior), heed)


def judged(model: Speakers, windows: NDArray[np.float64], hop: float = WINDOW_S) -> Any:
    centres = np.arange(len(windows)) * hop
    return model.probabilities(windows.astype(np.float32), centres, WINDOW_S, 1.0)


def spoken(
    label: NDArray[np.int64], offset: NDArray[np.float64], seed: int
) -> NDArray[np.float64]:
    return MEANS[label] + offset + np.random.default_rng(seed).normal(0, 1, (len(label), 3))


def right(model: Speakers, label: NDArray[np.int64], people: int = 40) -> float:
    """Share of windows named right, over speakers drawn as the model has them."""
    rng = np.random.default_rng(7)
    scores = []
    for seed in range(people):
        said = judged(model, spoken(label, rng.normal(0, 2, 3), seed))
        scores.append((said.argmax(axis=1) == label).mean())
    return float(np.mean(scores))


def test_a_window_alone_is_judged_by_how_far_speakers_differ() -> None:
    windows = np.random.default_rng(0).normal(0, 2, (5, 3))
    for row in windows:
        exact = -np.square(row - MEANS).sum(axis=1) / 2 / (1 + 4.0)
        np.testing.assert_allclose(judged(speakers(), row[None]), softmax(exact[None]), rtol=1e-5)


def test_who_hears_more_of_a_speaker_names_more_right() -> None:
    alone = right(speakers(), np.array([0]))
    assert alone < right(speakers(), np.tile(np.arange(4), 8)) - 0.1


def test_a_file_of_one_emotion_is_judged_better_than_by_taking_its_mean_off() -> None:
    rng, ours, centred = np.random.default_rng(7), [], []
    for seed in range(60):
        label = np.full(20, seed % 4)
        file = spoken(label, rng.normal(0, 2, 3), seed)
        ours.append((judged(speakers(heed=0.6), file).argmax(axis=1) == label).mean())
        left = judged(speakers(1e-6), file - file.mean(axis=0))
        centred.append((left.argmax(axis=1) == label).mean())
    assert np.mean(ours) > np.mean(centred) + 0.1


def test_windows_that_overlap_count_once() -> None:
    window = spoken(np.array([0]), np.array([3.0, 1.0, 0.0]), 0)
    alone = judged(speakers(), window)
    # Six windows within three seconds are the same speech.
    np.testing.assert_allclose(
        judged(speakers(), np.tile(window, (6, 1)), 0.5), np.tile(alone, (6, 1))
    )
    apart = judged(speakers(), np.tile(window, (6, 1)))
    assert not np.allclose(apart, np.tile(alone, (6, 1)), atol=1e-3)


def test_without_heed_each_window_is_alone() -> None:
    windows = spoken(np.arange(4).repeat(3), np.array([2.0, -2.0, 1.0]), 3)
    alone = np.concatenate([judged(speakers(), row[None]) for row in windows])
    np.testing.assert_allclose(judged(speakers(heed=0.0), windows), alone, rtol=1e-5)


def test_silence_of_hours_and_many_windows_stay_finite() -> None:
    windows = spoken(np.tile(np.arange(4), 500), np.array([1e3, 0.0, 0.0]), 0)
    said = judged(speakers(), windows, 0.5)
    assert np.isfinite(said).all()
    np.testing.assert_allclose(said.sum(axis=1), 1, rtol=1e-5)
    assert said.dtype == np.float32
    assert judged(speakers(), windows[:0]).shape == (0, 4)


def test_a_prior_counts_once() -> None:
    window = np.zeros((1, 3))
    said = judged(speakers(prior=[0.5, 0.25, 0.125, 0.125]), window)[0]
    even = judged(speakers(), window)[0]
    assert said[0] / said[1] == pytest.approx(2 * even[0] / even[1], rel=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        {"spread": np.zeros(3)},
        {"spread": np.ones(2)},
        {"means": np.full((4, 3), np.nan)},
        {"means": np.ones(3)},
        {"prior": np.zeros(4)},
        {"prior": np.ones(3)},
        {"heed": 1.5},
        {"heed": np.nan},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, Any]) -> None:
    values = {"means": MEANS, "spread": np.ones(3), "prior": EVEN, "heed": 1.0} | wrong
    with pytest.raises(UsageError):
        Speakers(**values)
