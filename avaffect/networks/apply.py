"""Applying a network to whole clips: windows in, one opinion a frame out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from avaffect.networks.network import AffectNetwork
from avaffect.windows.merge import Merger
from avaffect.windows.reader import WindowReader


@dataclass(frozen=True)
class Opinion:
    """What a network says of one clip of N frames.

    Attributes:
        clip: its index in the reader.
        values: by task, float32 [N, K]: ``va`` in [-1, 1], probabilities of ``expr`` and ``au``;
            NaN where no branch sees the frame.
        seen: by branch, bool [N].
    """

    clip: int
    values: dict[str, NDArray[np.float32]]
    seen: dict[str, NDArray[np.bool_]]


def apply_network(
    network: AffectNetwork,
    reader: WindowReader,
    device: torch.device,
    *,
    batch_size: int = 256,
    clips: Sequence[int] | None = None,
) -> Iterator[Opinion]:
    """Apply ``network`` to clips, each frame once: overlapping windows are averaged.

    Args:
        network: the network, on ``device``; it is set to evaluation.
        reader: the clips and their windows, which cover each frame.
        device: where to compute.
        batch_size: windows at a time.
        clips: indices of those to apply it to; None takes all.
    """
    network.eval()
    for clip in range(len(reader.clips)) if clips is None else clips:
        frames = reader.clips[clip].frames
        mine = np.flatnonzero(reader.windows.clip == clip)
        mergers: dict[str, Merger] = {}
        seen = {name: np.zeros(frames, bool) for name in network.branches}
        for first in range(0, len(mine), batch_size):
            batch = reader[mine[first : first + batch_size].tolist()]
            on_device = batch.to(device)
            with torch.inference_mode():
                outputs = network(on_device.inputs, on_device.seen, on_device.exists)
            starts = batch.start.tolist()
            for name, there in batch.seen.items():
                for start, row in zip(starts, there.numpy(), strict=True):
                    seen[name][start : start + len(row)] |= row[: frames - start]
            for task, output in outputs.items():
                values = probabilities(task, output).float().cpu().numpy()
                merger = mergers.setdefault(task, Merger(frames, values.shape[2]))
                for start, window in zip(starts, values, strict=True):
                    merger.add(start, window)
        anything = np.any(list(seen.values()), axis=0)
        merged = {task: merger.result() for task, merger in mergers.items()}
        for one in merged.values():
            one[~anything] = np.nan
        yield Opinion(clip, merged, seen)


def probabilities(task: str, output: torch.Tensor) -> torch.Tensor:
    """What a network gives ([..., K]) as values (``va``) or probabilities."""
    if task == "va":
        return output
    return output.softmax(-1) if task == "expr" else output.sigmoid()
