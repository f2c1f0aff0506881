"""What to do when a GPU's memory is full."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from avaffect.errors import TrainingError
from avaffect.progress import EventCallback, Notice
from avaffect.recipes.encoders import Backbone
from avaffect.recipes.recipe import Recipe

if TYPE_CHECKING:
    from avaffect.windows.batch import Batch

Losses = tuple[torch.Tensor, dict[str, torch.Tensor]]


class BatchMemory:
    """Gradients of batches, each in as many parts as the GPU's memory needs.

    What a batch does to the weights stays the mean over its windows. What looks at a batch as a
    whole (CCC, batch norm) sees its parts. Once a batch was too large all later ones are divided.

    Args:
        on_event: gets a warning whenever batches are divided further.
        divides: False where processes share a batch: all would have to divide it alike.

    Attributes:
        parts: how many; part of a run's state, so that it goes on as it was.
    """

    def __init__(self, on_event: EventCallback, *, divides: bool = True) -> None:
        self.parts = 1
        self._on_event, self._divides = on_event, divides

    def backward(
        self,
        batch: Batch,
        begin: Callable[[], None],
        compute: Callable[[Batch], Losses],
        scaler: torch.amp.GradScaler,
    ) -> Losses:
        """Add the gradients of a batch.

        Args:
            batch: of windows.
            begin: called before each try: sets gradients and chance back.
            compute: the loss of some windows, and its parts by name.
            scaler: of the losses.

        Returns:
            means over the windows, as ``compute`` gives them, detached.

        Raises:
            torch.OutOfMemoryError: a single window does not fit.
        """
        while True:
            begin()
            try:
                return self._backward(batch, compute, scaler)
            except torch.OutOfMemoryError:
                if not self._divides or self.parts >= len(batch):
                    raise
            # Behind the block, since the error holds on to all that was computed.
            torch.cuda.empty_cache()
            self.parts *= 2
            size = -(-len(batch) // self.parts)
            text = (
                f"the GPU's memory does not hold {len(batch)} windows: {size} at a time are "
                "computed from now on, and their gradients added"
            )
            self._on_event(Notice(text, warning=True))

    def _backward(
        self, batch: Batch, compute: Callable[[Batch], Losses], scaler: torch.amp.GradScaler
    ) -> Losses:
        rows, size = len(batch), -(-len(batch) // self.parts)
        whole: dict[str, torch.Tensor] = {}
        for start in range(0, rows, size):
            some = batch.rows(slice(start, start + size)) if size < rows else batch
            loss, losses = compute(some)
            share = len(some) / rows
            scaler.scale(loss if share == 1 else loss * share).backward()
            for name, value in {"": loss, **losses}.items():
                part = value.detach() if share == 1 else value.detach() * share
                whole[name] = whole[name] + part if name in whole else part
        return whole.pop(""), whole


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
