"""Starting from a trained network: what is taken over, what is not, and that all is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from avaffect.errors import InputNotFoundError, UsageError
from avaffect.networks.checkpoint import Checkpoint, save_checkpoint
from avaffect.networks.network import AffectNetwork
from avaffect.networks.start import Started, start_from
from avaffect.recipes.library import change_recipe, parse_recipe
from avaffect.recipes.recipe import Recipe

TREE: dict[str, Any] = {
    "name": "small",
    "branches": {
        "voice": {"features": ["audio"], "layers": [{"kind": "mlp", "units": [4]}]},
        "face": {"features": ["face"], "layers": [{"kind": "mlp", "units": [3]}]},
    },
    "tasks": {"va": {"terms": {"ccc": 1}}, "expr": {"terms": {"cross_entropy": 1}}},
}
WIDTHS = {"voice": 5, "face": 6}
TARGETS: dict[str, tuple[str, ...]] = {"va": ("valence", "arousal"), "expr": ("Neutral", "Anger")}


def recipe(*changes: str) -> Recipe:
    return change_recipe(parse_recipe(TREE, "of the tests"), changes)


def network(
    chosen: Recipe, widths: dict[str, int] = WIDTHS, targets: dict[str, tuple[str, ...]] = TARGETS
) -> AffectNetwork:
    return AffectNetwork(chosen, widths, {task: len(names) for task, names in targets.items()})


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """One whose every value is 7."""
    whole = network(recipe())
    for tensor in whole.state_dict().values():
        tensor.fill_(7)
    save_checkpoint(tmp_path / "run", Checkpoint(recipe(), TARGETS, WIDTHS), whole)
    return tmp_path / "run"


def sevens(started: Started, fresh: AffectNetwork) -> bool:
    """Whether exactly what was taken has the value of the checkpoint."""
    state = fresh.state_dict()
    assert set(started.taken) | set(started.left) == set(state)
    return all(bool((state[name] == 7).all()) == (name in started.taken) for name in state)


def test_all_fits(checkpoint: Path) -> None:
    fresh = network(recipe())
    started = start_from(fresh, TARGETS, checkpoint)
    assert sevens(started, fresh)
    assert started.left == {}
    assert started.share == 1
    assert started.branches == {"voice", "face"}
    assert "branches.voice.mean" in started.taken


def test_other_sizes_keep_their_own(checkpoint: Path) -> None:
    fresh = network(recipe(), {"voice": 5, "face": 9})
    started = start_from(fresh, TARGETS, checkpoint)
    assert sevens(started, fresh)
    assert started.left["branches.face.mean"] == "6 there, 9 here"
    assert "branches.face.mean (6 there, 9 here)" in started.text
    assert 0 < started.share < 1


def test_classes_in_another_order_are_other_targets(checkpoint: Path) -> None:
    """The shapes are the same, and the first output would be another class."""
    targets = {**TARGETS, "expr": ("Anger", "Neutral")}
    fresh = network(recipe(), targets=targets)
    started = start_from(fresh, targets, checkpoint)
    assert sevens(started, fresh)
    assert {name.split(".")[1] for name in started.left} == {"expr"}
    assert set(started.left.values()) == {"other targets"}


def test_a_task_that_was_not_trained(checkpoint: Path) -> None:
    tasks = {**TREE["tasks"], "au": {"terms": {"bce": 1}}}
    chosen = parse_recipe({**TREE, "tasks": tasks}, "of the tests")
    targets = {**TARGETS, "au": ("AU1", "AU2")}
    fresh = network(chosen, targets=targets)
    started = start_from(fresh, targets, checkpoint)
    assert sevens(started, fresh)
    assert set(started.left.values()) == {"not there"}


def test_a_branch_that_reads_something_else(checkpoint: Path) -> None:
    fresh = network(recipe("branches.face.features=[opinions]"))
    started = start_from(fresh, TARGETS, checkpoint)
    assert sevens(started, fresh)
    assert started.branches == {"voice"}


@pytest.mark.parametrize("fusion", ["late", "stacked"])
def test_heads_of_every_branch(fusion: str, tmp_path: Path) -> None:
    chosen = recipe(f"fusion.kind={fusion}", "auxiliary=[voice]")
    whole = network(chosen)
    save_checkpoint(tmp_path / "run", Checkpoint(chosen, TARGETS, WIDTHS), whole)
    fresh = network(chosen)
    started = start_from(fresh, TARGETS, tmp_path / "run")
    assert started.left == {}
    for name, tensor in whole.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], tensor)


def test_nothing_fits(checkpoint: Path) -> None:
    chosen = parse_recipe(
        {
            **TREE,
            "branches": {"other": TREE["branches"]["voice"]},
            "tasks": {"au": {"terms": {"bce": 1}}},
        },
        "of the tests",
    )
    targets = {"au": ("AU1",)}
    fresh = network(chosen, {"other": 5}, targets)
    with pytest.raises(UsageError, match="no weight of"):
        start_from(fresh, targets, checkpoint)
    with pytest.raises(InputNotFoundError):
        start_from(fresh, targets, checkpoint / "nowhere")
