"""The papers' recipes: each one trains all that is to be trained, is saved and is exported."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn

from avaffect.networks import backbones
from avaffect.networks.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from avaffect.networks.network import AffectNetwork
from avaffect.recipes.library import load_recipe, recipe_names
from avaffect.recipes.recipe import Recipe
from avaffect.training.balance import LabelWeights
from avaffect.training.export import TOLERANCE, export_onnx
from avaffect.training.losses import build_loss
from avaffect.training.objective import Objective
from avaffect.windows.batch import Batch

OUTPUTS = {"va": 2, "expr": 8, "au": 12}
OPINIONS = 10
NAMES = [name for name in recipe_names() if name.startswith(("abaw2", "abaw3", "abaw5"))]


def widths(recipe: Recipe) -> dict[str, int]:
    return {
        name: OPINIONS if branch.encoder is None else 3 * branch.encoder.size**2
        for name, branch in recipe.roots.items()
    }


def network_of(name: str) -> str:
    """What a recipe's network is built of."""
    tree = load_recipe(name).to_dict()
    parts = [tree[part] for part in ("branches", "fusion", "head", "auxiliary", "polarity")]
    return json.dumps([*parts, sorted(tree["tasks"])])


def outputs(recipe: Recipe) -> dict[str, int]:
    return {task: OUTPUTS[task] for task in recipe.task_names}


def small(name: str, *changes: str) -> Recipe:
    """The recipe on windows of five faces of 32 pixels."""
    encoders = [root for root, branch in load_recipe(name).roots.items() if branch.encoder]
    sizes = [f"branches.{encoder}.encoder.size=32" for encoder in encoders]
    return load_recipe(name, [*sizes, "window.length=5", "window.overlap=0", *changes])


def make_batch(recipe: Recipe, windows: int = 2, frames: int = 5) -> Batch:
    """Noise, with a frame that is not seen and one that does not exist."""
    drawn = torch.Generator().manual_seed(1)
    exists = torch.ones(windows, frames, dtype=torch.bool)
    exists[-1, -1] = False
    there = exists.clone()
    there[0, 1] = False
    pictures = torch.randint(0, 256, (windows, frames, 32, 32, 3), generator=drawn)
    inputs, seen = {}, {}
    for name, branch in recipe.roots.items():
        values = torch.rand(windows, frames, OPINIONS, generator=drawn)
        beside = recipe.margins[name]
        around = pictures[:, torch.arange(-beside, frames + beside) % frames].to(torch.uint8)
        inputs[name] = values if branch.encoder is None else around
        ends = torch.ones(windows, beside, dtype=torch.bool)
        seen[name] = torch.cat((ends, there, ends), dim=1)
    va = torch.rand(windows, frames, 2, generator=drawn) * 2 - 1
    va[0, 2], va[1, 0] = 1.0, -1.0
    targets = {
        "va": va,
        "expr": torch.arange(windows * frames).reshape(windows, frames) % 8,
        "au": (torch.rand(windows, frames, 12, generator=drawn) > 0.5).float(),
    }
    targets = {task: targets[task] for task in recipe.task_names}
    valid = {
        task: there if target.ndim == 2 else there[..., None].expand_as(target)
        for task, target in targets.items()
    }
    place = torch.zeros(windows, dtype=torch.int64)
    return Batch(inputs, seen, exists, targets, valid, place, place)


def make_objective(recipe: Recipe, network: AffectNetwork | None = None) -> Objective:
    torch.manual_seed(0)
    network = network or AffectNetwork(recipe, widths(recipe), outputs(recipe))
    losses = {}
    for task, config in recipe.tasks.items():
        every = torch.ones(2, 20).numpy()
        weights = LabelWeights(bins=every if task == "va" and config.lds != "none" else None)
        losses[str(task)] = build_loss(str(task), config, weights)
    return Objective(network, losses).train()


class LightNet(nn.Module):
    """As many stages and values as a net of `BACKBONES`, a convolution each."""

    def __init__(self, width: int, stages: int) -> None:
        super().__init__()
        sizes = (3, *[8] * (stages - 1), width)
        self.parts = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(entering, leaving, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(leaving),
                nn.ReLU(),
            )
            for entering, leaving in pairwise(sizes)
        )
        self.classifier = nn.Linear(width, 1000)


def light_net(spec: backbones.BackboneSpec, name: str) -> LightNet:
    return LightNet(spec.width, len(spec.stages))


@pytest.fixture
def light_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nets that are built and traced in a moment; the true ones have tests of their own."""
    for name, spec in backbones.BACKBONES.items():
        light = replace(
            spec,
            build=partial(light_net, spec),
            cut=lambda net: list(net.parts),
            classifier="classifier",
        )
        monkeypatch.setitem(backbones.BACKBONES, name, light)


# Its gradient is 0 but for rounding: a softmax does not see what all keys have in common.
_BLIND = ".key.bias"


# Seconds a net: what stands on it is tested with light ones in the other recipes.
TRUE_NETS = ("abaw2-two-stream", "abaw3-va-stage1", "abaw5-va", "abaw5-expr")


@pytest.fixture(params=NAMES)
def step(request: pytest.FixtureRequest) -> tuple[Any, Callable[[], tuple[Any, dict[str, Any]]]]:
    """A recipe's objective, and a function that gives its loss and parts on one batch."""
    if request.param not in TRUE_NETS:
        request.getfixturevalue("light_nets")
    recipe = small(request.param)
    objective, batch = make_objective(recipe), make_batch(recipe)
    objective.epoch = 2  # behind the epochs of the polarity alone

    def run() -> tuple[Any, dict[str, Any]]:
        objective.zero_grad(set_to_none=True)
        torch.manual_seed(3)
        loss, parts = objective(batch)
        return loss, parts

    return objective, run


def test_a_step_reaches_every_parameter(step: Any) -> None:
    objective, run = step
    loss, parts = run()
    loss.backward()
    assert torch.isfinite(loss)
    recipe = objective.network.recipe
    assert set(parts) == {*recipe.task_names, *(["polarity"] if recipe.polarity else [])}
    for key, parameter in objective.network.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None, key
            continue
        assert parameter.grad is not None, key
        assert torch.isfinite(parameter.grad).all(), key
        assert parameter.grad.any() or key.endswith(_BLIND), key


def test_half_precision_changes_no_more_than_the_third_digit_or_so(
    step: Any, half_precision: Callable[[str], Any]
) -> None:
    objective, run = step
    with torch.autocast("cpu", half_precision("bf16")):
        half, _ = run()
    half.backward()
    assert half.dtype == torch.float32
    for key, parameter in objective.network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), key
    torch.testing.assert_close(half, run()[0], rtol=0.1, atol=0.1)


# Of several whose networks are the same, the first.
NETWORKS = list({network_of(name): name for name in reversed(NAMES)}.values())[::-1]


@pytest.mark.no_cover
@pytest.mark.usefixtures("light_nets")
@pytest.mark.parametrize("name", NETWORKS)
def test_saved_loaded_and_exported(name: str, tmp_path: Any) -> None:
    recipe = small(name)
    targets = {task: tuple(map(str, range(OUTPUTS[task]))) for task in recipe.task_names}
    checkpoint = Checkpoint(recipe, targets, widths(recipe))
    torch.manual_seed(0)
    network = checkpoint.build().eval()
    save_checkpoint(tmp_path, checkpoint, network)
    _, loaded = load_checkpoint(tmp_path)
    batch = make_batch(recipe)
    with torch.inference_mode():
        before = network(batch.inputs, batch.seen, batch.exists)
        after = loaded(batch.inputs, batch.seen, batch.exists)
    (task,) = before
    assert torch.equal(before[task], after[task])
    assert before[task].std() > 0
    done = export_onnx(tmp_path, tmp_path / "model.onnx")
    extra = ("va_regression", "va_polarity") if recipe.polarity else ()
    assert done.outputs == (task, *extra)
    assert {*recipe.roots} <= {*done.inputs}
    assert 0 < done.difference <= TOLERANCE
