"""Action units that nobody could see: those of a covered or averted part of the face.

A unit read from lips that a mask covers is the landmark net's guess, which is mostly that nothing
happens. It is missing, not absent.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.faces.quality import REGIONS
from avaffect.labels import ACTION_UNITS
from avaffect.predictions.prediction import Prediction
from avaffect.store.subject import SubjectFeatures
from avaffect.tasks.registry import AU

# What a unit is read from. A raised cheek shows at the mouth and at the eye.
NEEDS = {
    "AU1": ("brows",), "AU2": ("brows",), "AU4": ("brows",), "AU6": ("eyes", "mouth"),
    "AU7": ("eyes",), "AU10": ("mouth",), "AU12": ("mouth",), "AU15": ("mouth",),
    "AU23": ("mouth",), "AU24": ("mouth",), "AU25": ("mouth",), "AU26": ("mouth",),
}  # fmt: skip
_OPEN = 0.5
# A frame is judged by all within this many seconds of it: hands do not come and go in less.
_WITHIN_S = 0.25
_NEEDS = np.array([[region in NEEDS[unit] for region in REGIONS] for unit in ACTION_UNITS])


def hidden_units(subject: SubjectFeatures) -> NDArray[np.bool_]:
    """bool [N, 12], where a face is there and a unit of ``ACTION_UNITS`` cannot be seen."""
    return np.asarray((hidden_regions(subject)[:, None, :] & _NEEDS).any(axis=2))


def hidden_regions(subject: SubjectFeatures) -> NDArray[np.bool_]:
    """bool [N, 3], where a face is there and a part of ``REGIONS`` cannot be seen."""
    times, present = np.asarray(subject.times), np.asarray(subject.present)
    seen = np.where(present[:, None], np.asarray(subject.seen, np.float64), 0.0)
    first = np.searchsorted(times, times - _WITHIN_S, side="left")
    last = np.searchsorted(times, times + _WITHIN_S, side="right")
    sums = np.concatenate([np.zeros((1, len(REGIONS))), np.cumsum(seen, axis=0)])
    counts = np.concatenate([[0], np.cumsum(present)])
    there = np.maximum(counts[last] - counts[first], 1)[:, None]
    covered = (sums[last] - sums[first]) / there < _OPEN
    return np.asarray(covered & present[:, None])


def without_hidden(prediction: Prediction, subject: SubjectFeatures) -> Prediction:
    """``prediction`` of ``subject`` with hidden units missing, presence and intensity."""
    if prediction.au is None:
        return prediction
    hidden = hidden_units(subject)
    if not hidden.any():
        return prediction
    au = np.where(hidden, np.float32(np.nan), prediction.au)
    strength = prediction.au_intensity
    if strength is not None:
        strength = np.where(hidden, np.float32(np.nan), strength)
    changes: dict[str, Any] = {AU.name: au, "au_intensity": strength}
    return replace(prediction, **changes)
