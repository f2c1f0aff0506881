"""Mean and deviation gathered chunk by chunk, against NumPy's over the whole."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from avaffect.moments import Moments


@given(
    seed=st.integers(0, 999),
    chunks=st.lists(st.integers(0, 9), max_size=5),
    offset=st.sampled_from([0.0, -3.0, 1e4, 1e8]),
    scale=st.sampled_from([1e-3, 1.0, 50.0]),
)
def test_moments_are_those_of_numpy(seed, chunks, offset, scale) -> None:
    rng = np.random.default_rng(seed)
    moments = Moments(4)
    rows = []
    for count in chunks:
        values = rng.normal(offset, scale, (count, 4))
        values[rng.random((count, 4)) < 0.3] = np.nan
        values[:, 3] = offset
        seen = rng.random(count) < 0.7
        moments.add(values, seen)
        rows.append(values[seen])
    every = np.concatenate([np.zeros((0, 4)), *rows])
    mean, deviation = moments.result()
    assert mean.dtype == deviation.dtype == np.float64
    for i in range(4):
        known = every[~np.isnan(every[:, i]), i]
        if not len(known):
            assert (mean[i], deviation[i]) == (0, 1)
            continue
        np.testing.assert_allclose(mean[i], known.mean(), rtol=1e-6, atol=1e-6 * scale)
        spread = known.std()
        if i == 3 or len(set(known)) == 1:
            assert deviation[i] == 1
        else:
            np.testing.assert_allclose(deviation[i], spread, rtol=1e-4)


def test_moments_far_from_zero_after_a_gap() -> None:
    """The first row decides nothing."""
    values = np.array([[np.nan], [1e8], [1e8 + 1], [1e8 + 2]])
    moments = Moments(1)
    for row in values:
        moments.add(row[None], np.ones(1, bool))
    np.testing.assert_allclose(moments.result()[1], np.sqrt(2 / 3), rtol=1e-6)


def test_infinite_cells_do_not_count() -> None:
    moments = Moments(2)
    moments.add(np.array([[1, np.inf], [3, -np.inf], [5, 7]], np.float32), np.ones(3, bool))
    np.testing.assert_allclose(moments.result(), [[3, 7], [np.sqrt(8 / 3), 1]], rtol=1e-6)


def test_what_counts_as_constant_is_the_callers_choice() -> None:
    moments = Moments(2)
    values = np.float32([[100, 3], [np.nextafter(np.float32(100), np.float32(101)), 3]])
    moments.add(values, np.ones(2, bool))
    assert moments.result()[1][0] < 1e-5
    assert moments.result(rounding=1e-7, constant=np.inf)[1].tolist() == [np.inf, np.inf]
