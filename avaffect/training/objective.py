"""From a batch to a loss: what happens to a training window on its way."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from avaffect.networks.network import AffectNetwork, NetworkOutputs
from avaffect.networks.polarity import BETWEEN, polarity_of
from avaffect.tasks.registry import VA
from avaffect.training.augment import augment, mixing, perturb_voice, stretch
from avaffect.training.augment_pictures import augment_pictures
from avaffect.training.losses import TaskLoss, cross_entropy, multi_task_loss
from avaffect.windows.batch import Batch


class Objective(nn.Module):
    """The network and its losses as one module, which is what DistributedDataParallel wraps.

    Args:
        network: the network.
        losses: by task, see :func:`avaffect.training.losses.build_loss`.

    Attributes:
        epoch: from 0, which the loop sets: with polarity the first ones train it alone.
        log_variances: by task, where the recipe weighs tasks by their uncertainty; else empty.
    """

    def __init__(self, network: AffectNetwork, losses: Mapping[str, TaskLoss]) -> None:
        super().__init__()
        self.network = network
        self.losses = nn.ModuleDict(dict(losses))
        self.epoch = 0
        learnt = network.recipe.train.weighting == "uncertainty"
        self.log_variances = nn.ParameterDict(
            {task: nn.Parameter(torch.zeros(())) for task in losses if learnt}
        )

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, with the recipe's augmentation and modality dropout.

        Returns:
            A scalar; and by task its part, without its weight and without gradient, of the
            network's main heads alone; ``polarity`` where there is one, and
            ``<task> log variance`` where these are learnt.
        """
        network, train = self.network, self.network.recipe.train
        if train.augment.stretch:
            batch = stretch(batch, train.augment.stretch)
        seen = network.drop_modalities(batch.seen, train.modality_dropout)
        features = self._features(batch.inputs, seen)
        # Frames whose only modality was dropped have nothing to be judged by.
        anything = torch.stack([*network.in_window(seen).values()]).any(0)
        valid = _within(batch.valid, anything)
        if not train.augment.mixup:
            outputs = network.outputs(features, seen, batch.exists)
            return self._loss(outputs, seen, batch.targets, valid)
        share, other = mixing(len(batch), train.augment.mixup)
        mixed = {name: share * x + (1 - share) * x[other] for name, x in features.items()}
        both = {name: mask | mask[other] for name, mask in seen.items()}
        outputs = network.outputs(mixed, both, batch.exists | batch.exists[other])
        loss, parts = self._loss(outputs, both, batch.targets, valid)
        second, _ = self._loss(
            outputs,
            both,
            {task: target[other] for task, target in batch.targets.items()},
            {task: mask[other] for task, mask in valid.items()},
        )
        return share * loss + (1 - share) * second, parts

    def _features(
        self, batch: Mapping[str, Tensor], seen: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """By branch that reads features, augmented and standardised; pictures once for all."""
        network, config = self.network, self.network.recipe.train.augment
        found: dict[str, Tensor] = {}
        pictures: dict[int, Tensor] = {}
        for name, branch in network.recipe.roots.items():
            x = batch[name]
            if branch.encoder is not None:
                if id(x) not in pictures:
                    pictures[id(x)] = augment_pictures(x, config)
                found[name] = pictures[id(x)]
                continue
            if branch.features == ("audio",):
                x = perturb_voice(x, config)
            x = network.branches[name].standardise(x, seen[name])  # type: ignore[operator]
            found[name] = augment(x, seen[name], config)
        return found

    def _loss(
        self,
        outputs: NetworkOutputs,
        seen: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        valid: Mapping[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        if outputs.polarity is not None:
            return self._polar_loss(outputs, seen, targets, valid)
        loss, parts = self._tasks(outputs.main, targets, valid)
        if outputs.auxiliary:
            whole = self.network.seen(seen)
            every = [loss]
            for name, predicted in outputs.auxiliary.items():
                every.append(self._tasks(predicted, targets, _within(valid, whole[name]))[0])
            loss = torch.stack(every).mean()
        return loss, parts

    def _polar_loss(
        self,
        outputs: NetworkOutputs,
        seen: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        valid: Mapping[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The classifiers' cross-entropy, and the other losses without the extremes of ``va``."""
        config, logits = self.network.recipe.polarity, outputs.polarity
        assert config is not None and logits is not None  # noqa: S101 - by the caller
        if VA.name not in targets:
            classes, known = logits.new_zeros(logits.shape[:-1]).long(), None
        else:
            classes, known = polarity_of(targets[VA.name]), valid[VA.name]
            valid = {**valid, VA.name: known & (classes == BETWEEN)}
        nowhere = torch.zeros_like(classes, dtype=torch.bool)
        # Each dimension is a sequence of its own to the loss: [B, T * V, 3].
        doubt = cross_entropy(
            logits.flatten(1, 2),
            classes.flatten(1, 2),
            (nowhere if known is None else known).flatten(1, 2),
        )
        loss, parts = self._loss(
            NetworkOutputs(outputs.main, outputs.auxiliary), seen, targets, valid
        )
        alone = self.epoch < config.epochs
        # Times nothing, and not left out: a distributed run waits for every gradient.
        loss = doubt + 0.0 * loss if alone else loss + config.weight * doubt
        return loss, {**parts, "polarity": doubt.detach()}

    def _tasks(
        self,
        outputs: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
        valid: Mapping[str, Tensor],
    ) -> tuple[Tensor, dict[str, Tensor]]:
        configs = {str(task): loss for task, loss in self.network.recipe.tasks.items()}
        learnt = dict(self.log_variances.items())
        loss, parts = multi_task_loss(
            dict(self.losses.items()), configs, outputs, targets, valid, learnt or None
        )
        shown = {f"{task} log variance": value.detach() for task, value in learnt.items()}
        return loss, parts | shown


def _within(valid: Mapping[str, Tensor], there: Tensor) -> dict[str, Tensor]:
    """``valid``, by task, where ``there`` (bool [B, T])."""
    return {
        task: mask & (there if mask.ndim == 2 else there[..., None])
        for task, mask in valid.items()
    }
