"""Heads: from fused frames to what a task wants."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from avaffect.labels import OTHER
from avaffect.networks.blocks import After, DenseBlock
from avaffect.recipes.blocks import Dense
from avaffect.recipes.recipe import Head


def by_threshold(logits: Tensor, threshold: float) -> Tensor:
    """Logits by which Other is the likeliest class just where none of the others, a softmax over
    them alone, reaches ``threshold``; the probability of Other is its share beside theirs.

    Args:
        logits: [..., 8], of Other without meaning.
        threshold: between 0 and 1.
    """
    others = logits[..., :OTHER].log_softmax(-1)
    return torch.cat((others, torch.full_like(others[..., :1], math.log(threshold))), dim=-1)


class TaskHead(nn.Module):
    """Dense layers, pooling over the window if asked for, and one dense layer.

    Args:
        width: features of a frame that come in.
        outputs: values that come out.
        config: the layers.
        squash: what becomes of the last layer's outputs, see `tasks.task.Task.squash`; None leaves
            them as they are.
    """

    def __init__(
        self,
        width: int,
        outputs: int,
        config: Head,
        squash: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.layers: nn.Module | None = None
        if config.units:
            dense = Dense("mlp", config.units, config.activation, config.dropout, config.norm)
            self.layers = DenseBlock(width, dense)
            width = config.units[-1]
        self.pool = POOLS[config.pool](width)
        width = int(self.pool.size)  # type: ignore[arg-type]
        self.after = After(width, "none", 0.0, config.out_norm)
        self.dropout = nn.Dropout(config.out_dropout)
        self.out = nn.Linear(width, outputs)
        self.squash = squash

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        """Float32 [B, T, outputs] from [B, T, width] and where any branch is seen, bool [B, T]."""
        frames = x.shape[1]
        if self.layers is not None:
            x = self.layers(x, seen, seen)
        # The last layer in float32, also under autocast: logits of half precision train badly.
        with torch.autocast(x.device.type, enabled=False):
            pooled = self.pool(x.float(), seen)
            whole = seen if pooled.shape[1] == frames else seen.any(1, keepdim=True)
            out: Tensor = self.out(self.dropout(self.after(pooled, whole)))
            out = out if self.squash is None else self.squash(out)
        return out.expand(-1, frames, -1)


class NoPool(nn.Module):
    """Frames as they are, [B, T, size].

    Attributes:
        size: features of a frame, or of a window, that come out; of every pool.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.size = width

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        return x


class MeanPool(nn.Module):
    """The mean of the seen frames, [B, 1, size]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.size = width

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        weights = seen[..., None].to(x.dtype)
        return (x * weights).sum(1, keepdim=True) / weights.sum(1, keepdim=True).clamp(min=1)


class AttentionPool(nn.Module):
    """A weighted mean of the seen frames, the weights a softmax over time, [B, 1, size]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.size = width
        self.score = nn.Linear(width, 1)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        scores = self.score(x).masked_fill(~seen[..., None], -1e4)
        return (torch.softmax(scores, dim=1) * x).sum(1, keepdim=True)


class StatisticsPool(nn.Module):
    """Mean, standard deviation and maximum of the seen frames, [B, 1, size]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.size = 3 * width
        self.mean = MeanPool(width)

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        mean = self.mean(x, seen)
        spread = (self.mean((x - mean).square(), seen) + _TINY).sqrt()
        top = x.masked_fill(~seen[..., None], -1e4).amax(1, keepdim=True)
        top = torch.where(seen.any(1)[:, None, None], top, 0.0)
        return torch.cat((mean, spread, top), dim=-1)


class AttentiveStatisticsPool(nn.Module):
    """Mean and standard deviation, weighted by attention (Okabe et al. 2018), [B, 1, size]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.size = 2 * width
        self.score = nn.Sequential(nn.Linear(width, 64), nn.Tanh(), nn.Linear(64, 1))

    def forward(self, x: Tensor, seen: Tensor) -> Tensor:
        scores = self.score(x).masked_fill(~seen[..., None], -1e4)
        weights = torch.softmax(scores, dim=1)
        mean = (weights * x).sum(1, keepdim=True)
        spread = ((weights * (x - mean).square()).sum(1, keepdim=True) + _TINY).sqrt()
        return torch.cat((mean, spread), dim=-1)


# Keeps the root's gradient finite where nothing varies.
_TINY = 1e-5

POOLS: dict[str, Callable[[int], nn.Module]] = {
    "none": NoPool,
    "mean": MeanPool,
    "attention": AttentionPool,
    "statistics": StatisticsPool,
    "attentive_statistics": AttentiveStatisticsPool,
}
