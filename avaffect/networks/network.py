"""The network: standardised features, a branch a modality, fusion, a head a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avaffect.errors import UsageError
from avaffect.networks.blocks import build_block, lengthen, shorten
from avaffect.networks.fusion import FUSIONS
from avaffect.networks.heads import TaskHead
from avaffect.recipes.recipe import Branch, Recipe

_LIMIT = 10.0


@dataclass(frozen=True)
class Statistics:
    """Of a branch's features over the training frames.

    Attributes:
        mean: float32 [F].
        deviation: float32 [F], positive.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.mean.shape != self.deviation.shape:
            raise ValueError("mean and deviation must be vectors of one length")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.deviation).all()):
            raise ValueError("mean and deviation must be finite")
        if (self.deviation <= 0).any():
            raise ValueError("deviations must be positive")


class BranchNetwork(nn.Module):
    """One modality's way up to the fusion.

    Attributes:
        size: width of what it gives.
        mean, deviation: float32 [F], what features are standardised by.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, config: Branch) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        self.blocks = nn.ModuleList()
        for block in config.layers:
            self.blocks.append(build_block(width, block))
            width = int(self.blocks[-1].size)  # type: ignore[arg-type]
        self.size = width

    def standardise(self, x: Tensor, seen: Tensor) -> Tensor:
        """Zero where nothing is seen, and in single cells that are not finite; within +-10."""
        x = (x.float() - self.mean) / self.deviation
        x = torch.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)
        # A feature that hardly moved in training may be thousands of deviations off in a video of
        # another kind, and would drown everything else.
        return x.clamp(-_LIMIT, _LIMIT) * seen[..., None]

    def forward(self, x: Tensor, exists: Tensor, seen: Tensor) -> Tensor:
        frames, stride = x.shape[1], 1
        for block in self.blocks:
            x = block(x, exists, seen)
            if (step := int(getattr(block, "stride", 1))) > 1:
                stride *= step
                exists, seen = shorten(exists, step), shorten(seen, step)
        return lengthen(x, stride, frames) if stride > 1 else x


class AffectNetwork(nn.Module):
    """What a :class:`Recipe` describes.

    Args:
        recipe: the recipe.
        widths: by branch, how many features a frame has.
        outputs: by task, how many values it wants.
    """

    def __init__(
        self, recipe: Recipe, widths: Mapping[str, int], outputs: Mapping[str, int]
    ) -> None:
        super().__init__()
        self.recipe = recipe
        try:
            self.branches = nn.ModuleDict(
                {name: BranchNetwork(widths[name], one) for name, one in recipe.branches.items()}
            )
        except KeyError as error:  # torch keeps some names for itself
            raise UsageError(
                f"a branch has a name that cannot be used: {error}", "give it another name"
            ) from error
        sizes = [int(one.size) for one in self.branches.values()]  # type: ignore[arg-type]
        late = recipe.fusion.kind == "late"
        self.fusion = None if late else FUSIONS[recipe.fusion.kind](sizes, recipe.fusion)
        entries = sizes if late else [int(self.fusion.size)]  # type: ignore[union-attr,arg-type]
        self.heads = nn.ModuleDict(
            {
                task: nn.ModuleList(
                    TaskHead(width, outputs[task], recipe.head, bounded=task == "va")
                    for width in entries
                )
                for task in recipe.task_names
            }
        )

    def set_statistics(self, statistics: Mapping[str, Statistics]) -> None:
        """Standardise the named branches by these from now on."""
        for name, one in statistics.items():
            branch = self.branches[name]
            branch.mean.copy_(torch.from_numpy(one.mean))  # type: ignore[operator]
            branch.deviation.copy_(torch.from_numpy(one.deviation))  # type: ignore[operator]

    def standardise(
        self, inputs: Mapping[str, Tensor], seen: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Features as the branches read them.

        Args:
            inputs: by branch, float [B, T, F].
            seen: by branch, bool [B, T].

        Returns:
            By branch, float32 [B, T, F], zeros where nothing is seen.
        """
        return {
            name: branch.standardise(inputs[name], seen[name])  # type: ignore[operator]
            for name, branch in self.branches.items()
        }

    def forward(
        self, inputs: Mapping[str, Tensor], seen: Mapping[str, Tensor], exists: Tensor
    ) -> dict[str, Tensor]:
        """From raw features to what the tasks want.

        Args:
            inputs: by branch, float [B, T, F] as the feature store holds them.
            seen: by branch, bool [B, T], where the modality is there.
            exists: bool [B, T], False in padding at the end of short clips.

        Returns:
            By task, float32 [B, T, K]: ``va`` in [-1, 1], of ``expr`` and ``au`` logits. Frames
            in which no branch is seen hold no meaningful values.
        """
        return self.decide(self.standardise(inputs, seen), seen, exists)

    def decide(
        self, features: Mapping[str, Tensor], seen: Mapping[str, Tensor], exists: Tensor
    ) -> dict[str, Tensor]:
        """As :meth:`forward`, from standardised features."""
        there = [seen[name] for name in self.branches]
        ups = [one(features[name], exists, seen[name]) for name, one in self.branches.items()]
        anything = torch.stack(there).any(0)
        if self.fusion is not None:
            fused = self.fusion(ups, there)
            return {task: head[0](fused, anything) for task, head in self.heads.items()}  # type: ignore[index]
        out = {}
        for task, heads in self.heads.items():
            opinions = [heads[i](up, there[i]) for i, up in enumerate(ups)]  # type: ignore[index]
            out[task] = _average(task, torch.stack(opinions), torch.stack(there))
        return out

    def drop_modalities(
        self, seen: Mapping[str, Tensor], chance: float, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """``seen`` without some windows' modalities, never without all that a window has.

        Args:
            seen: by branch, bool [B, T].
            chance: that a window loses a modality.
            generator: a CPU generator; None takes torch's own.
        """
        names = self.recipe.modalities
        if len(names) < 2 or chance == 0:
            return dict(seen)
        of = {name: self.recipe.branches[name].modality for name in self.branches}
        first = next(iter(seen.values()))
        drop = torch.rand((len(first), len(names)), generator=generator) < chance
        drop = drop.to(first.device)
        has = torch.stack(
            [
                torch.stack([seen[b].any(1) for b in self.branches if of[b] == name]).any(0)
                for name in names
            ],
            dim=1,
        )
        keep = ~drop | ~(has & ~drop).any(1, keepdim=True)
        return {name: one & keep[:, names.index(of[name])][:, None] for name, one in seen.items()}


def _average(task: str, opinions: Tensor, seen: Tensor) -> Tensor:
    """The mean of the opinions [M, B, T, K] of the branches that see the frame, seen [M, B, T]."""
    weights = seen[..., None].float()
    total = weights.sum(0).clamp(min=1)
    if task == "va":
        return (opinions * weights).sum(0) / total
    # Probabilities are averaged, and given back as logits.
    if task == "expr":
        mean = (opinions.softmax(-1) * weights).sum(0) / total
        return mean.clamp(min=1e-7).log()
    mean = (opinions.sigmoid() * weights).sum(0) / total
    return torch.logit(mean, eps=1e-7)
