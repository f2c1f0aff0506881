"""What to do when a GPU's memory is full."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from avaffect.errors import TrainingError
from avaffect.recipes.encoders import Backbone
from avaffect.recipes.recipe import Recipe


@contextmanager
def memory_explained(recipe: Recipe) -> Iterator[None]:
    """Within, memory that runs out is a `TrainingError` that names the settings to change."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        size, length = recipe.train.batch_size, recipe.window.length
        raise TrainingError(
            f"the GPU's memory does not hold {size} windows of {length} frames",
            " or ".join(_remedies(recipe)),
        ) from error


def _remedies(recipe: Recipe) -> list[str]:
    half = max(1, recipe.train.batch_size // 2)
    found = [f'set changes=["train.batch_size={half}"]']
    for name, branch in recipe.roots.items():
        if isinstance(branch.encoder, Backbone) and not branch.encoder.checkpointing:
            found.append(
                f'changes=["branches.{name}.encoder.checkpointing=true"], which computes twice'
            )
    return found
