"""Samples that a caller has."""

from __future__ import annotations

import numpy as np
import pytest

from avaffect.errors import UsageError
from avaffect.sound.samples import as_samples, mixed


def test_any_channels_become_one() -> None:
    stereo = as_samples(np.array([[0.5, 1.0], [0.0, -1.0]]), 48_000)
    assert stereo.dtype == np.float32
    assert mixed(stereo).tolist() == [0.25, 0]
    assert as_samples(np.zeros(3, np.float64), 8000.0).shape == (1, 3)
    assert as_samples(np.zeros(0), np.int64(16_000)).shape == (1, 0)
    assert mixed(as_samples(np.array([2.0]), 16_000)).tolist() == [1]


@pytest.mark.parametrize(
    ("samples", "rate", "words"),
    [
        (np.zeros(3), 999, "hertz"),
        (np.zeros(3), 384_001, "hertz"),
        (np.zeros(3), float("nan"), "hertz"),
        (np.zeros(3), "48k", "hertz"),
        (np.zeros(3, np.int16), 48_000, "int16"),
        (np.zeros((2, 3, 4)), 48_000, "float64"),
        (np.zeros((480, 2)), 48_000, "samples.T"),
        (np.zeros((0, 2)), 48_000, "channels"),
        (np.array([np.nan]), 48_000, "beyond"),
        (np.array([32_000.0]), 48_000, "beyond"),
        (["a"], 48_000, "expected float"),
    ],
)
def test_what_is_no_sound_is_refused(samples: object, rate: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        as_samples(samples, rate)
