"""Which processor nets run on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from avaffect.errors import UnknownNameError, UsageError
from avaffect.extras import is_installed
from avaffect.processors import cores

DEVICES = ("auto", "cpu", "cuda", "gpu")
"""What may be asked for. ``gpu`` is another word for ``cuda``; both may name one: ``cuda:1``."""

_NUMBERED = re.compile(r"(?:cuda|gpu):(\d{1,4})")

# What NVIDIA's driver leaves in the file system; the last is Windows' own, under WSL.
_DRIVER_TRACES = ("dev/nvidiactl", "dev/nvidia0", "proc/driver/nvidia", "dev/dxg")


@dataclass(frozen=True, slots=True)
class Device:
    """A processor.

    Attributes:
        name: ``cpu``, ``cuda`` or, where one of several was asked for, ``cuda:1``, as torch calls
            them.
        description: for people, e.g. ``NVIDIA H100 80GB HBM3`` or ``CPU, 8 cores``.
    """

    name: str
    description: str


def device_kind(name: str) -> str:
    """``cpu``, ``cuda`` or ``cuda:N``, of a :class:`Device`'s name."""
    return name.partition(":")[0]


def device_index(name: str) -> int | None:
    """Which GPU a :class:`Device`'s name has, counted from 0; None if it has none."""
    number = name.partition(":")[2]
    return int(number) if number else None


def require_device_word(choice: str) -> None:
    """Raise UnknownNameError if no device is called ``choice``, whether or not it is here."""
    if choice not in DEVICES and not _NUMBERED.fullmatch(choice):
        raise UnknownNameError("device", choice, (*DEVICES, "cuda:1"))


def choose_device(choice: str = "auto") -> Device:
    """The processor to use.

    Args:
        choice: ``cpu``; ``cuda`` or ``gpu``, also with the number of one, counted from 0
            (``cuda:1``); or ``auto``, which is CUDA where it works and the CPU elsewhere. torch
            is imported only for a GPU and for ``auto`` on a machine with an NVIDIA driver.

    Raises:
        UnknownNameError: another word.
        UsageError: a GPU where there is none, or not as many.
    """
    require_device_word(choice)
    if choice == "cpu" or (choice == "auto" and not has_nvidia_driver()):
        return _cpu()
    numbered = _NUMBERED.fullmatch(choice)
    device, reason = _cuda(None if numbered is None else int(numbered[1]))
    if device is not None:
        return device
    if choice == "auto":
        return _cpu()
    raise UsageError(f"there is no CUDA here: {reason}", 'use device="cpu" or device="auto"')


def has_nvidia_driver(root: Path = Path("/")) -> bool:
    """Whether NVIDIA's driver is loaded, judged by the files it makes."""
    return any((root / trace).exists() for trace in _DRIVER_TRACES)


def _cuda(number: int | None) -> tuple[Device | None, str]:
    """The GPU of this number, or the first; or why there is none.

    Raises:
        UsageError: there are GPUs, but not as many.
    """
    if not has_nvidia_driver():
        return None, "no NVIDIA driver is loaded"
    if not is_installed("torch"):
        return None, "torch, which finds it, is not installed (pip install 'avaffect[features]')"
    import torch

    if torch.version.cuda is None:
        return None, f"torch {torch.__version__} is built without CUDA"
    if not torch.cuda.is_available():
        return None, "there is an NVIDIA driver, but torch finds no GPU that it can use"
    if number is None:
        reason = _without_kernels("cuda")
        return (None, reason) if reason else (Device("cuda", torch.cuda.get_device_name()), "")
    count = torch.cuda.device_count()
    if number >= count:
        last = f"s, cuda:0 to cuda:{count - 1}" if count > 1 else ", cuda:0"
        raise UsageError(f"there is no GPU {number}", f"this machine has {count} GPU{last}")
    if reason := _without_kernels(f"cuda:{number}"):
        return None, reason
    name = torch.cuda.get_device_name(number)
    return Device(f"cuda:{number}", f"{name} (GPU {number} of {count})"), ""


def _without_kernels(name: str) -> str:
    """Why this torch cannot compute on the GPU of that name; empty if it can. It is tried: a GPU
    may be older, or newer, than all that torch was built for."""
    import torch

    try:
        torch.zeros(1, device=name).add(1).item()
    except RuntimeError as error:
        first = str(error).partition("\n")[0].rstrip(".")
        return (
            f"torch {torch.__version__} does not run on {torch.cuda.get_device_name()} ({first})"
        )
    return ""


def _cpu() -> Device:
    count = cores()
    return Device("cpu", f"CPU, {count} core{'s' if count > 1 else ''}")
