"""Validation: predictions for whole clips against their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avaffect.metrics.arrays import score_arrays
from avaffect.networks.apply import ClipPrediction, apply_network
from avaffect.tasks.registry import TASKS
from avaffect.windows.reader import WindowReader

if TYPE_CHECKING:
    from avaffect.networks.network import AffectNetwork
    from avaffect.training.processes import Processes


def validate(
    network: AffectNetwork,
    reader: WindowReader,
    targets: Mapping[str, tuple[str, ...]],
    processes: Processes,
    *,
    per_clip: bool = False,
) -> dict[str, float]:
    """Score a network on clips; each clip is looked at by exactly one process.

    Args:
        network: the network.
        reader: the clips.
        targets: by task, the names of its targets.
        processes: who shares the work.
        per_clip: score clips instead of frames, see ``datasets.clip.Dataset``.

    Returns:
        ``score``, the sum of the tasks' scores, ``<task>`` for each, and its parts as
        ``<task> <part>``; the same in every process.
    """
    mine = range(processes.rank, len(reader.clips), processes.world)
    pairs: dict[str, list[tuple[int, NDArray[Any], NDArray[Any]]]] = {t: [] for t in targets}
    for predicted in apply_network(network, reader, processes.device, clips=mine):
        labels = reader.clips[predicted.clip].labels
        for task in targets:
            if task in labels:
                pair = pair_of(task, predicted, labels[task], per_clip=per_clip)
                pairs[task].append((predicted.clip, *pair))
    scores: dict[str, float] = {}
    total = 0.0
    for task in targets:
        # In the order of clips, so that sums do not depend on the number of processes.
        gathered = (pair for some in processes.gather(pairs[task]) for pair in some)
        every = sorted(gathered, key=_clip)
        score, parts = score_arrays(
            task, [(decided, labels) for _, decided, labels in every], targets[task]
        )
        scores[task] = score
        scores |= {f"{task} {name}": value for name, value in parts.items()}
        total += score
    return {"score": total, **scores}


def pair_of(
    task: str, predicted: ClipPrediction, labels: NDArray[Any], *, per_clip: bool
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Decisions and labels as ``metrics.arrays.score_arrays`` wants them."""
    values = predicted.values[task]
    if per_clip:
        # One row: the mean prediction, and the label that all frames carry.
        values, labels = mean_prediction(values), labels[:1]
    return decisions(task, values, ~np.isnan(values[:, 0])), labels


def mean_prediction(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean [1, K] over the frames of [N, K] that have a value, NaN if none has."""
    known = values[~np.isnan(values[:, 0])]
    if not len(known):
        return np.full((1, values.shape[1]), np.nan, np.float32)
    return np.asarray(known.mean(axis=0, keepdims=True))


def decisions(task: str, values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[Any]:
    """Values or probabilities [N, K] as labels; what is not known (bool [N]) is NaN or -1."""
    ours = TASKS[task]
    decided = ours.decide(values)
    return np.where(known if ours.flat else known[:, None], decided, ours.unknown)


def _clip(entry: Sequence[Any]) -> int:
    return int(entry[0])
