"""Valence and arousal with classifiers of their extremes (Wang et al., ABAW5, section 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from avaffect.networks.blocks import DenseBlock
from avaffect.recipes.blocks import Dense
from avaffect.recipes.recipe import Polarity

LOWEST, BETWEEN, HIGHEST = range(3)


class PolarityHead(nn.Module):
    """A classifier (-1, other, +1) and a regression for each dimension.

    A dimension's regression reads the hidden features of the earlier dimensions' too: arousal
    those of valence.

    Args:
        width: features of a frame that come in.
        outputs: dimensions.
        config: the settings.
    """

    def __init__(self, width: int, outputs: int, config: Polarity) -> None:
        super().__init__()
        dense = Dense("mlp", config.units)
        size = config.units[-1]
        self.looks, self.classifiers, self.hidden, self.values = (
            nn.ModuleList() for _ in range(4)
        )
        for i in range(outputs):
            self.looks.append(DenseBlock(width, dense))
            self.classifiers.append(nn.Linear(size, 3))
            self.hidden.append(DenseBlock(width, dense))
            self.values.append(nn.Linear((i + 1) * size, 1))

    def forward(self, x: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Values of the regression and logits of the classifiers.

        Args:
            x: float [B, T, width].
            seen: bool [B, T].

        Returns:
            float32 [B, T, outputs] in [-1, 1], and [B, T, outputs, 3].
        """
        hidden = [layer(x, seen, seen) for layer in self.hidden]
        looks = [layer(x, seen, seen) for layer in self.looks]
        # In float32 also under autocast, as in every head.
        with torch.autocast(x.device.type, enabled=False):
            values = [
                layer(torch.cat(hidden[: i + 1], dim=-1).float())
                for i, layer in enumerate(self.values)
            ]
            logits = [
                layer(look.float()) for layer, look in zip(self.classifiers, looks, strict=True)
            ]
            return torch.tanh(torch.cat(values, dim=-1)), torch.stack(logits, dim=-2)


def decided(values: Tensor, logits: Tensor) -> Tensor:
    """``values`` [..., V], but -1 or 1 where classifiers (logits [..., V, 3]) choose it."""
    chosen = logits.argmax(-1)
    extreme = (chosen - BETWEEN).to(values.dtype)
    return torch.where(chosen == BETWEEN, values, extreme)


def polarity_of(target: Tensor) -> Tensor:
    """int64, the classes of values in [-1, 1]: the ends themselves, and everything between."""
    return BETWEEN + (target >= 1).long() - (target <= -1).long()
