"""Samples at a steady rate show the nearest frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fixtures.recordings import rows_of

from avaffect.converting.steady import Steady
from avaffect.errors import UsageError


@pytest.mark.parametrize("rate", [25, 30, 30000 / 1001, 59.94, 12.5])
@pytest.mark.parametrize("digits", [9, 3])
def test_a_constant_rate_has_a_sample_a_frame(rate: float, digits: int) -> None:
    # Matroska has whole milliseconds.
    times = np.round(np.arange(5000) / rate, digits)
    found = Steady.of(times)
    assert found.rate == pytest.approx(rate, rel=1e-4)
    assert found.frames.tolist() == [*range(5000)]
    assert found.known.all()


def test_a_variable_rate_takes_the_nearest_frame() -> None:
    found = Steady.of(np.array([0, 0.04, 0.1, 0.2]), rate=20)
    # Samples at 0, 0.05, 0.1, 0.15, 0.2; of two as near the earlier.
    assert found.frames.tolist() == [0, 1, 2, 2, 3]


def test_a_pause_is_unknown_and_does_not_change_the_rate() -> None:
    found = Steady.of(np.array([0, 0.1, 0.2, 5.0, 5.1]))
    assert found.rate == 10
    assert len(found) == 52
    assert found.known[:7].all() and found.known[46:].all()
    # Half a second away is the limit, to rounding.
    assert not found.known[8:45].any()


def test_samples_before_the_first_frame_are_unknown(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, times=1 + np.arange(3) / 10, valence=[0.25, 0.5, 0.75])
    steady = Steady.of(rows.times, start=0.0)
    values = np.concatenate([*steady.samples(rows, ["valence"])])[:, 0]
    assert len(values) == 13
    assert np.isnan(values[:5]).all()
    assert values[[6, 9, 10, 11, 12]].tolist() == [0.25, 0.25, 0.25, 0.5, 0.75]


def test_samples_over_blocks(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, times=np.arange(20_000) / 50, unseen=[3])
    steady = Steady.of(rows.times, rate=100)
    found = np.concatenate([*steady.samples(rows, ["AU12_p", "frame"])])
    assert len(found) == len(steady) == 39_999
    assert found[::2, 1].tolist() == [*range(1, 20_001)]
    assert np.isnan(found[6, 0])


def test_one_frame() -> None:
    found = Steady.of(np.array([2.0]))
    assert (found.rate, found.start, found.frames.tolist()) == (25, 2, [0])


@pytest.mark.parametrize("rate", [0, -1, float("nan"), 1e9])
def test_a_rate_that_is_none(rate: float) -> None:
    with pytest.raises(UsageError, match="samples a second are none"):
        Steady.of(np.arange(3.0), rate)


def test_too_many_samples() -> None:
    with pytest.raises(UsageError, match="samples are too many"):
        Steady.of(np.array([0, 1e6]), 10_000)
