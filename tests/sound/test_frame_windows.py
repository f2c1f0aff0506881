"""The windows of sound around frames."""

import numpy as np
from fixtures.sounds import vowel, window_at

from avaffect.config import SAMPLE_RATE
from avaffect.sound.frame_windows import fft_size, frame_windows, window_samples


def test_windows_are_two_steps_long() -> None:
    assert window_samples(np.arange(9) / 30) == 1067
    assert window_samples(np.arange(9) / 25) == 1280
    assert window_samples(np.array([0, 0.04, 0.08, 5.0])) == 1280
    assert window_samples(np.array([0.0])) == window_samples(np.zeros(3)) == 1280
    assert window_samples(np.array([0, 1e9])) == 30 * SAMPLE_RATE


def test_the_fft_holds_the_window() -> None:
    assert [fft_size(length, 2048) for length in (2, 2048, 2049, 9000)] == [
        2048,
        2048,
        4096,
        16384,
    ]


def test_windows_lie_around_their_frames() -> None:
    sound, times = vowel(1), np.arange(-3, 40) / 25
    parts = list(frame_windows([sound[:5000], sound[5000:]], times, 2048))
    windows = np.concatenate([part.samples for part in parts])
    expected = [window_at(sound, time, 1280) for time in times]
    assert windows.dtype == np.float32
    np.testing.assert_array_equal(windows, expected)
