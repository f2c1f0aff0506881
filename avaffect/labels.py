"""What is predicted, the classes and units, and the parts that data is split into."""

from __future__ import annotations

EXPRESSIONS = (
    "Neutral",
    "Anger",
    "Disgust",
    "Fear",
    "Happiness",
    "Sadness",
    "Surprise",
    "Other",
)


ACTION_UNITS = (
    "AU1",
    "AU2",
    "AU4",
    "AU6",
    "AU7",
    "AU10",
    "AU12",
    "AU15",
    "AU23",
    "AU24",
    "AU25",
    "AU26",
)


OTHER = EXPRESSIONS.index("Other")


# The score from which on a unit is present, unless another was chosen.
AU_THRESHOLD = 0.5


SPLITS = ("train", "val", "test")
