"""The processes of a distributed run, as ``torchrun`` starts them; usually there is one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed, nn

from avaffect.errors import UsageError
from avaffect.models.device import Device, choose_device

T = TypeVar("T")
# How long processes wait for one that writes files or looks at the last clip; torch's own ten
# minutes end the job.
PATIENCE = timedelta(hours=12)


@dataclass(frozen=True)
class Processes:
    """All processes of a run, seen from one of them.

    Attributes:
        rank: which one this is; 0 writes files and talks to the user.
        world: how many there are.
        device: where this one computes.
        description: the device, for people.
    """

    rank: int
    world: int
    device: torch.device
    description: str

    @property
    def first(self) -> bool:
        """Whether this process writes and talks."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """``module`` such that gradients are averaged over the processes."""
        if self.world == 1:
            return module
        devices = [self.device] if self.device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(module, device_ids=devices)

    def gather(self, value: T) -> list[T]:
        """``value`` of every process, in the order of ranks, in every process."""
        if self.world == 1:
            return [value]
        found: list[T | None] = [None] * self.world
        distributed.all_gather_object(found, value)
        return found  # type: ignore[return-value]

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` is set in any process."""
        if self.world == 1:
            return flag
        votes = torch.tensor([float(flag)], device=self.device)
        distributed.all_reduce(votes, distributed.ReduceOp.MAX)
        return bool(votes.item())

    def share_buffers(self, module: nn.Module) -> None:
        """Give every process the first one's running statistics.

        DistributedDataParallel does so before a step; behind the last one they differ.
        """
        if self.world > 1:
            for buffer in module.buffers():
                distributed.broadcast(buffer, 0)

    def votes(self) -> Votes:
        """For a question asked step by step; see :class:`Votes`."""
        return Votes(self)

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.world > 1:
            distributed.barrier()


class Votes:
    """Whether any process wants something, as of the step before: so that no step waits until the
    others, and the device, have got to it.

    Args:
        group: the processes; all ask as often.
    """

    def __init__(self, group: Processes) -> None:
        self._group = group
        self._before: tuple[torch.Tensor, Any] | None = None

    def any(self, flag: bool) -> bool:
        """Whether ``flag`` was set in any process when this was last asked; of one alone, now."""
        if self._group.world == 1:
            return flag
        vote = torch.tensor([float(flag)], device=self._group.device)
        work = distributed.all_reduce(vote, distributed.ReduceOp.MAX, async_op=True)
        before, self._before = self._before, (vote, work)
        if before is None:
            return False
        before[1].wait()
        return bool(before[0].item())


@contextmanager
def processes(choice: str = "auto") -> Iterator[Processes]:
    """This run's processes; leaves them when the block ends.

    Args:
        choice: see ``models.device.choose_device``.

    Raises:
        UsageError: there is no such device, or several processes are to share one GPU.
    """
    chosen: Device = choose_device(choice)
    world = int(os.environ.get("WORLD_SIZE", "1"))
    device = torch.device(chosen.name)
    if world == 1:
        if device.index is not None:
            torch.cuda.set_device(device)
        yield Processes(0, 1, device, chosen.description)
        return
    if device.index is not None:
        raise UsageError(
            f'device="{choice}" names one GPU for {world} processes',
            'use device="cuda": each process takes a GPU of its own',
        )
    if device.type == "cuda":
        device = torch.device("cuda", _local_gpu(torch.cuda.device_count()))
        torch.cuda.set_device(device)
    joined = not distributed.is_initialized()
    if joined:
        cuda = device.type == "cuda"
        distributed.init_process_group(
            "nccl" if cuda else "gloo", timeout=PATIENCE, device_id=device if cuda else None
        )
    try:
        rank = distributed.get_rank()
        yield Processes(rank, world, device, f"{world} x {chosen.description}")
    finally:
        if joined:
            distributed.destroy_process_group()


def _local_gpu(count: int) -> int:
    """Which of ``count`` GPUs this process takes.

    Raises:
        UsageError: there are more processes on this machine than GPUs.
    """
    number = int(os.environ.get("LOCAL_RANK", "0"))
    if number >= count:
        raise UsageError(
            f"there is no GPU for process {number + 1} of this machine, it has {count}",
            f"let torchrun start at most {count} a machine",
        )
    return number
