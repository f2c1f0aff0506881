"""Fusion: several branches become one.

A fusion takes the branches' outputs, a list of float [B, T, F_i], and where each is seen, a list
of bool [B, T]; it gives float [B, T, size]. A branch adds nothing where it is not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from avaffect.networks.attention import Attention
from avaffect.recipes.recipe import Fusion


class Concatenate(nn.Module):
    """Branches side by side; zeros stand where a branch is not seen.

    Attributes:
        size: the sum of the branches' widths.
    """

    def __init__(self, widths: Sequence[int], config: Fusion) -> None:
        super().__init__()
        self.size = sum(widths)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, branches: Sequence[Tensor], seen: Sequence[Tensor]) -> Tensor:
        silent = [x * s[..., None] for x, s in zip(branches, seen, strict=True)]
        return self.dropout(torch.cat(silent, dim=-1))


class Gated(nn.Module):
    """Branches brought to one width and weighted, frame by frame, by a softmax over those seen.

    Attributes:
        size: that width.
    """

    def __init__(self, widths: Sequence[int], config: Fusion) -> None:
        super().__init__()
        self.size = config.size
        self.enter = nn.ModuleList(nn.Linear(width, config.size) for width in widths)
        self.gates = nn.ModuleList(nn.Linear(width, 1) for width in widths)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, branches: Sequence[Tensor], seen: Sequence[Tensor]) -> Tensor:
        values = torch.stack([e(x) for e, x in zip(self.enter, branches, strict=True)], dim=2)
        gates = torch.cat([g(x) for g, x in zip(self.gates, branches, strict=True)], dim=2)
        there = torch.stack(list(seen), dim=2)
        # A large finite number instead of infinity: where nothing is seen the weights stay
        # numbers, and are taken away behind the softmax.
        weights = torch.softmax(gates.float().masked_fill(~there, -1e4), dim=2) * there
        return self.dropout((values * weights[..., None]).sum(2))


class CrossAttention(nn.Module):
    """Each branch attends to the seen frames of all others; the results are added and normed.

    With one branch alone it attends to itself.

    Attributes:
        size: width times the number of branches.
    """

    def __init__(self, widths: Sequence[int], config: Fusion) -> None:
        super().__init__()
        self.size = config.size * len(widths)
        self.enter = nn.ModuleList(nn.Linear(width, config.size) for width in widths)
        self.attention = nn.ModuleList(
            Attention(config.size, config.heads, config.dropout) for _ in widths
        )
        self.norms = nn.ModuleList(nn.LayerNorm(config.size) for _ in widths)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, branches: Sequence[Tensor], seen: Sequence[Tensor]) -> Tensor:
        values = [e(x) for e, x in zip(self.enter, branches, strict=True)]
        parts = []
        for i, attention in enumerate(self.attention):
            others = [j for j in range(len(values)) if j != i] or [i]
            keys = torch.cat([values[j] for j in others], dim=1)
            there = torch.cat([seen[j] for j in others], dim=1)
            none = ~there.any(1)
            # Attention to nothing would be NaN; its result is taken away below.
            ignored = ~there & ~none[:, None]
            heard = attention(values[i], keys, ignored) * ~none[:, None, None]
            own = self.norms[i](values[i] + self.dropout(heard))
            parts.append(own * seen[i][..., None])
        return torch.cat(parts, dim=-1)


# `late` joins predictions and not branches: see `networks.network`.
FUSIONS: dict[str, Callable[[Sequence[int], Fusion], nn.Module]] = {
    "concat": Concatenate,
    "gated": Gated,
    "cross_attention": CrossAttention,
}
