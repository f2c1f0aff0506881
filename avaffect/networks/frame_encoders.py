"""Encoders: from the crops of a window to features of its frames.

An encoder takes pictures, uint8 or float [B, T, S, S, 3] RGB in 0..255, and bool [B, T], where
there is a face; it gives float [B, T, size], zeros elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from avaffect.networks.backbones import BackboneEncoder
from avaffect.networks.phase import PhaseEncoder
from avaffect.recipes.encoders import Encoder

# Pictures at a time where no gradient is wanted: a CPU's cache holds few, a GPU wants many.
_AT_A_TIME = {"cpu": 16, "cuda": 512}


class FrameEncoder(nn.Module):
    """A net that looks at each picture for itself; frames without a face cost nothing.

    Args:
        net: float [M, size] from [M, S, S, 3], with an attribute ``size``.

    Attributes:
        size: width of what it gives.
    """

    def __init__(self, net: BackboneEncoder) -> None:
        super().__init__()
        self.net = net
        self.size = int(net.size)

    def forward(self, pictures: Tensor, seen: Tensor) -> Tensor:
        if torch.jit.is_tracing():  # for export: no sizes that depend on what is seen
            flat = self.net(pictures.flatten(0, 1))
            out = flat.reshape(pictures.shape[0], pictures.shape[1], self.size)
            return out * seen[..., None]
        features = self._encode(pictures[seen])
        whole = features.new_zeros((*seen.shape, self.size))
        return whole.masked_scatter(seen[..., None], features)

    def _encode(self, pictures: Tensor) -> Tensor:
        step = _AT_A_TIME.get(pictures.device.type, len(pictures))
        if torch.is_grad_enabled() or len(pictures) <= step:
            return self.net(pictures)
        return torch.cat([self.net(part) for part in pictures.split(step)])


FRAME_ENCODERS: dict[str, Callable[[Any], nn.Module]] = {
    "backbone": lambda config: FrameEncoder(BackboneEncoder(config)),
    "phase": PhaseEncoder,
}


def build_encoder(config: Encoder) -> nn.Module:
    """The encoder that ``config`` describes, with random weights."""
    return FRAME_ENCODERS[config.kind](config)
