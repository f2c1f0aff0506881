"""A subject's neutral level of each signal: where it rests when the face does.

Nobody tells us when a face rests, and a subject may smile, frown or speak for most of a clip. So
the frames are asked which of them look most like resting people of whom we know that they rest
(`Population`): all signals together decide, the nearest tenth of the *time* sets how near is near,
and a weighted median over the frames about as near is what was seen. It is believed the more the
more seconds it stands on, and else drawn to the population's middle; it never leaves the range of
resting people, so that one who never relaxes is not taken for neutral.

Everything is weighted by seconds, not frames: the frame rate does not matter, nor does the order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord, require_shape
from avaffect.errors import UsageError
from avaffect.faces.face_pose import LANDMARK_VALUES

Values = NDArray[np.floating]

# The part of the time that is taken to be calm, whatever the rest is.
CALM_PART = 0.1
# As many seconds of calm frames as weigh as much as the population does.
PRIOR_SECONDS = 0.3
# A signal this many spreads above its middle is far from rest; farther makes no difference, so
# that a single signal does not decide alone.
_FARTHEST = 6.0
# No frame stands for longer than this, whatever is missing around it.
_LONGEST_SECONDS = 0.5
# Turned or tilted faces distort blendshapes: full trust up to the first angle, none from the
# second.
_FRONTAL_DEGREES = (20.0, 40.0)


@dataclass(frozen=True, eq=False, repr=False)
class Population(ArrayRecord):
    """Where each of K signals lies on resting faces.

    Attributes:
        low, middle, high: float32 [K], with low <= middle < high.

    Raises:
        UsageError: other shapes or another order.
    """

    low: NDArray[np.float32]
    middle: NDArray[np.float32]
    high: NDArray[np.float32]

    def __post_init__(self) -> None:
        for name in ("low", "middle", "high"):
            values = np.asarray(getattr(self, name), np.float32)
            require_shape(name, values, (len(self.middle),))
            object.__setattr__(self, name, values)
        if not ((self.low <= self.middle) & (self.middle < self.high)).all():
            raise UsageError("a population needs low <= middle < high for each signal")


def seconds_each(times: Values) -> NDArray[np.float64]:
    """float64 [N], how long each frame stands for: half the way to its neighbours on both sides.

    At most half a second. A single picture stands for no time.

    Args:
        times: [N], seconds, never falling.
    """
    gaps = np.diff(np.asarray(times, np.float64))
    both = np.concatenate([[0.0], gaps]) + np.concatenate([gaps, [0.0]])
    return np.minimum(both[: len(times)] / 2, _LONGEST_SECONDS)


def frontality(face_pose: Values) -> NDArray[np.float32]:
    """float32 [N] in 0..1, how far a frame is fit for estimating the neutral face.

    1 up to 20 degrees of yaw and pitch, falling to 0 at 40; 0 without a face.

    Args:
        face_pose: float32 [N, 263], see ``faces.face_pose``.
    """
    degrees = np.abs(face_pose[:, LANDMARK_VALUES : LANDMARK_VALUES + 2]).max(axis=1) * 90
    full, none = _FRONTAL_DEGREES
    return np.nan_to_num(np.clip((none - degrees) / (none - full), 0, 1)).astype(np.float32)


def neutral_level(raw: Values, seconds: Values, population: Population) -> NDArray[np.float32]:
    """A subject's neutral level of each signal.

    Args:
        raw: [M, K] signals of frames, in any order; rows with NaN do not count, M may be 0.
        seconds: [M], how long each frame stands for (`seconds_each`), less where it is less
            fit (times `frontality`); frames without seconds do not count.
        population: of resting faces.

    Returns:
        float32 [K], within the population's low and high; its middle without frames.
    """
    require_shape("raw", raw, (None, len(population.middle)))
    require_shape("seconds", seconds, (len(raw),))
    counts = (seconds > 0) & ~np.isnan(raw).any(axis=1)
    if not counts.any():
        return population.middle.copy()
    raw, seconds = raw[counts], seconds[counts]
    # Only more than the middle is farther from rest: below it, a signal is at rest anyway.
    above = (raw - population.middle) / (population.high - population.middle)
    distance = np.clip(above, 0, _FARTHEST).sum(axis=1)
    calm = _quantile(distance, seconds, CALM_PART)
    # One spread of one signal farther, and a frame counts a third.
    weight = seconds * np.exp(-np.maximum(distance - calm, 0))
    seen = np.array([_quantile(column, weight, 0.5) for column in raw.T])
    belief = weight.sum() / (weight.sum() + PRIOR_SECONDS)
    level = population.middle + belief * (seen - population.middle)
    return np.clip(level, population.low, population.high).astype(np.float32)


def _quantile(values: Values, weight: Values, part: float) -> float:
    """The value below which ``part`` of the weight lies, between two values in proportion."""
    # Equal values by weight: the order of the frames must not matter.
    order = np.lexsort((weight, values))
    # In float64: the sum of many small weights must not depend on the frame rate.
    weight = weight[order].astype(np.float64)
    below = np.cumsum(weight) - weight / 2
    return float(np.interp(part * weight.sum(), below, values[order]))
