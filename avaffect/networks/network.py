"""The network: standardised features, a branch a modality, fusion, a head a task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avaffect.arrays import ArrayRecord
from avaffect.errors import UsageError
from avaffect.labels import OTHER
from avaffect.networks.blocks import build_block, lengthen, shorten
from avaffect.networks.frame_encoders import build_encoder
from avaffect.networks.fusion import FUSIONS
from avaffect.networks.heads import TaskHead, by_threshold
from avaffect.networks.polarity import PolarityHead, decided
from avaffect.networks.transformers import EncoderDecoderBlock
from avaffect.recipes.recipe import Branch, Head, Recipe
from avaffect.tasks.registry import EXPR, TASKS, VA

MOST_VALUES = 500_000_000
_LIMIT = 10.0


@dataclass(frozen=True, eq=False, repr=False)
class Statistics(ArrayRecord):
    """Of a branch's features over the training frames.

    Attributes:
        mean: float32 [F].
        deviation: float32 [F], positive.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.mean.ndim != 1 or self.mean.shape != self.deviation.shape:
            raise UsageError("mean and deviation must be vectors of one length")
        if not (np.isfinite(self.mean).all() and np.isfinite(self.deviation).all()):
            raise UsageError("mean and deviation must be finite")
        if (self.deviation <= 0).any():
            raise UsageError("deviations must be positive")


class BranchNetwork(nn.Module):
    """A branch's way up to the fusion.

    Args:
        width: features of its input; without meaning for an encoder.
        config: the branch.
        target: features of its target, None without one.
        margin: frames beside the window that its input has on each side; of these its encoder
            gets as many as it looks at.

    Attributes:
        size: width of what it gives.
        mean, deviation: float32 [F], what features are standardised by.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, width: int, config: Branch, target: int | None = None, margin: int = 0
    ) -> None:
        super().__init__()
        self.margin, self.beyond = margin, margin - config.margin
        self.encoder = None if config.encoder is None else build_encoder(config.encoder)
        if self.encoder is not None:
            width = int(self.encoder.size)  # type: ignore[arg-type]
        elif config.input is None:
            self.register_buffer("mean", torch.zeros(width))
            self.register_buffer("deviation", torch.ones(width))
        self.blocks = nn.ModuleList()
        for block in config.layers:
            self.blocks.append(build_block(width, block, target))
            width = int(self.blocks[-1].size)  # type: ignore[arg-type]
        self.size = width

    def standardise(self, x: Tensor, seen: Tensor) -> Tensor:
        """Zero where nothing is seen, and in single cells that are not finite; within +-10.

        Pictures stay as they are.
        """
        if self.encoder is not None:
            return x
        x = (x.float() - self.mean) / self.deviation
        x = torch.nan_to_num(x, nan=0.0, posinf=0.0, neginf=0.0)
        # A feature that hardly moved in training may be thousands of deviations off in a video of
        # another kind, and would drown everything else.
        return x.clamp(-_LIMIT, _LIMIT) * seen[..., None]

    def forward(
        self, x: Tensor, exists: Tensor, seen: Tensor, target: Tensor | None = None
    ) -> Tensor:
        frames, stride = exists.shape[1], 1
        if self.encoder is not None:
            x = self.encoder(within(x, self.beyond), within(seen, self.beyond))
            seen = within(seen, self.margin)
        for block in self.blocks:
            if target is not None and isinstance(block, EncoderDecoderBlock):
                x = block(x, exists, seen, target)
            else:
                x = block(x, exists, seen)
            if (step := int(getattr(block, "stride", 1))) > 1:
                stride *= step
                exists, seen = shorten(exists, step), shorten(seen, step)
        return lengthen(x, stride, frames) if stride > 1 else x


@dataclass(frozen=True, eq=False, repr=False)
class NetworkOutputs(ArrayRecord):
    """The outputs of a network in training.

    Attributes:
        main: by task, float32 [B, T, K]: values of ``va``, else logits.
        auxiliary: likewise, by branch.
        polarity: logits of -1, other, +1, float32 [B, T, V, 3]; ``va`` of ``main`` is then what
            the regression predicts, also where they choose an extreme.
    """

    main: dict[str, Tensor]
    auxiliary: dict[str, dict[str, Tensor]]
    polarity: Tensor | None = None


class AffectNetwork(nn.Module):
    """The network that a :class:`Recipe` describes.

    Args:
        recipe: the recipe.
        widths: by branch that reads features, how many a frame has.
        outputs: by task, how many values it wants.

    Raises:
        UsageError: a branch's name, or sizes that do not go together.
    """

    def __init__(
        self, recipe: Recipe, widths: Mapping[str, int], outputs: Mapping[str, int]
    ) -> None:
        super().__init__()
        self.recipe = recipe
        expr, classes = recipe.tasks.get(EXPR.name), outputs.get(EXPR.name)
        if expr is not None and expr.other_threshold is not None and classes != OTHER + 1:
            raise UsageError(
                f"other_threshold wants the challenge's {OTHER + 1} expressions, the data has "
                f"{classes}",
                f"set tasks.{EXPR.name}.other_threshold=null",
            )
        sizes: dict[str, int] = {}
        self.branches = nn.ModuleDict()
        for name, branch in recipe.branches.items():
            width = widths[name] if branch.input is None else sizes[branch.input]
            target = None if branch.target is None else sizes[branch.target]
            margin = recipe.margins.get(name, 0)
            try:
                self.branches[name] = BranchNetwork(width, branch, target, margin)
            except KeyError as error:  # torch keeps some names for itself
                raise UsageError(
                    f"a branch has a name that cannot be used: {error}", "give it another name"
                ) from error
            sizes[name] = int(self.branches[name].size)  # type: ignore[arg-type]
        kind, fused = recipe.fusion.kind, [sizes[name] for name in recipe.fused]
        self.fusion = FUSIONS[kind](fused, recipe.fusion) if kind in FUSIONS else None
        width = 0 if self.fusion is None else int(self.fusion.size)  # type: ignore[arg-type]
        self.joint = nn.ModuleList()
        for block in recipe.fusion.layers:
            self.joint.append(build_block(width, block))
            width = int(self.joint[-1].size)  # type: ignore[arg-type]
        entries = fused if self.fusion is None else [width]

        def heads(entries: Sequence[int]) -> nn.ModuleDict:
            return nn.ModuleDict(
                {
                    task: nn.ModuleList(
                        PolarityHead(width, outputs[task], recipe.polarity)
                        if task == VA.name and recipe.polarity is not None
                        else TaskHead(width, outputs[task], recipe.head, TASKS[task].squash)
                        for width in entries
                    )
                    for task in recipe.task_names
                }
            )

        self.heads = heads(entries)
        apart = recipe.auxiliary if self.fusion is not None else ()
        self.auxiliary = nn.ModuleDict({name: heads([sizes[name]]) for name in apart})
        stack = Head(recipe.fusion.units, dropout=recipe.fusion.dropout)
        self.stack = nn.ModuleDict(
            {
                task: TaskHead(
                    len(fused) * outputs[task], outputs[task], stack, TASKS[task].squash
                )
                for task in recipe.task_names
                if kind == "stacked"
            }
        )

    def set_statistics(self, statistics: Mapping[str, Statistics]) -> None:
        """Standardise the named branches by these from now on."""
        for name, figures in statistics.items():
            branch = self.branches[name]
            branch.mean.copy_(torch.from_numpy(figures.mean))  # type: ignore[operator]
            branch.deviation.copy_(torch.from_numpy(figures.deviation))  # type: ignore[operator]

    def standardise(
        self, inputs: Mapping[str, Tensor], seen: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Features as the branches read them.

        Args:
            inputs: by branch that reads features, float [B, T, F], or pictures [B, T, S, S, 3].
            seen: by the same, bool [B, T].

        Returns:
            By the same, float32 [B, T, F], zeros where nothing is seen; pictures as they are.
        """
        return {
            name: self.branches[name].standardise(inputs[name], seen[name])  # type: ignore[operator]
            for name in self.recipe.roots
        }

    def forward(
        self, inputs: Mapping[str, Tensor], seen: Mapping[str, Tensor], exists: Tensor
    ) -> dict[str, Tensor]:
        """From raw features to what the tasks want.

        Args:
            inputs: by branch that reads features, float [B, T, F] as the feature store holds them,
                or pictures, uint8 or float [B, T, S, S, 3] RGB in 0..255, with as many frames more
                on each side as ``recipe.margins`` says.
            seen: by the same, bool, of the same frames, where the modality is there.
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
        return self.final(self.outputs(features, seen, exists))

    def final(self, outputs: NetworkOutputs) -> dict[str, Tensor]:
        """The output of :meth:`forward`, from that which training has losses for."""
        main = dict(outputs.main)
        if outputs.polarity is not None:
            main[VA.name] = decided(main[VA.name], outputs.polarity)
        loss = self.recipe.tasks.get(EXPR.name)
        if loss is not None and loss.other_threshold is not None:
            main[EXPR.name] = by_threshold(main[EXPR.name], loss.other_threshold)
        return main

    def outputs(
        self, features: Mapping[str, Tensor], seen: Mapping[str, Tensor], exists: Tensor
    ) -> NetworkOutputs:
        """Everything that training has losses for, from standardised features."""
        whole = self.seen(seen)
        roots = self.recipe.roots
        ups: dict[str, Tensor] = {}
        for name, config in self.recipe.branches.items():
            x = features[name] if config.input is None else ups[config.input]
            target = None if config.target is None else ups[config.target]
            there = seen[name] if name in roots else whole[name]
            ups[name] = self.branches[name](x, exists, there, target)
        fused = self.recipe.fused
        masks = [whole[name] for name in fused]
        anything = torch.stack(masks).any(0)
        if self.fusion is not None:
            joined = self.fusion([ups[name] for name in fused], masks)
            for block in self.joint:
                joined = block(joined, exists, anything)
            main, polarity = self._heads(self.heads, 0, joined, anything)
            auxiliary = {
                name: self._heads(heads, 0, ups[name], whole[name])[0]  # type: ignore[arg-type]
                for name, heads in self.auxiliary.items()
            }
            return NetworkOutputs(main, auxiliary, polarity)
        predicted = {
            name: self._heads(self.heads, i, ups[name], whole[name])[0]
            for i, name in enumerate(fused)
        }
        main = {}
        for task in self.heads:
            each = [predicted[name][task] for name in fused]
            if task in self.stack:
                silent = [x * mask[..., None] for x, mask in zip(each, masks, strict=True)]
                main[task] = self.stack[task](torch.cat(silent, dim=-1), anything)
            else:
                main[task] = _average(task, torch.stack(each), torch.stack(masks))
        return NetworkOutputs(main, {name: predicted[name] for name in self.recipe.auxiliary})

    def seen(self, seen: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By every branch, bool [B, T], from those that read features."""
        whole = self.in_window(seen)
        for name, config in self.recipe.branches.items():
            if config.input is not None:
                whole[name] = whole[config.input]
        return whole

    def in_window(self, seen: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """By branch that reads features, bool [B, T]: ``seen`` without the frames beside."""
        margins = self.recipe.margins
        return {name: within(seen[name], margin) for name, margin in margins.items()}

    @staticmethod
    def _heads(
        heads: nn.ModuleDict, which: int, x: Tensor, seen: Tensor
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """The predictions of the heads of that number, by task, and the logits of the polarity."""
        polarity, predicted = None, {}
        for task, some in heads.items():
            predicted[task] = some[which](x, seen)  # type: ignore[index]
            if isinstance(predicted[task], tuple):
                predicted[task], polarity = predicted[task]
        return predicted, polarity

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
        of = {name: branch.modality for name, branch in self.recipe.roots.items()}
        first = next(iter(seen.values()))
        drop = torch.rand((len(first), len(names)), generator=generator) < chance
        drop = drop.to(first.device)
        has = torch.stack(
            [torch.stack([seen[b].any(1) for b in of if of[b] == name]).any(0) for name in names],
            dim=1,
        )
        keep = ~drop | ~(has & ~drop).any(1, keepdim=True)
        return {
            name: mask & keep[:, names.index(of[name])][:, None] for name, mask in seen.items()
        }


def within(x: Tensor, margin: int) -> Tensor:
    """x [B, margin + T + margin, ...] without the margins."""
    return x[:, margin:-margin] if margin else x


def _average(task: str, predictions: Tensor, seen: Tensor) -> Tensor:
    """The mean of the predictions [M, B, T, K] of branches that see the frame, seen [M, B, T]."""
    weights = seen[..., None].float()
    total = weights.sum(0).clamp(min=1)
    # Probabilities are averaged, and given back as logits.
    ours = TASKS[task]
    mean: Tensor = ours.deactivate((ours.activate(predictions) * weights).sum(0) / total)
    return mean


def planned_shapes(
    recipe: Recipe, widths: Mapping[str, int], outputs: Mapping[str, int]
) -> dict[str, tuple[int, ...]]:
    """By name, the shapes of the weights that such an :class:`AffectNetwork` has.

    It is built without memory, which only a description that makes sense deserves.

    Raises:
        UsageError: it would have more than ``MOST_VALUES`` values; see also the network.
    """
    with torch.device("meta"):
        network = AffectNetwork(recipe, widths, outputs)
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    values = sum(math.prod(shape) for shape in shapes.values())
    if values > MOST_VALUES:
        raise UsageError(
            f"the network would have {values / 1e6:,.0f} million values",
            f"at most {MOST_VALUES / 1e6:,.0f} million are allowed: make its layers smaller",
        )
    return shapes
