"""Scores of arrays in memory, as a training loop needs them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import UsageError
from avaffect.metrics.scores import binary_counts, ccc, confusion, mean_known
from avaffect.metrics.tallies import au_parts, expr_parts
from avaffect.tasks.kinds import Values
from avaffect.tasks.registry import task_named


def score_arrays(
    task: str, pairs: Iterable[tuple[NDArray[Any], NDArray[Any]]], targets: Sequence[str]
) -> tuple[float, dict[str, float]]:
    """The challenge's score for any dimensions, classes or units, in float64, over all clips.

    Clips are concatenated. Each cell counts by itself: one that has no label, or no prediction,
    is left out, and the other cells of its frame stay.

    Args:
        task: ``va``, ``expr`` or ``au``.
        pairs: of each clip the predictions and the labels, coded as in ``datasets.clip.Clip``:
            va float [N, V], NaN for none; expr int [N], -1 for none; au int [N, U] of 0 and 1, -1
            for none.
        targets: names of the V dimensions, of the classes, or of the U units.

    Returns:
        the score and its parts by name: va: mean CCC; ``CCC <dimension>``. expr: macro F1 over all
        classes; ``macro F1``, ``accuracy``, ``F1 <class>``. au: mean F1 of the positive class;
        ``mean F1``, ``accuracy`` (over all cells), ``F1 <unit>``. A dimension or unit without a
        cell is NaN and stays out of the mean; without any the score is NaN.

    Raises:
        UnknownNameError: no such task.
        UsageError: shapes that do not fit each other or ``targets``, or labels out of range.
    """
    ours, width = task_named(task), len(targets)
    shape = ours.shape(-1, width)
    predicted, labels = [np.empty((0, *shape[1:]))], [np.empty((0, *shape[1:]))]
    for prediction, label in pairs:
        fits = label.ndim == len(shape) and label.shape[1:] == shape[1:]
        if not fits or prediction.shape != label.shape:
            raise UsageError(
                f"predictions {prediction.shape} and labels {label.shape} for {width} targets of "
                f"{task}"
            )
        predicted.append(prediction.astype(np.float64))
        labels.append(label.astype(np.float64))
    x, y = np.concatenate(predicted), np.concatenate(labels)
    use = ours.known(x) & ours.known(y)
    if isinstance(ours, Values):
        parts = {
            f"CCC {name}": ccc(x[use[:, at], at], y[use[:, at], at])
            for at, name in enumerate(targets)
        }
        return mean_known(list(parts.values())), parts
    if ours.flat:
        parts = expr_parts(confusion(x[use], y[use], width), targets)
        return parts["macro F1"], parts
    counts = [
        binary_counts(x[use[:, at], at, None], y[use[:, at], at, None])[0] for at in range(width)
    ]
    parts = au_parts(np.array(counts, np.int64).reshape(width, 4), targets)
    return parts["mean F1"], parts
