"""Valence and arousal from the probabilities of expressions.

The formula rests on human ratings: 25 people gave each of 1,600 AffectNet pictures an expression,
a valence and an arousal (AffectNet-C25). It takes a net's calibrated probabilities, which tell how
sure the net is and not how people would vote, and adds an interval. It is made by
``starter_training/valence_arousal.py``, its figures are in ``starter1_va.json``.

The scale is the raters': a calm, neutral face has valence 0 and arousal -0.4 to -0.5, not 0.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord, require_shape
from avaffect.errors import UsageError
from avaffect.labels import EXPRESSIONS

FACE = Path(__file__).with_name("starter1_va.json")
DIMENSIONS = ("valence", "arousal")
LEVEL = 0.9
# Where the distributions of ratings are known; between them they are straight lines.
GRID = np.linspace(-1.0, 1.0, 41)

_CHUNK = 8192


def terms(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """[N, K + 1], what values are linear in: the probabilities [N, K] and p (1 - p) of Neutral.

    Without the last, sure neutral faces, the most frequent of all, would get an arousal that is
    too low by .12, since half neutral ones are nearly as calm.
    """
    neutral = probabilities[:, :1]
    return np.hstack([probabilities, neutral * (1 - neutral)])


@dataclass(frozen=True, eq=False, repr=False)
class FaceRatings(ArrayRecord):
    """How people rated faces of each of ``EXPRESSIONS``.

    Attributes:
        values: float64 [8, 2], the valence and arousal of what a net is sure to be this class.
        bend: float64 [2], times p (1 - p) of Neutral: how far a half neutral face lies off the
            line between two such values.
        distributions: float64 [2, 8, 41], for valence and arousal the share of a class's pictures
            rated up to each value of ``GRID``.
    """

    values: NDArray[np.float64]
    bend: NDArray[np.float64]
    distributions: NDArray[np.float64]

    def __post_init__(self) -> None:
        require_shape("values", self.values, (len(EXPRESSIONS), 2))
        require_shape("bend", self.bend, (2,))
        require_shape("distributions", self.distributions, (2, len(EXPRESSIONS), len(GRID)))

    def estimate(
        self, probabilities: NDArray[np.floating], level: float = LEVEL
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See :func:`va_of_face`."""
        require_shape("probabilities", probabilities, (None, len(EXPRESSIONS)))
        if not 0 < level < 1:
            raise UsageError(f"level must lie between 0 and 1, and is {level:g}")
        frames = len(probabilities)
        values = np.empty((frames, 2), np.float32)
        intervals = np.empty((frames, 2, 2), np.float32)
        for start in range(0, frames, _CHUNK):
            rows = slice(start, start + _CHUNK)
            part = np.asarray(probabilities[rows], dtype=np.float64)
            values[rows] = np.clip(terms(part) @ [*self.values, self.bend], -1.0, 1.0)
            for d, distributions in enumerate(self.distributions):
                mixture = part @ distributions
                intervals[rows, d, 0] = _quantile(mixture, (1 - level) / 2)
                intervals[rows, d, 1] = _quantile(mixture, (1 + level) / 2)
        # At low levels the value may lie outside a lopsided mixture's middle.
        intervals[..., 0] = np.minimum(intervals[..., 0], values)
        intervals[..., 1] = np.maximum(intervals[..., 1], values)
        return values, intervals


@cache
def _face_ratings() -> FaceRatings:
    facts = json.loads(FACE.read_text(encoding="utf-8"))
    values, shares = (
        np.array([[facts[what][d][name] for name in EXPRESSIONS] for d in DIMENSIONS])
        for what in ("values", "distributions")
    )
    bend = np.array([facts["bend"][d] for d in DIMENSIONS])
    return FaceRatings(values.T, bend, shares)


def va_of_face(
    probabilities: NDArray[np.floating], level: float = LEVEL
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Valence and arousal that raters would on average give a face, with an interval.

    The interval holds the middle of a mixture: the ratings of the pictures that most people called
    Neutral, Anger and so on, each kind with its probability. It is wide where the net is unsure,
    and as wide as such pictures differ where it is sure. It says where the mean of many raters
    would lie, not a single rater, and nothing of what somebody feels.

    Args:
        probabilities: [N, 8] in the order of ``EXPRESSIONS``, calibrated; rows sum to one or are
            NaN. What lies on Other stands for "none of the seven, or not sure": it draws the value
            to that of pictures on which people disagreed, the interval to that of all pictures.
        level: the share of faces whose mean rating lies in the interval, between 0 and 1.

    Returns:
        values float32 [N, 2] and intervals float32 [N, 2, 2] (valence and arousal; low and high)
        in [-1, 1], low <= value <= high, NaN where the row is.

    Raises:
        UsageError: another shape, or a level that is not between 0 and 1.
    """
    return _face_ratings().estimate(probabilities, level)


def _quantile(mixture: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """[N], where distributions [N, 41] on ``GRID`` reach ``share``."""
    above = np.clip((mixture < share).sum(axis=1), 1, len(GRID) - 1)
    low, high = (np.take_along_axis(mixture, at[:, None], 1)[:, 0] for at in (above - 1, above))
    step = np.maximum(high - low, np.finfo(float).tiny)
    part = np.clip((share - low) / step, 0.0, 1.0)
    return GRID[above - 1] + part * (GRID[above] - GRID[above - 1])
