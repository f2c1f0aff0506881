"""Which processor nets run on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from avaffect.errors import UnknownNameError, UsageError

DEVICES = ("auto", "cpu", "cuda")

# What NVIDIA's driver leaves in the file system; the last is Windows' own, under WSL.
_DRIVER_TRACES = ("dev/nvidiactl", "dev/nvidia0", "proc/driver/nvidia", "dev/dxg")


@dataclass(frozen=True, slots=True)
class Device:
    """A processor.

    Attributes:
        name: ``cpu`` or ``cuda``, as torch calls them.
        description: for people, e.g. ``NVIDIA H100 80GB HBM3`` or ``CPU, 8 cores``.
    """

    name: str
    description: str


def choose_device(choice: str = "auto") -> Device:
    """The processor to use.

    Args:
        choice: ``cpu``; ``cuda``; or ``auto``, which is CUDA where it works and the CPU
            elsewhere. torch is imported only for ``cuda`` and for ``auto`` on a machine with an
            NVIDIA driver.

    Raises:
        UnknownNameError: another word.
        UsageError: ``cuda`` where there is none.
    """
    if choice not in DEVICES:
        raise UnknownNameError("device", choice, DEVICES)
    if choice == "cpu" or (choice == "auto" and not has_nvidia_driver()):
        return _cpu()
    device, reason = _cuda()
    if device is not None:
        return device
    if choice == "auto":
        return _cpu()
    raise UsageError(f"there is no CUDA here: {reason}", "use --device cpu or --device auto")


def has_nvidia_driver(root: Path = Path("/")) -> bool:
    """Whether NVIDIA's driver is loaded, told by the files it makes."""
    return any((root / trace).exists() for trace in _DRIVER_TRACES)


def _cuda() -> tuple[Device | None, str]:
    """The GPU, or why there is none."""
    if not has_nvidia_driver():
        return None, "no NVIDIA driver is loaded"
    import torch

    if torch.version.cuda is None:
        return None, f"torch {torch.__version__} is built without CUDA"
    if not torch.cuda.is_available():
        return None, "there is an NVIDIA driver, but torch finds no GPU that it can use"
    return Device("cuda", torch.cuda.get_device_name()), ""


def _cpu() -> Device:
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        cores = os.cpu_count() or 1
    return Device("cpu", f"CPU, {cores} core{'s' if cores > 1 else ''}")
