"""From a batch to a loss: what happens to a training window on its way."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from avaffect.networks.network import AffectNetwork
from avaffect.training.augment import augment, mixing, perturb_voice, stretch
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
        if train.augment.stretch:
            batch = stretch(batch, train.augment.stretch)
        seen = network.drop_modalities(batch.seen, train.modality_dropout)
        inputs = {
            name: perturb_voice(batch.inputs[name], train.augment)
            if branch.features == ("audio",)
            else batch.inputs[name]
            for name, branch in network.recipe.branches.items()
        }
        features = network.standardise(inputs, seen)
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
