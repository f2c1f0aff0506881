"""Classes of other data sets as the challenge's expressions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import CheckpointError
from avaffect.files.editions import EXPRESSIONS

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
