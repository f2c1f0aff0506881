"""Reading ahead: how many processes, and how much shared memory they want."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.trained import TREE, make_dataset

from avaffect.networks.apply import apply_network
from avaffect.networks.network import AffectNetwork
from avaffect.progress import Notice
from avaffect.recipes.library import parse_recipe
from avaffect.windows import loader
from avaffect.windows.loader import default_workers, read_ahead, room_for
from avaffect.windows.reader import WindowReader, whole_clips

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def reader() -> WindowReader:
    return whole_clips(make_dataset().clips, parse_recipe(TREE, ""), {"va": 2})


@pytest.mark.parametrize(
    ("cores", "beside", "expected"), [(16, None, 12), (16, "4", 4), (2, "4", 1), (6, "1", 6)]
)
def test_workers_by_cores_a_local_rank(
    cores: int, beside: str | None, expected: int, monkeypatch: Any
) -> None:
    """Not by threads, of which torchrun gives each process one."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    if beside is None:
        monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    else:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", beside)
    assert default_workers() == expected


def test_room_in_shared_memory() -> None:
    # Each worker has three batches under way.
    assert room_for(4, 100, 1200) == 4
    assert room_for(4, 100, 1199) == 3
    assert room_for(4, 154 << 20, 64 << 20) == 0


def test_too_little_shared_memory_is_said(reader: WindowReader, monkeypatch: Any) -> None:
    heard: list[Any] = []

    class Disk:
        free = 1 << 10

    monkeypatch.setattr(loader.shutil, "disk_usage", lambda path: Disk)
    batches = read_ahead(reader, [[0, 1], [2], [3]], CPU, 2, heard.append)
    assert [len(batch) for batch in batches] == [2, 1, 1]
    (notice,) = heard
    assert isinstance(notice, Notice) and notice.warning
    assert "this process alone reads windows instead of 2" in notice.text
    assert "shm-size" in notice.text


def test_bytes_of_a_window(reader: WindowReader) -> None:
    batch = reader[[0]]
    inputs = {id(x): x for x in batch.inputs.values()}.values()
    assert batch.exists.shape[1] == reader.windows.length
    assert reader.window_bytes == sum(x.numpy().nbytes for x in inputs)


def test_processes_read_the_same_batches(reader: WindowReader) -> None:
    wanted = [[3, 1], [0], [2, 4]]
    alone, helped = (list(read_ahead(reader, wanted, CPU, count)) for count in (None, 2))
    assert len(alone) == len(helped) == 3
    for first, second in zip(alone, helped, strict=True):
        assert torch.equal(first.clip, second.clip) and torch.equal(first.start, second.start)
        for name in first.inputs:
            np.testing.assert_array_equal(first.inputs[name].numpy(), second.inputs[name].numpy())


def test_making_a_loader_draws_nothing(reader: WindowReader) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    list(read_ahead(reader, [[0]], CPU))
    assert torch.equal(torch.get_rng_state(), before)


def test_validation_reads_ahead(monkeypatch: Any) -> None:
    """Where pictures are to be decoded; features are there at once."""
    asked = []
    real = loader.read_ahead

    def spy(reader: WindowReader, batches: Any, device: Any, workers: Any = None) -> Any:
        asked.append(workers)
        return real(reader, batches, device, 0)

    monkeypatch.setattr("avaffect.windows.loader.read_ahead", spy)
    recipe, clips = parse_recipe(TREE, ""), make_dataset().of("val")
    reader = whole_clips(clips, recipe, {})
    network = AffectNetwork(recipe, reader.widths, {"va": 2})
    for pictures, expected in ((False, 0), (True, 5)):
        reader.pictures = pictures
        found = list(apply_network(network, reader, CPU, workers=5))
        assert len(found) == len(clips)
        assert asked[-1] == expected
