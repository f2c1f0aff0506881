"""For how many seconds each frame stands."""

import numpy as np
import pytest

from avaffect.predictions.durations import LONGEST_STEP_S, durations


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0.0, 0.04, 0.08], [0.04, 0.04, 0.04]),
        ([0.0, 0.1, 5.0, 5.1], [0.1, LONGEST_STEP_S, 0.1, 0.1]),  # a pause counts a second
        ([3.0], [0.04]),
    ],
)
def test_until_the_next_frame(times: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(durations(np.array(times)), expected)
