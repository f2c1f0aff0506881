"""For how many seconds each frame of a prediction stands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LONGEST_STEP_S = 1.0
"""A frame stands for a second at the most: behind it comes a pause of the video."""
# Of a single frame nothing tells how long it was.
_UNKNOWN_STEP_S = 1 / 25


def durations(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [N], seconds until the next frame, at most :data:`LONGEST_STEP_S`.

    The last one stands for as long as the median one.

    Args:
        times: float64 [N], seconds, never falling.
    """
    steps = np.diff(times)
    last = float(np.median(steps)) if len(steps) else _UNKNOWN_STEP_S
    return np.minimum(np.append(steps, last), LONGEST_STEP_S)
