"""Whether a voice is that of the face in the picture: do its lips move?

A film has speakers off screen, a conversation has listeners. A voice counts for a face only as far
as the lips move around that moment. Measured on the sample media and on GRID's speakers: within a
second of speech the gap between the lips varies by more than .03 (standard deviation, in units of
the landmarks), of a still face by about .002.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avaffect.predictors.starter.action_units import INNER_LIPS

Values = NDArray[np.float32]

# Seconds to both sides of a frame.
HALF_S = 0.5
# Standard deviations of the gap at which lips count as still and as moving.
STILL, MOVING = 0.005, 0.02
# Fewer frames with a face around a moment tell nothing of movement.
_FEWEST = 3


def lip_gap(face_pose: Values) -> Values:
    """float32 [N], the gap between the inner lips of ``face_pose`` [N, 263]; NaN rows give NaN."""
    upper, lower = INNER_LIPS
    return np.asarray(face_pose[:, upper] - face_pose[:, lower], np.float32)


def lips_move(gap: Values, times: NDArray[np.float64]) -> Values:
    """How far the lips move around each frame.

    Args:
        gap: [N] from :func:`lip_gap`, NaN where no face is seen.
        times: float64 [N], seconds, never falling.

    Returns:
        float32 [N] in 0..1; 1 where there is no face, or too little of it, to tell: then nothing
        speaks against the voice.
    """
    seen = ~np.isnan(gap)
    at, values = times[seen], gap[seen].astype(np.float64)
    moves = np.ones(len(gap), np.float32)
    if not len(values):
        return moves
    values = values - values.mean()
    first = np.searchsorted(at, times - HALF_S, side="left")
    last = np.searchsorted(at, times + HALF_S, side="right")
    count = last - first
    sums, squares = (np.concatenate([[0.0], np.cumsum(part)]) for part in (values, values**2))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (sums[last] - sums[first]) / count
        spread = np.sqrt(np.maximum((squares[last] - squares[first]) / count - mean**2, 0))
    known = seen & (count >= _FEWEST)
    moves[known] = np.clip((spread[known] - STILL) / (MOVING - STILL), 0, 1)
    return moves
