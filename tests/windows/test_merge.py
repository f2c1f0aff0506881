"""Merging: each frame once, the mean of what its windows say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from avaffect.windows.cut import window_starts
from avaffect.windows.merge import Merger


@given(
    frames=st.integers(1, 60),
    shape=st.integers(1, 12).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))),
    seed=st.integers(0, 99),
)
def test_each_frame_is_the_mean_of_its_windows(frames, shape, seed) -> None:
    rng = np.random.default_rng(seed)
    starts = window_starts(frames, *shape).tolist()
    predicted = rng.normal(size=(len(starts), shape[0], 3)).astype(np.float32)
    merger = Merger(frames, 3)
    for i in rng.permutation(len(starts)):
        merger.add(starts[i], predicted[i])
    merged = merger.result()
    assert (merged.shape, merged.dtype) == ((frames, 3), np.float32)
    for t in range(frames):
        values = [predicted[i, t - s] for i, s in enumerate(starts) if s <= t < s + shape[0]]
        assert values
        np.testing.assert_allclose(merged[t], np.mean(values, axis=0), rtol=1e-5, atol=1e-6)


def test_windows_that_agree_change_nothing() -> None:
    truth = np.random.default_rng(0).normal(size=(23, 2)).astype(np.float32)
    merger = Merger(23, 2)
    for start in window_starts(23, 7, 5).tolist():
        merger.add(start, truth[start : start + 7])
    np.testing.assert_array_equal(merger.result(), truth)


def test_padding_is_left_out() -> None:
    merger = Merger(3, 1)
    merger.add(0, np.array([[1], [2], [3], [np.nan], [9]], np.float32))
    assert merger.result().tolist() == [[1], [2], [3]]


def test_frames_without_a_window_are_nan() -> None:
    merger = Merger(4, 2)
    assert np.isnan(merger.result()).all()
    merger.add(1, np.ones((2, 2), np.float32))
    np.testing.assert_array_equal(merger.result()[:, 0], [np.nan, 1, 1, np.nan])
    assert Merger(0, 2).result().shape == (0, 2)
