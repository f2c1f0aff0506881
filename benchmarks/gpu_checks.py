"""What the parts of `gpu.py` share: a check, the machine, and how long something takes."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from avaffect.models.device import choose_device


@dataclass(frozen=True)
class Check:
    """One thing looked at: what, a figure, and whether it is right."""

    what: str
    figure: str
    ok: bool = True


@dataclass(frozen=True)
class Peaks:
    """What a device does at most, measured: operations and bytes a second."""

    operations: float
    bytes: float

    def least(self, operations: float, moved: float) -> float:
        """The seconds that this work takes at the least: the roofline."""
        return max(operations / self.operations, moved / self.bytes)


def machine(device: torch.device) -> Iterator[Check]:
    from avaffect.training.precision import choose_precision, precision_word
    from avaffect.windows.loader import default_workers

    yield Check("torch", f"{torch.__version__}, {choose_device(str(device)).description}")
    half = choose_precision("auto", device, lambda event: None)
    yield Check("precision of train.amp=auto", precision_word(half))
    if device.type == "cuda":
        shown = f"{torch.cuda.get_device_capability()}, built for {torch.cuda.get_arch_list()}"
        yield Check(
            "CUDA", f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}, {shown}"
        )
    shared = Path("/dev/shm")  # noqa: S108 - looked at, not written
    free = f"{shutil.disk_usage(shared).free >> 20} MB" if shared.is_dir() else "none"
    yield Check("workers, shared memory", f"{default_workers()}, {free}")
    found = peaks(device)
    shown = f"{found.operations / 1e12:,.3g} TFLOP/s, {found.bytes / 1e9:,.3g} GB/s"
    yield Check("peaks, measured", shown)


def peaks(device: torch.device) -> Peaks:
    """By a product of large matrices (float16 on a GPU) and a copy."""
    cuda = device.type == "cuda"
    side, dtype = (8192, torch.float16) if cuda else (512, torch.float32)
    matrix = torch.randn(side, side, device=device).to(dtype)
    product = seconds(lambda: matrix @ matrix, device)
    words = torch.zeros(1 << (28 if cuda else 22), device=device)
    copy = seconds(words.clone, device)
    return Peaks(2 * side**3 / product, 2 * words.nbytes / copy)


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """How long ``run`` takes, in a row of as many as fill a moment."""
    for _ in range(3 if device.type == "cuda" else 1):
        run()
    count, least = 1, 0.2 if device.type == "cuda" else 0.02
    while True:
        settle(device)
        began = time.perf_counter()
        for _ in range(count):
            run()
        settle(device)
        taken = time.perf_counter() - began
        if taken >= least:
            return taken / count
        count = 1 + math.ceil(count * 1.2 * least / max(taken, 1e-6))


def settle(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_mb(device: torch.device) -> str:
    """The most memory of the GPU since `torch.cuda.reset_peak_memory_stats`."""
    if device.type != "cuda":
        return "-"
    return f"{torch.cuda.max_memory_allocated(device) >> 20:,}"
