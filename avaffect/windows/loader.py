"""Batches read ahead by other processes, lest a GPU wait for pictures to be decoded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from avaffect.processors import cores
from avaffect.progress import EventCallback, Notice, ignore_events
from avaffect.windows.reader import WindowReader

if TYPE_CHECKING:
    import torch

    from avaffect.windows.batch import Batch

MOST_WORKERS = 12
# Batches that each worker has ready (torch's default), and the one that it makes.
_AHEAD = 3
# Where processes hand batches on to each other, on Linux.
_SHARED = Path("/", "dev", "shm")


def read_ahead(
    reader: WindowReader,
    batches: Sequence[Sequence[int]],
    device: torch.device,
    workers: int | None = None,
    on_event: EventCallback = ignore_events,
) -> Iterable[Batch]:
    """The batches of these windows, in this order.

    Args:
        reader: reads them.
        batches: the windows of each.
        device: where they go; for a GPU they lie in pinned memory.
        workers: processes that read; None takes none on the CPU, where computing wants all cores,
            and beside a GPU as many as :func:`default_workers` says.
        on_event: gets a warning where shared memory has no room for as many.
    """
    from torch import Generator
    from torch.utils.data import DataLoader

    cuda = device.type == "cuda"
    if workers is None:
        workers = default_workers() if cuda else 0
    # There is nothing to be read while the only batch is waited for.
    workers = min(workers, max(0, len(batches) - 1))
    if workers:
        largest = max(len(batch) for batch in batches) * reader.window_bytes
        workers = _with_room(workers, largest, on_event)
    return DataLoader(
        reader,  # type: ignore[arg-type]
        sampler=list(batches),
        batch_size=None,
        num_workers=workers,
        pin_memory=cuda,
        # Its own, lest making a loader draws from the run's.
        generator=Generator(),
    )


def default_workers() -> int:
    """Processes that read for this one: its share of the cores, 12 at most.

    Counted by cores, since torchrun gives each of its processes a single thread to compute with.
    """
    beside = max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    return max(1, min(MOST_WORKERS, cores() // beside))


def room_for(workers: int, batch_bytes: int, free: int) -> int:
    """How many workers, at most ``workers``, can hand on batches of so many bytes in ``free``."""
    return max(0, min(workers, free // max(1, _AHEAD * batch_bytes)))


def _with_room(workers: int, batch_bytes: int, on_event: EventCallback) -> int:
    try:
        free = shutil.disk_usage(_SHARED).free
    except OSError:  # another system, another way
        return workers
    beside = max(1, int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    found = room_for(workers, batch_bytes, free // beside)
    if found < workers:
        read = f"{found} processes read" if found else "this process alone reads"
        on_event(
            Notice(
                f"{_SHARED} has room for {free >> 20} MB and a batch takes {batch_bytes >> 20}: "
                f"{read} windows instead of {workers}, which is slow; give the container more "
                "shared memory (Docker's shm-size), or make train.batch_size smaller",
                warning=True,
            )
        )
    return found
