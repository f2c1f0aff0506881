"""What networks were trained to say, as the challenge says it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import CheckpointError
from avaffect.labels import ACTION_UNITS, EXPRESSIONS

_DIMENSIONS = ("valence", "arousal")
# The words that public data sets use. What the challenge has no class for is Other, but calm:
# RAVDESS' actors made it as a second neutral.
_SYNONYMS = {
    "Neutral": ("calm", "none"),
    "Anger": ("angry",),
    "Disgust": ("disgusted",),
    "Fear": ("fearful", "afraid", "scared"),
    "Happiness": ("happy", "joy", "joyful"),
    "Sadness": ("sad",),
    "Surprise": ("surprised", "ps", "pleasant surprise"),
    "Other": ("contempt", "contemptuous", "bored", "boredom", "sarcastic", "unknown"),
}


def to_expressions(classes: Sequence[str]) -> NDArray[np.float32]:
    """A matrix [C, 8] that sums probabilities of ``classes`` into those of ``EXPRESSIONS``.

    Raises:
        CheckpointError: a class that means none of them.
    """
    meaning = {name.lower(): i for i, name in enumerate(EXPRESSIONS)}
    for name, words in _SYNONYMS.items():
        meaning |= dict.fromkeys(words, EXPRESSIONS.index(name))
    matrix = np.zeros((len(classes), len(EXPRESSIONS)), np.float32)
    for i, name in enumerate(classes):
        if name.lower() not in meaning:
            raise CheckpointError(
                f"the model's class '{name}' is none of the challenge's expressions",
                f"train with classes that are: {', '.join(EXPRESSIONS)}",
            )
        matrix[i, meaning[name.lower()]] = 1
    return matrix


def coded(task: str, targets: Sequence[str], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A network's values in the columns of the challenge; what it does not know is NaN.

    Args:
        task: ``va``, ``expr`` or ``au``.
        targets: names of what it says.
        values: [N, K], a column a target.

    Returns:
        [N, 2], [N, 8] or [N, 12].

    Raises:
        CheckpointError: a class that means none of the challenge's.
    """
    if task == "expr":
        summed: NDArray[np.float32] = values @ to_expressions(targets)
        return summed / summed.sum(axis=1, keepdims=True)
    columns = _DIMENSIONS if task == "va" else ACTION_UNITS
    out = np.full((len(values), len(columns)), np.nan, np.float32)
    for i, name in enumerate(targets):
        if name in columns:
            out[:, columns.index(name)] = values[:, i]
    return out
