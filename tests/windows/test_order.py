"""The order of training windows: chance that is a function, shares that add up."""

from itertools import chain

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.windows.order import batch_count, batches, epoch_order

SHARES = {
    "windows": st.integers(0, 50),
    "size": st.integers(1, 12),
    "world": st.integers(1, 5),
}


@given(count=st.integers(0, 200), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_an_epoch_takes_each_window_once(count, seed, epoch) -> None:
    order = epoch_order(count, seed, epoch)
    assert sorted(order.tolist()) == list(range(count))
    assert order.dtype == np.int64
    np.testing.assert_array_equal(order, epoch_order(count, seed, epoch))


def test_seeds_and_epochs_differ() -> None:
    orders = {tuple(epoch_order(30, seed, epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_weights_are_chances() -> None:
    weights = np.array([0.7, 0.2, 0.1, *[0.0] * 997])
    drawn = epoch_order(1000, 0, 0, weights)
    assert drawn.dtype == np.int64
    shares = np.bincount(drawn, minlength=1000) / 1000
    # Three times the binomial's deviation.
    np.testing.assert_allclose(shares, weights, atol=3 * np.sqrt(0.7 * 0.3 / 1000))
    assert shares[3:].sum() == 0
    np.testing.assert_array_equal(drawn, epoch_order(1000, 0, 0, weights))
    assert (drawn != epoch_order(1000, 0, 1, weights)).any()


@given(**SHARES)
def test_processes_share_each_batch(windows, size, world) -> None:
    order = epoch_order(windows, 0, 0)
    shares = [list(batches(order, size, rank=rank, world=world)) for rank in range(world)]
    expected = [order[start : start + size] for start in range(0, windows, size)]
    expected = [batch for batch in expected if len(batch) >= world]
    # All processes have as many batches, and none is empty.
    assert {len(share) for share in shares} == {len(expected)}
    assert batch_count(windows, size, world) == len(expected)
    for step, batch in enumerate(expected):
        parts = [share[step] for share in shares]
        assert sorted(chain.from_iterable(parts)) == sorted(batch.tolist())
        sizes = [len(part) for part in parts]
        assert 1 <= min(sizes) <= max(sizes) <= min(sizes) + 1


def test_one_process_leaves_nothing_out() -> None:
    order = epoch_order(23, 3, 1)
    assert list(chain.from_iterable(batches(order, 5))) == order.tolist()
    assert batch_count(23, 5) == 5


@given(first=st.integers(0, 12), **SHARES)
def test_resuming_gives_the_rest(first, windows, size, world) -> None:
    order = epoch_order(windows, 0, 0)
    for rank in range(world):
        share = list(batches(order, size, rank=rank, world=world))
        rest = list(batches(order, size, first=first, rank=rank, world=world))
        assert rest == share[first:]


@pytest.mark.parametrize(("windows", "size", "world", "count"), [(10, 1, 2, 0), (10, 3, 3, 3)])
def test_a_batch_too_small_for_all_processes(
    windows: int, size: int, world: int, count: int
) -> None:
    assert batch_count(windows, size, world) == count
    assert len(list(batches(np.arange(windows), size, world=world))) == count
