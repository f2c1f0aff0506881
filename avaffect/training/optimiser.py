"""Optimisers and schedules of the learning rate, by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from torch import nn, optim

from avaffect.recipes.training import Train

_Parameters = Iterable[nn.Parameter] | Iterable[dict[str, Any]]

OPTIMISERS: dict[str, Callable[[_Parameters, Train], optim.Optimizer]] = {
    # alpha and eps as in Keras, where the first paper was made; torch's own are .99 and 1e-8.
    "rmsprop": lambda parameters, train: optim.RMSprop(
        parameters,
        train.lr,
        alpha=0.9,
        eps=1e-7,
        weight_decay=train.weight_decay,
        momentum=train.momentum,
    ),
    "adam": lambda parameters, train: optim.Adam(
        parameters, train.lr, weight_decay=train.weight_decay
    ),
    "adamw": lambda parameters, train: optim.AdamW(
        parameters, train.lr, weight_decay=train.weight_decay
    ),
    "sgd": lambda parameters, train: optim.SGD(
        parameters, train.lr, momentum=train.momentum, weight_decay=train.weight_decay
    ),
}

_Schedule = Callable[[optim.Optimizer, Train], Any]
_SCHEDULES: dict[str, _Schedule] = {
    "none": lambda optimiser, train: optim.lr_scheduler.ConstantLR(optimiser, 1.0, 1),
    "cosine": lambda optimiser, train: optim.lr_scheduler.CosineAnnealingLR(
        optimiser, train.epochs, train.min_lr
    ),
    # Set within epochs too, by `Schedule.step`.
    "cosine_restarts": lambda optimiser, train: optim.lr_scheduler.ConstantLR(optimiser, 1.0, 1),
    "step": lambda optimiser, train: optim.lr_scheduler.StepLR(
        optimiser, train.schedule_epochs, train.schedule_factor
    ),
    "plateau": lambda optimiser, train: optim.lr_scheduler.ReduceLROnPlateau(
        optimiser,
        "max",
        factor=train.schedule_factor,
        patience=train.schedule_epochs,
        min_lr=train.min_lr,
    ),
}


def restarted(epoch: float, train: Train) -> float:
    """The rate of ``cosine_restarts`` (Loshchilov and Hutter 2017), at any part of an epoch.

    Args:
        epoch: epochs since the beginning, from 0.
        train: its ``schedule_epochs`` is the first period, ``schedule_factor`` what each is longer
            than the one before.
    """
    period, growth = float(train.schedule_epochs), max(1.0, train.schedule_factor)
    while epoch >= period:
        epoch, period = epoch - period, period * growth
    share = (1 + math.cos(math.pi * epoch / period)) / 2
    return train.min_lr + (train.lr - train.min_lr) * share


class Schedule:
    """The learning rate over a run: torch's schedule an epoch, that of warm restarts and a linear
    warm-up a step.

    Args:
        optimiser: whose rate it sets.
        train: the settings.

    Raises:
        UsageError: a factor that would not lower the rate on a plateau.
    """

    def __init__(self, optimiser: optim.Optimizer, train: Train) -> None:
        if train.schedule == "plateau" and train.schedule_factor >= 1:
            from avaffect.errors import UsageError

            raise UsageError(
                "train.schedule_factor must be below 1 with the schedule 'plateau'",
                'use changes=["train.schedule_factor=0.1"]',
            )
        self._optimiser = optimiser
        self._warmup = train.warmup
        self._by_score = train.schedule == "plateau"
        self._train = train
        self._inner = _SCHEDULES[train.schedule](optimiser, train)
        self.lr = train.lr

    def step(self, step: int, epoch: float) -> None:
        """Set the rate for the step of this number (from 0, over the whole run).

        Args:
            step: its number.
            epoch: how many epochs have passed, a fraction within one.
        """
        if self._train.schedule == "cosine_restarts":
            self.lr = restarted(epoch, self._train)
        share = min(1.0, (step + 1) / self._warmup) if self._warmup else 1.0
        self._set(self.lr * share)

    def epoch_done(self, score: float | None) -> None:
        """Go on to the next epoch; ``score`` is the validation's, None without one."""
        self._set(self.lr)
        if not self._by_score:
            self._inner.step()
        elif score is not None:
            self._inner.step(score)
        self.lr = float(self._optimiser.param_groups[0]["lr"])

    def state_dict(self) -> dict[str, Any]:
        """The state for :meth:`load_state_dict`."""
        return {"inner": self._inner.state_dict(), "lr": self.lr}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._inner.load_state_dict(state["inner"])
        self.lr = state["lr"]
        if self._train.schedule == "cosine" and self._inner.T_max != self._train.epochs:
            # The run is to be longer than it was: as if its cosine had been so from the beginning.
            self._inner.T_max = self._train.epochs
            share = (1 + math.cos(math.pi * self._inner.last_epoch / self._train.epochs)) / 2
            self.lr = self._train.min_lr + (self._train.lr - self._train.min_lr) * share
            self._set(self.lr)

    def _set(self, rate: float) -> None:
        for group in self._optimiser.param_groups:
            group["lr"] = rate
