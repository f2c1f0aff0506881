"""Batches: windows of features and labels as tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avaffect.arrays import ArrayRecord
from avaffect.windows.arrays import WindowArrays


@dataclass(frozen=True, eq=False, repr=False)
class Batch(ArrayRecord):
    """B windows of T frames.

    Attributes:
        inputs: by branch that reads features, float16 or float32 [B, T, F], as stored, or
            pictures, uint8 [B, T, S, S, 3]; branches that read the same share one tensor. Where
            an encoder looks beside the window (``recipe.margins``), pictures have as many frames
            more on each side.
        seen: by the same, bool, of the same frames, where there are features.
        exists: bool [B, T], False behind the end of a clip shorter than T.
        targets: by task, ``va`` float32 [B, T, V], ``expr`` int64 [B, T], ``au`` float32
            [B, T, U]; anything where not valid.
        valid: by task, bool, of the target's shape: labelled, and some branch sees the frame.
        clip: int64 [B], index of each window's clip.
        start: int64 [B], its first frame.
    """

    inputs: Mapping[str, Tensor]
    seen: Mapping[str, Tensor]
    exists: Tensor
    targets: Mapping[str, Tensor]
    valid: Mapping[str, Tensor]
    clip: Tensor
    start: Tensor

    def __len__(self) -> int:
        """B."""
        return len(self.exists)

    @classmethod
    def of(cls, arrays: WindowArrays) -> Batch:
        """The same windows as tensors, in the same memory."""
        return cls(**_each(arrays, np.ndarray, torch.from_numpy))

    def to(self, device: torch.device) -> Batch:
        """A copy on ``device``; from pinned memory it is copied while the caller goes on."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def rows(self, part: slice) -> Batch:
        """Some of the windows, in the same memory."""
        return self._each(lambda tensor: tensor[part])

    def pin_memory(self) -> Batch:
        """A copy in pinned memory; torch's DataLoader calls it."""
        return self._each(lambda tensor: tensor.pin_memory())

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(**_each(self, Tensor, change))


def _each(record: Any, kind: type, change: Callable[[Any], Tensor]) -> dict[str, Any]:
    """By field, what ``change`` makes of what is of a kind; what is shared stays shared."""
    done: dict[int, Tensor] = {}

    def once(value: Any) -> Tensor:
        if id(value) not in done:
            done[id(value)] = change(value)
        return done[id(value)]

    changed: dict[str, Any] = {}
    for field in fields(record):
        value = getattr(record, field.name)
        if isinstance(value, kind):
            changed[field.name] = once(value)
        else:
            changed[field.name] = {name: once(part) for name, part in value.items()}
    return changed
