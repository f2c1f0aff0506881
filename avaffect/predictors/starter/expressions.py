"""Expression probabilities from a frame model's prediction and action unit activations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avaffect.predictions.prediction import ACTION_UNITS, EXPRESSIONS

Values = NDArray[np.float32]

# Which activations speak for which expression: the prototypes of Ekman & Friesen's EMFACS, limited
# to the 12 units at hand; each row's weights sum to 1.
_PROTOTYPES: dict[str, dict[str, float]] = {
    "Anger": {"AU4": 0.6, "AU23": 0.2, "AU24": 0.2},
    "Disgust": {"AU10": 0.8, "AU4": 0.2},
    "Fear": {"AU1": 0.3, "AU4": 0.3, "AU2": 0.2, "AU25": 0.2},
    "Happiness": {"AU12": 0.7, "AU6": 0.3},
    "Sadness": {"AU15": 0.6, "AU1": 0.2, "AU4": 0.2},
    "Surprise": {"AU1": 0.3, "AU2": 0.3, "AU26": 0.4},
}
_SHARPNESS = 6.0
# How much they count beside starter-1's face net, and what keeps them from a veto.
UNITS_POWER = 0.25
_PROTOTYPE_FLOOR = 1e-4
# A best class below this probability is not sure: what is missing goes to Other.
SURE = 0.45


def prototype_probabilities(active: Values) -> Values:
    """float32 [N, 8], what the activations [N, 12] (0..1) alone say; Other is 0."""
    evidence = np.zeros((len(active), len(EXPRESSIONS)), np.float32)
    for name, units in _PROTOTYPES.items():
        columns = [ACTION_UNITS.index(unit) for unit in units]
        weights = np.array(list(units.values()), np.float32)
        evidence[:, EXPRESSIONS.index(name)] = active[:, columns] @ weights
    # A face is as neutral as it is still; 0.45 lets clear activations win over Neutral.
    evidence[:, 0] = 0.45 * (1 - evidence[:, 1:7].max(1))
    odds = np.exp(_SHARPNESS * evidence)
    odds[:, 7] = 0
    return odds / odds.sum(1, keepdims=True)


def with_other(probabilities: Values) -> Values:
    """Give Other what an unsure prediction lacks.

    Args:
        probabilities: float32 [N, 8], Other 0.

    Returns:
        float32 [N, 8]: where the best class has less than :data:`SURE`, Other takes the more the
        less sure it is (half at chance level); elsewhere unchanged.
    """
    best = probabilities.max(1, keepdims=True)
    other = np.clip((SURE - best) / (SURE - 1 / 7), 0, 1) * 0.5
    mixed = probabilities * (1 - other)
    mixed[:, 7:] += other
    return mixed


def with_units(probabilities: Values, active: Values) -> Values:
    """A face net's prediction with what the subject's action units say, which counts a quarter.

    On FER2013's single pictures, where a subject's neutral face is not known, it
    changes the accuracy by less than .003 and makes the labels likelier; over a video it is.

    Args:
        probabilities: float32 [N, 8], Other 0; NaN rows stay NaN.
        active: float32 [N, 12], activations 0..1, NaN where ``probabilities`` is.

    Returns:
        float32 [N, 8], rows that sum to one.
    """
    odds = probabilities * (prototype_probabilities(active) + _PROTOTYPE_FLOOR) ** UNITS_POWER
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float32)
