"""What the voice net hears, against librosa."""

import subprocess
import sys

import numpy as np
import pytest
from fixtures.sounds import by_librosa, vowel, window_at

from avaffect.sound.frame_windows import window_samples
from avaffect.sound.front_end import WIDTH, speech_features

KNOWN = [
    [-195.264725, 168.168945, -12.795403, -31.543653, -8.800121, -47.698727],
    [-475.658356, 47.401283, -5.005940, -47.801723, -36.059818, -47.801723],
]


@pytest.mark.parametrize("rate", [50, 25, 3])
def test_rows_equal_librosa(rate: int) -> None:
    sound, times = vowel(2), np.arange(2 * rate) / rate
    length = window_samples(times)
    expected = [by_librosa(window_at(sound, time, length)) for time in times]
    rows = np.concatenate(list(speech_features([sound], times)))
    assert (rows.dtype, rows.shape) == (np.float32, (len(times), WIDTH))
    np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-4)


def test_the_numbers_that_the_net_was_trained_with() -> None:
    """Some of them; a net that hears others says other things."""
    (rows,) = speech_features([vowel(1)], np.arange(50) / 50)
    found = rows[[7, 44]][:, [0, 1, 39, 40, 90, 167]]
    np.testing.assert_allclose(found, KNOWN, rtol=1e-5, atol=1e-4)


def test_it_needs_no_librosa_nor_scipy() -> None:
    script = (
        "import sys, numpy as np; from avaffect.sound.front_end import speech_features\n"
        "list(speech_features([np.zeros(16000, np.float32)], np.arange(50) / 50))\n"
        "print([name for name in ('librosa', 'numba', 'scipy', 'torch') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "[]\n"
