"""What is predicted: the tasks, their classes and units, and the parts that data is split into."""

from __future__ import annotations

TASKS = ("va", "expr", "au")


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


INVALID = {"va": -5, "expr": -1, "au": -1}


SPLITS = ("train", "val", "test")
