"""How long a training will take, by a few steps of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice

import torch

from avaffect.datasets.clip import Clip, Dataset
from avaffect.recipes.recipe import Recipe
from avaffect.training.optimiser import OPTIMISERS
from avaffect.training.processes import processes
from avaffect.training.setup import Setup
from avaffect.windows.cut import cut
from avaffect.windows.order import batch_count, epoch_order

# Steps that are measured, behind one that warms up, and seconds after which it is enough.
_STEPS, _LONG_S = 4, 15.0
# Of an epoch's seconds, those of its validation: forward only, of a part of the clips.
_VALIDATION = 0.15


def trial_run(
    recipe: Recipe, dataset: Dataset, clips: Sequence[Clip], device: str
) -> tuple[float, float]:
    """Seconds that training takes to begin, and about those of an epoch.

    A few batches are read and learned from, of as few clips as fill them; nothing is kept.

    Args:
        recipe: what would be trained.
        dataset: of the clips.
        clips: to learn from.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: nothing is labelled, or as `training.loop.train`.
        FeatureError: clips without the features that the recipe reads.
    """
    window, train = recipe.window, recipe.train
    windows = len(cut([clip.frames for clip in clips], window.length, window.overlap))
    wanted = (_STEPS + 1) * train.batch_size
    few: list[Clip] = []
    for clip in clips:
        few.append(clip)
        wanted -= len(cut([clip.frames], window.length, window.overlap))
        if wanted <= 0:
            break
    began = time.perf_counter()
    with processes(device) as group, torch.random.fork_rng():
        setup = Setup(recipe, dataset, tuple(few), (), 0, group, lambda event: None, begun=True)
        network = setup.network.to(group.device).train()
        objective = setup.objective.to(group.device)
        optimiser = OPTIMISERS[train.optimiser](network.parameters(), train)
        start = time.perf_counter() - began
        seconds, measured = 0.0, 0
        order = epoch_order(len(setup.reader), 0, 0, setup.chances)
        mark = time.perf_counter()
        for number, batch in enumerate(islice(setup.loader(order, 0, 0), _STEPS + 1)):
            with torch.autocast(group.device.type, setup.amp, enabled=setup.amp is not None):
                loss, _ = objective(batch.to(group.device))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            float(loss.detach())  # waits for the device
            taken, mark = time.perf_counter() - mark, time.perf_counter()
            # The first is slower; if there is no other, or it is long enough, it will do.
            if number or taken > _LONG_S or len(setup.reader) <= train.batch_size:
                seconds, measured = seconds + taken, measured + len(batch)
            if seconds > _LONG_S:
                break
    steps = max(1, batch_count(windows, train.batch_size, 1))
    each = seconds / max(1, measured) * min(windows, steps * train.batch_size)
    return start, each * (1 + _VALIDATION)
