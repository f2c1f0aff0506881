"""From a batch to a loss: what happens to a training window on its way."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from avaffect.networks.network import AffectNetwork
from avaffect.recipes.recipe import Augment
from avaffect.training.losses import TaskLoss, multi_task_loss
from avaffect.windows.batch import Batch


class Objective(nn.Module):
    """The network and its losses as one module, which is what DistributedDataParallel wraps.

    Args:
        network: the network.
        losses: by task, see :func:`avaffect.training.losses.build_loss`.
    """

    def __init__(self, network: AffectNetwork, losses: Mapping[str, TaskLoss]) -> None:
        super().__init__()
        self.network = network
        self.losses = nn.ModuleDict(dict(losses))

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, with the recipe's augmentation and modality dropout.

        Returns:
            A scalar; and by task its part, without its weight and without gradient.
        """
        network, train = self.network, self.network.recipe.train
        seen = network.drop_modalities(batch.seen, train.modality_dropout)
        features = network.standardise(batch.inputs, seen)
        features = {name: augment(x, seen[name], train.augment) for name, x in features.items()}
        # Frames whose only modality was dropped have nothing to be judged by.
        anything = torch.stack(list(seen.values())).any(0)
        valid = {
            task: one & (anything if one.ndim == 2 else anything[..., None])
            for task, one in batch.valid.items()
        }
        if not train.augment.mixup:
            outputs = network.decide(features, seen, batch.exists)
            return self._loss(outputs, batch.targets, valid)
        share, other = mixing(len(batch), train.augment.mixup)
        mixed = {name: share * x + (1 - share) * x[other] for name, x in features.items()}
        both = {name: one | one[other] for name, one in seen.items()}
        outputs = network.decide(mixed, both, batch.exists | batch.exists[other])
        loss, parts = self._loss(outputs, batch.targets, valid)
        second, _ = self._loss(
            outputs,
            {task: one[other] for task, one in batch.targets.items()},
            {task: one[other] for task, one in valid.items()},
        )
        return share * loss + (1 - share) * second, parts

    def _loss(
        self,
        outputs: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        valid: Mapping[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        configs = {str(task): loss for task, loss in self.network.recipe.tasks.items()}
        return multi_task_loss(dict(self.losses.items()), configs, outputs, targets, valid)


def mixing(windows: int, alpha: float) -> tuple[float, Tensor]:
    """How much of itself a window keeps, at least half, and which window it is mixed with.

    One share for a batch, from Beta(alpha, alpha) (Zhang et al. 2018, as in its code).
    """
    first, second = torch._standard_gamma(torch.tensor([alpha, alpha])).tolist()
    share = first / (first + second) if first + second else 1.0
    return max(share, 1 - share), torch.randperm(windows)


def augment(x: Tensor, seen: Tensor, config: Augment) -> Tensor:
    """Change standardised windows.

    Args:
        x: float32 [B, T, F].
        seen: bool [B, T]; frames that are not seen stay zero.
        config: how.

    Returns:
        As ``x``.
    """
    windows, frames, width = x.shape
    if config.noise:
        x = x + config.noise * torch.randn_like(x)
    if config.gain:
        x = x + config.gain * torch.randn(windows, 1, 1, device=x.device)
    for _ in range(config.feature_masks):
        x = x * ~_spans(windows, width, config.feature_mask, x.device)[:, None, :]
    for _ in range(config.time_masks):
        x = x * ~_spans(windows, frames, config.time_mask, x.device)[:, :, None]
    return x * seen[..., None]


def _spans(windows: int, size: int, longest: int, device: torch.device) -> Tensor:
    """bool [windows, size], a span of 0 to ``longest`` places in each, anywhere."""
    longest = min(longest, size)
    length = torch.randint(0, longest + 1, (windows, 1), device=device)
    start = (torch.rand(windows, 1, device=device) * (size - length + 1)).long()
    at = torch.arange(size, device=device)[None]
    return (at >= start) & (at < start + length)
