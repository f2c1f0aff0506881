"""Curves with few enough points, and the mean of several."""

import numpy as np
import pytest
from scipy import stats

from avaffect.drawing.curves import band_of, edges_of, thinned


def test_few_points_are_left_alone() -> None:
    times, values = np.arange(5.0), np.arange(10.0).reshape(5, 2)
    assert thinned(times, values)[0] is times
    assert thinned(times, values)[1] is values


def test_many_are_means_of_the_known_ones() -> None:
    times, values = np.arange(7.0), np.array([[1.0], [3], [np.nan], [5], [np.nan], [np.nan], [8]])
    at, means = thinned(times, values, most=4)
    assert at.tolist() == [0.5, 2.5, 4.5, 6]
    np.testing.assert_array_equal(means[:, 0], [2, 5, np.nan, 8])


@pytest.mark.parametrize("frames", [1999, 2000, 2001, 100_003])
def test_never_more_points_than_asked(frames: int) -> None:
    at, means = thinned(np.arange(frames) / 30, np.ones((frames, 1)))
    assert len(at) == len(means) <= 2000
    assert (means == 1).all()
    assert (np.diff(at) > 0).all()


def test_edges_lie_between_the_frames() -> None:
    assert edges_of(np.array([0.0, 1, 3])).tolist() == [-0.5, 0.5, 2, 4]
    assert edges_of(np.array([0.0])).tolist() == [0, 1]


def test_mean_and_interval_are_student_s() -> None:
    times = np.arange(100) / 25
    levels = np.array([0.1, 0.3, 0.5, -0.2])
    found = band_of([(times, np.full((100, 2), level)) for level in levels])
    low, high = stats.t.interval(0.95, 3, levels.mean(), stats.sem(levels))
    assert found.mean == pytest.approx(np.full_like(found.mean, levels.mean()))
    assert found.low == pytest.approx(np.full_like(found.low, low))
    assert found.high == pytest.approx(np.full_like(found.high, high))
    assert (found.counts == 4).all()


def test_each_counts_once_whatever_its_rate_and_length() -> None:
    fast, slow = np.arange(0, 10, 1 / 100), np.arange(0, 4, 1 / 5)
    found = band_of([(fast, np.ones((len(fast), 1))), (slow, np.zeros((len(slow), 1)))])
    early = found.times < 3.9
    assert found.mean[early] == pytest.approx(0.5)
    late = found.times > 4.5
    assert found.mean[late] == pytest.approx(1)
    assert (found.counts[late] == 1).all()
    assert np.isnan(found.low[late]).all()


def test_gaps_are_nobody_s() -> None:
    times = np.arange(100) / 10
    values = np.ones((100, 1))
    values[40:60] = np.nan
    found = band_of([(times, values), (times, values)])
    middle = (found.times > 4.3) & (found.times < 5.7)
    assert np.isnan(found.mean[middle]).all()
    assert (found.counts[middle] == 0).all()


def test_single_frames() -> None:
    found = band_of([(np.zeros(1), np.ones((1, 2))), (np.zeros(1), np.zeros((1, 2)))])
    assert found.mean.tolist() == [[0.5, 0.5]]
