"""A batch that a GPU's memory does not hold is computed in halves."""

from __future__ import annotations

from itertools import chain

import pytest
import torch

from avaffect.errors import ModelError
from avaffect.networks.memory import by_halves


class Gpu:
    """Has room for so many rows."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.done: list[tuple[int, int]] = []

    def __call__(self, part: slice) -> list[int]:
        if part.stop - part.start > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        self.done.append((part.start, part.stop))
        return list(range(part.start, part.stop))


@pytest.mark.parametrize("room", [1, 2, 3, 7, 9, 100])
@pytest.mark.parametrize("rows", [1, 2, 7, 9])
def test_all_rows_are_computed_once_in_their_order(rows: int, room: int) -> None:
    gpu = Gpu(room)
    assert [*chain(*by_halves(gpu, rows, "row"))] == [*range(rows)]
    assert (len(gpu.done) == 1) is (rows <= room)


def test_an_empty_batch_is_computed_too() -> None:
    """Its outputs have shapes."""
    assert by_halves(Gpu(1), 0, "row") == [[]]


def test_what_does_not_fit_alone_is_one_line() -> None:
    with pytest.raises(ModelError, match=r"hold one window of 64 frames: .*device=.cpu"):
        by_halves(Gpu(0), 5, "window of 64 frames")


def test_other_errors_stay_what_they_are() -> None:
    def fail(part: slice) -> None:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        by_halves(fail, 4, "row")
