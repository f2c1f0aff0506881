"""Facts of a predictor, known before it is loaded: no network is built for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from avaffect.errors import CheckpointError
from avaffect.files.names import JOINED
from avaffect.networks.checkpoint import Checkpoint, read_checkpoint
from avaffect.predictors.interface import Facts
from avaffect.predictors.joined import Joined
from avaffect.tasks.registry import task_named
from avaffect.windows.reader import COMPANIONS


def checkpoint_facts(checkpoint: Checkpoint) -> Facts:
    """Those of a trained network.

    Raises:
        CheckpointError: it knows other classes than the challenge's expressions.
    """
    for task, targets in checkpoint.targets.items():
        task_named(task).coded(targets, np.zeros((0, len(targets))))  # refuses other classes
    recipe = checkpoint.recipe
    companions = (COMPANIONS[name] for name in recipe.features if name in COMPANIONS)
    return Facts(recipe.name, recipe.task_names, (*recipe.features, *companions))


def ensemble_facts(folder: Path) -> Facts:
    """Those of what ``avaffect ensemble`` left in ``folder``.

    Raises:
        CheckpointError: it is not finished, or one of its models is damaged or another one.
    """
    joined = Joined.load(folder)
    members = [
        facts for models in joined.members.values() for facts in member_facts(folder, models)
    ]
    tasks = (member_facts(folder, joined.stack) or members)[0].tasks
    needs = tuple(dict.fromkeys(name for facts in members for name in facts.needs))
    return Facts(joined.name, tasks, needs)


def member_facts(folder: Path, models: Mapping[str, str]) -> list[Facts]:
    """Those of models of the ensemble in ``folder``, by path the SHA-256 of their weights."""
    found = []
    for path, sha256 in models.items():
        checkpoint = read_checkpoint(folder / path)
        require_same(folder / path, checkpoint, sha256)
        found.append(checkpoint_facts(checkpoint))
    return found


def require_same(place: Path, checkpoint: Checkpoint, sha256: str) -> None:
    """Raise CheckpointError unless a model is the one that its ensemble was made of."""
    if checkpoint.sha256 != sha256:
        raise CheckpointError(
            f"'{place}' is not the model that '{JOINED}' means",
            "run `avaffect ensemble` again, or copy the whole folder anew",
        )
