"""Expressions: the challenge's eight classes."""

from __future__ import annotations

from avaffect.labels import EXPRESSIONS
from avaffect.tasks.kinds import Classes

_COLUMN = "expression"

EXPR = Classes(
    name="expr",
    title="expression",
    targets=EXPRESSIONS,
    folder="EXPR_Classification_Challenge",
    spelled={name: _COLUMN for name in (_COLUMN, "expr", "emotion")}.get,
    column=_COLUMN,
    prefix="p_",
    # The words that public data sets use. What the challenge has no class for is Other, but calm:
    # RAVDESS' actors made it as a second neutral.
    synonyms={
        "Neutral": ("calm", "none"),
        "Anger": ("angry",),
        "Disgust": ("disgusted",),
        "Fear": ("fearful", "afraid", "scared"),
        "Happiness": ("happy", "joy", "joyful"),
        "Sadness": ("sad",),
        "Surprise": ("surprised", "ps", "pleasant surprise"),
        "Other": ("contempt", "contemptuous", "bored", "boredom", "sarcastic", "unknown"),
    },
)
