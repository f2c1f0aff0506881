"""What a face net says of a subject at rest, taken off what it says of them otherwise.

Some people look friendly, stern or sad while they do nothing, and a net of single pictures says
so in every frame. Over a video the resting face is known from its action units
(``unit_proxies``): what the net says of it, beyond what it says of resting people in general, is
the subject's and not the moment's. Predictions are shifted by their logarithms, the more the
longer the face was seen at rest.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import require_shape
from avaffect.labels import EXPRESSIONS

Values = NDArray[np.float32]

FIGURES = Path(__file__).with_name("starter1_resting.json")
CLASSES = EXPRESSIONS[:7]
# A frame in which some unit is this active is no longer at rest at all.
ACTIVE = 0.25
# So many seconds at rest weigh as much as knowing nothing of the subject.
PRIOR_SECONDS = 2.0
_FLOOR = 1e-4


def rest_offset(
    scores: NDArray[np.floating],
    active: Values,
    seconds: NDArray[np.floating],
    people: NDArray[np.float64],
) -> Values:
    """How far a net's scores of a subject at rest lie from those of resting people.

    Args:
        scores: [N, K], logarithms of odds or probabilities; NaN rows do not count.
        active: float32 [N, 12], activation of the action units, 0..1.
        seconds: [N], how long each frame stands for.
        people: float64 [K], the mean scores of resting people.

    Returns:
        float32 [K]; zeros where the subject was never seen at rest.
    """
    require_shape("scores", scores, (None, len(people)))
    require_shape("active", active, (len(scores), None))
    require_shape("seconds", seconds, (len(scores),))
    seen = ~(np.isnan(scores[:, 0]) | np.isnan(active).any(axis=1))
    calm = np.clip(1 - active[seen].max(axis=1, initial=0) / ACTIVE, 0, 1)
    weight = np.asarray(seconds, np.float64)[seen] * calm
    total = float(weight.sum())
    if total == 0:
        return np.zeros(len(people), np.float32)
    offset = total / (total + PRIOR_SECONDS) * (weight @ scores[seen] / total - people)
    return np.asarray(offset, np.float32)


def resting_shift(
    probabilities: Values,
    active: Values,
    seconds: NDArray[np.floating],
    people: NDArray[np.float64],
) -> Values:
    """:func:`rest_offset` of the logarithms of probabilities [N, 8], in nats.

    Of the first K classes, as ``people`` [K] knows them.
    """
    require_shape("probabilities", probabilities, (None, len(EXPRESSIONS)))
    return rest_offset(_logs(probabilities[:, : len(people)]), active, seconds, people)


def shifted(probabilities: Values, shift: Values) -> Values:
    """float32 [N, 8], ``probabilities`` [N, 8] with ``shift`` [K] taken off; NaN rows stay NaN."""
    classes = len(shift)
    logs = _logs(probabilities[:, :classes]) - shift
    odds = np.exp(logs - logs.max(axis=1, keepdims=True))
    out = np.zeros_like(probabilities)
    out[:, :classes] = odds / odds.sum(axis=1, keepdims=True)
    out[np.isnan(probabilities[:, 0])] = np.nan
    return out


def logits_of(probabilities: Values) -> NDArray[np.float64]:
    """The logarithms of the odds; of what is surer than 1 in 10,000 those of that."""
    sure = np.clip(probabilities.astype(np.float64), _FLOOR, 1 - _FLOOR)
    return np.log(sure / (1 - sure))


def _logs(probabilities: Values) -> NDArray[np.float64]:
    return np.log(np.maximum(probabilities.astype(np.float64), _FLOOR))


@cache
def resting_people() -> NDArray[np.float64]:
    """float64 [7], the mean logarithm of what starter-1's face net says of neutral faces."""
    facts = json.loads(FIGURES.read_text(encoding="utf-8"))["mean_log_probability"]
    return np.array([facts[name] for name in CLASSES])
