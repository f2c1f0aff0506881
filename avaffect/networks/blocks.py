"""Blocks: what a branch is made of, each a map from frames to frames.

Every block takes ``x`` float [B, T, F] and two bool [B, T] masks, and gives float [B, T, size]:

- ``exists``: False where a clip shorter than its window was padded, always at the end. What
  stands there changes nothing elsewhere.
- ``seen``: False also where the modality is missing (no face, no sound). Such frames hold zeros,
  the mean of standardised features, and take no part in statistics.

A block whose attribute ``stride`` is not 1 makes one frame of so many, see :func:`shorten`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from avaffect.networks.transformers import (
    EncoderDecoderBlock,
    LocalAttentionBlock,
    TransformerBlock,
)
from avaffect.recipes.blocks import Block, Dense, EncoderDecoder, Recurrent, Tcn, UpDown

ACTIVATIONS: dict[str, Callable[[int], nn.Module]] = {
    "none": lambda size: nn.Identity(),
    "relu": lambda size: nn.ReLU(),
    # A slope a unit, shared over time, 0 at first as in Keras, where the first paper was made.
    "prelu": lambda size: LastPReLU(size),
    "gelu": lambda size: nn.GELU(),
    "tanh": lambda size: nn.Tanh(),
}


class LastPReLU(nn.PReLU):
    """PReLU with a slope for each feature of the last dimension."""

    def __init__(self, size: int) -> None:
        super().__init__(size, init=0.0)

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x >= 0, x, self.weight * x)


class MaskedBatchNorm(nn.BatchNorm1d):
    """Batch normalisation of [B, T, F] over the seen frames of a batch only.

    A batch with fewer than two of them has no variance: it is normalised by the running
    statistics, and they stay.
    """

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        assert self.running_mean is not None and self.running_var is not None  # noqa: S101
        x32 = x.float()
        if not self.training:
            mean, var = self.running_mean, self.running_var
        else:
            weight = torch.ones_like(x32[..., :1]) if seen is None else seen[..., None].float()
            count = weight.sum()
            enough = count > 1
            mean = (x32 * weight).sum((0, 1)) / count.clamp(min=1)
            var = ((x32 - mean).square() * weight).sum((0, 1)) / count.clamp(min=1)
            with torch.no_grad():
                step = torch.where(enough, self.momentum or 0.0, 0.0)
                unbiased = var * count / (count - 1).clamp(min=1)
                self.running_mean.lerp_(mean, step)
                self.running_var.lerp_(unbiased, step)
            mean = torch.where(enough, mean, self.running_mean)
            var = torch.where(enough, var, self.running_var)
        return (x32 - mean) * torch.rsqrt(var + self.eps) * self.weight + self.bias


class After(nn.Module):
    """The modules behind a layer: activation, dropout, norm.

    Args:
        size: features of a frame.
        activation: a key of `ACTIVATIONS`.
        dropout: chance of each value to become 0.
        norm: ``none``, ``batch`` or ``layer``.
        order: of these steps; one that it lacks is left out.
    """

    def __init__(
        self,
        size: int,
        activation: str,
        dropout: float,
        norm: str,
        order: Sequence[str] = ("activation", "dropout", "norm"),
    ) -> None:
        super().__init__()
        self.order = tuple(order)
        self.activation = ACTIVATIONS[activation](size)
        self.dropout = nn.Dropout(dropout)
        self.batch = MaskedBatchNorm(size) if norm == "batch" else None
        self.layer = nn.LayerNorm(size) if norm == "layer" else None

    def forward(self, x: Tensor, seen: Tensor | None) -> Tensor:
        for step in self.order:
            if step == "activation":
                x = self.activation(x)
            elif step == "dropout":
                x = self.dropout(x)
            elif self.batch is not None:
                x = self.batch(x, seen)
            elif self.layer is not None:
                x = self.layer(x)
        return x


def shorten(mask: Tensor, stride: int) -> Tensor:
    """bool [B, ceil(T / stride)]: whether any of ``stride`` frames in a row is set."""
    grouped = functional.max_pool1d(mask[:, None].float(), stride, ceil_mode=True)
    return grouped[:, 0] > 0


def lengthen(x: Tensor, stride: int, frames: int) -> Tensor:
    """[B, frames, F] of x [B, T, F], each frame ``stride`` times in a row."""
    repeated = x[:, :, None].expand(-1, -1, stride, -1)
    return repeated.reshape(x.shape[0], -1, x.shape[2])[:, :frames]


class DenseBlock(nn.Module):
    """Dense layers on each frame for itself.

    Attributes:
        size: width of what it gives.
    """

    def __init__(self, width: int, config: Dense) -> None:
        super().__init__()
        sizes = (width, *config.units)
        self.layers = nn.ModuleList(map(nn.Linear, sizes, config.units))
        first = config.order.index("dense")
        self.first_dropout = nn.Dropout(config.dropout) if first else None
        self.after = nn.ModuleList(
            After(size, config.activation, config.dropout, config.norm, config.order[first + 1 :])
            for size in config.units
        )
        self.size = sizes[-1]

    def forward(self, x: Tensor, exists: Tensor, seen: Tensor) -> Tensor:
        for layer, after in zip(self.layers, self.after, strict=True):
            if self.first_dropout is not None:
                x = self.first_dropout(x)
            x = after(layer(x), seen)
        return x


class RecurrentBlock(nn.Module):
    """A stack of GRU or LSTM layers, one or both ways; hidden states start at zero.

    Attributes:
        size: width of what it gives, the sum of both directions.
    """

    def __init__(self, width: int, config: Recurrent) -> None:
        super().__init__()
        cell = nn.GRU if "gru" in config.kind else nn.LSTM
        ways = 2 if config.kind.startswith("bi") else 1
        self.forwards, self.backwards, self.after = (nn.ModuleList() for _ in range(3))
        self.skips = nn.ModuleList()
        for i, units in enumerate(config.units, start=1):
            self.forwards.append(cell(width, units, batch_first=True))
            if ways == 2:
                self.backwards.append(cell(width, units, batch_first=True))
            if config.residual:
                self.skips.append(_skip(width, ways * units))
            width = ways * units
            drops = i < len(config.units) or config.last_dropout
            dropout = config.dropout if drops else 0.0
            self.after.append(After(width, config.activation, dropout, config.norm))
        self.size = width

    def forward(self, x: Tensor, exists: Tensor, seen: Tensor) -> Tensor:
        back = _reversal(exists)
        for i, (layer, after) in enumerate(zip(self.forwards, self.after, strict=True)):
            out = _run(layer, x)
            if self.backwards:
                # Reversed within its own length, so that a padded window gives what it would
                # give unpadded.
                other = _run(self.backwards[i], _take(x, back))
                out = torch.cat((out, _take(other, back)), dim=-1)
            out = after(out, seen)
            x = out + self.skips[i](x) if self.skips else out
        return x


def _run(layer: nn.Module, x: Tensor) -> Tensor:
    """The states of a recurrent layer, float32 also under autocast: there cuDNN's would compute in
    float16, whatever half precision was asked for, and lose small gradients without a scaler."""
    with torch.autocast(x.device.type, enabled=False):
        states: Tensor = layer(x.float())[0]
        return states


def _skip(width: int, units: int) -> nn.Module:
    return nn.Identity() if width == units else nn.Linear(width, units)


def _reversal(exists: Tensor) -> Tensor:
    """int64 [B, T], where each frame goes when what exists is reversed and the rest stays."""
    length = exists.sum(1, keepdim=True)
    at = torch.arange(exists.shape[1], device=exists.device)[None]
    return torch.where(exists, length - 1 - at, at)


def _take(x: Tensor, frames: Tensor) -> Tensor:
    return x.gather(1, frames[..., None].expand(-1, -1, x.shape[2]))


class TcnBlock(nn.Module):
    """Temporal convolutions; beyond the ends of what exists lie zeros.

    Attributes:
        size: width of what it gives.
        stride: frames that become one.
    """

    def __init__(self, width: int, config: Tcn) -> None:
        super().__init__()
        self.causal = config.causal
        self.depth = config.depth
        self.reaches: list[int] = []
        self.layers, self.after, self.skips = (nn.ModuleList() for _ in range(3))
        for i, units in enumerate(config.units):
            dilation = 2**i if config.dilate else 1
            if config.residual:
                self.skips.append(_skip(width, units))
            for _ in range(config.depth):
                self.reaches.append((config.kernel - 1) * dilation)
                self.layers.append(nn.Conv1d(width, units, config.kernel, dilation=dilation))
                after = After(units, config.activation, config.dropout, config.norm)
                self.after.append(after)
                width = units
        self.size = width
        self.pool = config.pool
        self.stride = config.pool ** len(config.units)

    def forward(self, x: Tensor, exists: Tensor, seen: Tensor) -> Tensor:
        for i in range(len(self.layers)):
            x = x * exists[..., None]
            if i % self.depth == 0:
                entry = x
            before = self.reaches[i] if self.causal else self.reaches[i] // 2
            padded = functional.pad(x.transpose(1, 2), (before, self.reaches[i] - before))
            x = self.after[i](self.layers[i](padded).transpose(1, 2), seen)
            if (i + 1) % self.depth:
                continue
            if self.skips:
                x = x + self.skips[i // self.depth](entry)
            if self.pool > 1:
                # Far below any activation, so that padding never is the largest.
                x = x.masked_fill(~exists[..., None], -1e4)
                pooled = functional.max_pool1d(x.transpose(1, 2), self.pool, ceil_mode=True)
                exists, seen = shorten(exists, self.pool), shorten(seen, self.pool)
                x = pooled.transpose(1, 2) * exists[..., None]
        return x


class UpDownBlock(nn.Module):
    """Two dense layers with ReLU, wider and back again: F_ec of Nguyen et al. (ABAW3), equation 8.

    Attributes:
        size: width of what it gives, that of the input.
    """

    def __init__(self, width: int, config: UpDown) -> None:
        super().__init__()
        self.size = width
        inner = round(config.factor * width)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
        for layer in (self.up, self.down):
            # He initialisation, as the paper has it.
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, exists: Tensor, seen: Tensor) -> Tensor:
        x = self.dropout(functional.relu(self.up(x)))
        out: Tensor = self.dropout(functional.relu(self.down(x)))
        return out


BLOCKS: dict[str, Callable[[int, Any], nn.Module]] = {
    "mlp": DenseBlock,
    "gru": RecurrentBlock,
    "bigru": RecurrentBlock,
    "lstm": RecurrentBlock,
    "bilstm": RecurrentBlock,
    "tcn": TcnBlock,
    "transformer": TransformerBlock,
    "encoder_decoder": EncoderDecoderBlock,
    "local_attention": LocalAttentionBlock,
    "up_down": UpDownBlock,
}


def build_block(width: int, config: Block, target: int | None = None) -> nn.Module:
    """The block that ``config`` describes.

    Args:
        width: features of its input.
        config: the settings.
        target: features of what the decoder of an ``encoder_decoder`` reads; None for its input.
    """
    if isinstance(config, EncoderDecoder):
        return EncoderDecoderBlock(width, config, target)
    return BLOCKS[config.kind](width, config)
