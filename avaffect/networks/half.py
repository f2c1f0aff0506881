"""Half precision: computing in it on a GPU, and storing vectors in it."""

from __future__ import annotations

import numpy as np
import torch

from avaffect.errors import CheckpointError
from avaffect.files.npy import Array

_LARGEST_HALF = float(np.finfo(np.float16).max)


def amp(device: torch.device) -> torch.autocast:
    """Half precision on a GPU, bfloat16 where it computes that itself; elsewhere nothing."""
    cuda = device.type == "cuda"
    native = cuda and torch.cuda.is_bf16_supported(including_emulation=False)
    half = torch.float16 if cuda and not native else torch.bfloat16
    return torch.autocast(device.type, dtype=half, enabled=cuda)


def halved(
    values: torch.Tensor, name: str, hint: str = "choose another encoder, or another layer"
) -> Array:
    """Values as float16.

    Args:
        values: what a net gave.
        name: the net, for messages.
        hint: what to do where it gives none that can be used.

    Raises:
        CheckpointError: one is no number, or none that float16 can hold.
    """
    found = values.float().cpu().numpy()
    if not (np.abs(found) <= _LARGEST_HALF).all():
        raise CheckpointError(
            f"'{name}' gives values that are no numbers, or beyond what float16 holds",
            hint,
        )
    return found.astype(np.float16)
