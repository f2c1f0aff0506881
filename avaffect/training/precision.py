"""Half precision: which one a run computes in, and whether this processor can."""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from avaffect.progress import EventCallback, Notice

HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def precision_word(half: torch.dtype | None) -> str:
    """``none``, ``bf16`` or ``fp16``, as `choose_precision` takes it."""
    return next((word for word, dtype in HALVES.items() if dtype is half), "none")


def choose_precision(
    choice: str, device: torch.device, on_event: EventCallback
) -> torch.dtype | None:
    """The half precision to compute in, None for float32.

    Args:
        choice: ``auto`` (a half precision on CUDA, none on the CPU), ``none``, ``bf16`` or
            ``fp16``. On a CPU that cannot compute in what is chosen, float32 is taken.
        device: where the networks are.
        on_event: gets a notice where float32 is taken instead.
    """
    if choice == "none" or (choice == "auto" and device.type != "cuda"):
        return None
    if choice == "auto":
        # Older GPUs emulate bfloat16, slower than they compute in float32.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    half = HALVES[choice]
    if device.type == "cpu" and not cpu_computes_in(half):
        on_event(
            Notice(
                f"this processor cannot train in {choice}: float32 is used; train.amp=none says "
                "so beforehand",
                warning=True,
            )
        )
        return None
    return half


@cache
def cpu_computes_in(half: torch.dtype) -> bool:
    """Whether this CPU runs each kind of layer of a network in ``half``, forward and backward.

    It is tried, since it depends on the processor and on how torch was built: oneDNN refuses
    recurrent layers in bfloat16 on processors without AVX-512. Takes some 10 ms, once a process.
    """
    with torch.random.fork_rng(devices=[]):  # layers draw their weights
        return all(_computes(layer, values, half) for layer, values in _probes())


def _probes() -> list[tuple[nn.Module, torch.Tensor]]:
    sequence, picture = torch.zeros(2, 8, 16), torch.zeros(1, 8, 8, 8)
    return [
        (nn.Linear(16, 16), sequence),
        (nn.LSTM(16, 16, batch_first=True, bidirectional=True), sequence),
        (nn.GRU(16, 16, batch_first=True, bidirectional=True), sequence),
        (nn.TransformerEncoderLayer(16, 2, 16, batch_first=True), sequence),
        (nn.Conv1d(8, 16, 3), sequence),
        (nn.Conv2d(8, 16, 3, groups=2), picture),
    ]


def _computes(layer: nn.Module, values: torch.Tensor, half: torch.dtype) -> bool:
    try:
        with torch.inference_mode(), torch.autocast("cpu", half):
            layer(values)
        with torch.autocast("cpu", half):
            out = layer(values)
        (out[0] if isinstance(out, tuple) else out).float().sum().backward()
    except RuntimeError:
        return False
    return True
