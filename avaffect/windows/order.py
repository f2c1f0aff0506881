"""In which order windows are trained on: a function of seed and epoch, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray


def epoch_order(
    count: int, seed: int, epoch: int, weights: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """The windows of an epoch.

    Args:
        count: W, windows there are.
        seed: of the run.
        epoch: from 0; each has another order.
        weights: float64 [W], chances to be drawn, which sum to one; W windows are then drawn with
            repetition. None takes each window once.

    Returns:
        int64 [W].
    """
    rng = np.random.default_rng((seed, epoch))
    if weights is None:
        return rng.permutation(count)
    return rng.choice(count, size=count, p=weights)


def batches(
    order: NDArray[np.int64], size: int, *, first: int = 0, rank: int = 0, world: int = 1
) -> Iterator[list[int]]:
    """This process's share of each batch.

    A batch too small to give every process a window is left out by all of them, so that none
    waits for the others in vain.

    Args:
        order: windows.
        size: windows in a batch of all processes together.
        first: batches to leave out at the beginning, when a run is resumed.
        rank: this process.
        world: how many there are.
    """
    for start in range(first * size, len(order), size):
        whole = order[start : start + size]
        if len(whole) >= world:
            yield whole[rank::world].tolist()


def batch_count(windows: int, size: int, world: int = 1) -> int:
    """How many batches :func:`batches` gives."""
    whole, rest = divmod(windows, size)
    return (whole if size >= world else 0) + (rest >= world)
