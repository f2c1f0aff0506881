"""Learning rates against the schedules' formulas, and steps of the optimisers by hand."""

import math
from typing import get_type_hints

import numpy as np
import pytest
import torch

from avaffect.errors import UsageError
from avaffect.recipes.training import Train
from avaffect.training.optimiser import OPTIMISERS, Schedule

LR = 0.1
EPOCHS = 12
FORMULAS = {
    "none": lambda e: LR,
    "cosine": lambda e: 0.01 + (LR - 0.01) * (1 + math.cos(math.pi * e / EPOCHS)) / 2,
    # Periods of 3, 6 and 12 epochs; its rate changes within epochs too.
    "cosine_restarts": lambda e: (
        0.01 + (LR - 0.01) * (1 + math.cos(math.pi * (e / 3 if e < 3 else (e - 3) / 6 % 1))) / 2
        if e < 9
        else 0.01 + (LR - 0.01) * (1 + math.cos(math.pi * (e - 9) / 12)) / 2
    ),
    "step": lambda e: LR * 0.5 ** (e // 3),
}
FACTORS = {"cosine_restarts": 2.0, "step": 0.5}


def made(**settings):
    train = Train(lr=LR, epochs=EPOCHS, **settings)
    parameter = torch.nn.Parameter(torch.ones(3))
    optimiser = OPTIMISERS[train.optimiser]([parameter], train)
    return parameter, optimiser, Schedule(optimiser, train)


def rates(steps_an_epoch=4, scores=None, **settings):
    """The rate of each step that an optimiser took, [epochs, steps]."""
    parameter, optimiser, schedule = made(**settings)
    found = []
    for epoch in range(EPOCHS):
        for step in range(steps_an_epoch):
            schedule.step(epoch * steps_an_epoch + step, epoch + step / steps_an_epoch)
            parameter.grad = torch.zeros(3)
            optimiser.step()
            found.append(optimiser.param_groups[0]["lr"])
        schedule.epoch_done(None if scores is None else scores[epoch])
    return np.reshape(found, (EPOCHS, steps_an_epoch))


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("warmup", [0, 6])
def test_rates_follow_the_formula(name, warmup: int) -> None:
    found = rates(
        schedule=name,
        schedule_epochs=3,
        schedule_factor=FACTORS.get(name, 1.0),
        min_lr=0.01,
        warmup=warmup,
    )
    within = np.arange(4) / 4 if name == "cosine_restarts" else np.zeros(4)
    expected = np.array([[FORMULAS[name](e + part) for part in within] for e in range(EPOCHS)])
    growing = np.minimum(np.arange(1, 4 * EPOCHS + 1) / max(1, warmup), 1).reshape(EPOCHS, 4)
    np.testing.assert_allclose(found, expected * growing, rtol=1e-9)


def test_a_plateau_lowers_the_rate() -> None:
    # Better in epochs 0, 1 and 6; patience of two epochs is spent in 4 and 9.
    scores = [0.1, 0.3, 0.3, 0.2, 0.3, 0.1, 0.4, 0.4, 0.4, 0.4, float("nan"), 0.4]
    found = rates(
        1, scores, schedule="plateau", schedule_epochs=2, schedule_factor=0.1, min_lr=0.002
    )
    expected = [LR] * 5 + [0.01] * 5 + [0.002] * 2
    np.testing.assert_allclose(found[:, 0], expected)
    assert (rates(1, None, schedule="plateau", schedule_factor=0.5) == LR).all()


def test_a_plateau_must_lower() -> None:
    with pytest.raises(UsageError, match="below 1"):
        made(schedule="plateau")


@pytest.mark.parametrize("name", ["none", "cosine", "cosine_restarts", "step", "plateau"])
def test_every_schedule_goes_on_from_its_state(name: str) -> None:
    settings = {"schedule": name, "schedule_epochs": 2, "warmup": 7, "schedule_factor": 0.5}
    _, optimiser, schedule = made(**settings)
    found = []
    for epoch in range(EPOCHS):
        if epoch in (3, 4):
            states = optimiser.state_dict(), schedule.state_dict()
            _, optimiser, schedule = made(**settings)
            optimiser.load_state_dict(states[0])
            schedule.load_state_dict(states[1])
        for step in range(2):
            schedule.step(epoch * 2 + step, epoch + step / 2)
            optimiser.step()
            found.append(optimiser.param_groups[0]["lr"])
        schedule.epoch_done(0.5)
    np.testing.assert_array_equal(found, rates(2, [0.5] * EPOCHS, **settings).ravel())


def test_every_choice_is_known() -> None:
    hints = get_type_hints(Train)
    assert set(hints["optimiser"].__args__) == set(OPTIMISERS)
    for name in hints["schedule"].__args__:
        made(schedule=name, schedule_factor=0.5)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_first_step_by_hand(name) -> None:
    parameter, optimiser, schedule = made(optimiser=name, weight_decay=0.1)
    schedule.step(0, 0.0)
    parameter.grad = torch.tensor([2.0, -1.0, 0.5])
    optimiser.step()
    # Weight decay adds .1 to the gradient; AdamW takes a tenth of the rate off the weight.
    g = np.array([2.1, -0.9, 0.6])
    expected = {
        "sgd": 1 - LR * g,
        # Keras: rho .9, epsilon outside the root.
        "rmsprop": 1 - LR * g / (np.sqrt(0.1 * g * g) + 1e-7),
        "adam": 1 - LR * np.sign(g),
        "adamw": 1 - LR * 0.1 - LR * np.sign(g),
    }[name]
    np.testing.assert_allclose(parameter.detach(), expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["sgd", "rmsprop"])
def test_momentum_arrives(name: str) -> None:
    _, optimiser, _ = made(optimiser=name, momentum=0.7)
    assert optimiser.param_groups[0]["momentum"] == 0.7


@pytest.mark.parametrize("done", [3, EPOCHS])
def test_a_longer_cosine_is_that_of_a_longer_run(done: int) -> None:
    """Gone on with 20 epochs, also from where the shorter one had come to its end."""
    settings = {"schedule": "cosine", "min_lr": 0.01}
    _, optimiser, schedule = made(**settings)
    for epoch in range(done):
        optimiser.step()
        schedule.step(epoch, epoch)
        schedule.epoch_done(None)
    train = Train(lr=LR, epochs=20, **settings)
    second = OPTIMISERS[train.optimiser]([torch.nn.Parameter(torch.ones(3))], train)
    longer = Schedule(second, train)
    longer.load_state_dict(schedule.state_dict())
    for epoch in range(done, 20):
        wanted = 0.01 + (LR - 0.01) * (1 + math.cos(math.pi * epoch / 20)) / 2
        longer.step(epoch, epoch)
        assert second.param_groups[0]["lr"] == pytest.approx(wanted)
        second.step()
        longer.epoch_done(None)
