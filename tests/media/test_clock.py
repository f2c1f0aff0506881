"""Frame times: kept where good, repaired where not, always increasing."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.media.clock import FrameClock, RegularClock


def run(stamps, step=0.04, restarts=False):
    clock = FrameClock(step, restarts)
    following = [*stamps[1:], None]
    return [clock.time(own, after) for own, after in zip(stamps, following, strict=True)], clock


def test_good_times_are_kept_and_count_from_the_first() -> None:
    times, clock = run([1.4, 1.44, 1.5, 9.0, 9.001])
    assert times == pytest.approx([0, 0.04, 0.1, 7.6, 7.601])
    assert (clock.repaired, clock.first) == (0, 1.4)


@pytest.mark.parametrize(
    ("stamps", "expected", "repaired"),
    [
        ([0, 0.04, None, 0.12], [0, 0.04, 0.08, 0.12], 1),
        ([0, 0.04, 0.04, 0.08], [0, 0.04, 0.06, 0.08], 1),
        ([0, 0.08, 0.04, 0.12], [0, 0.08, 0.10, 0.12], 1),
        ([0, 0.04, 36000, 0.12, 0.16], [0, 0.04, 0.08, 0.12, 0.16], 1),
        ([0, 0.04, -36000, 0.12, 0.16], [0, 0.04, 0.08, 0.12, 0.16], 1),
        ([None, None, None], [0, 0.04, 0.08], 3),
        ([None, 5.04, 5.08], [0, 0.04, 0.08], 1),
        ([7, 7.04, 2, 2.04, 2.09], [0, 0.04, 0.08, 0.12, 0.17], 1),
    ],
)
def test_repairs(stamps, expected, repaired: int) -> None:
    times, clock = run(stamps)
    assert times == pytest.approx(expected)
    assert clock.repaired == repaired


def test_a_long_step_forward_is_a_pause_unless_the_clock_may_restart() -> None:
    stamps = [0, 0.04, 100, 100.04]
    assert run(stamps)[0] == pytest.approx([0, 0.04, 100, 100.04])
    assert run(stamps, restarts=True)[0] == pytest.approx([0, 0.04, 0.08, 0.12])


@given(
    st.lists(st.none() | st.floats(-1e5, 1e5) | st.sampled_from([0.0, 0.04, 0.08]), min_size=1),
    st.booleans(),
)
def test_times_always_start_at_zero_and_increase(stamps, restarts) -> None:
    times, _ = run(stamps, restarts=restarts)
    assert times[0] == 0
    assert all(later > earlier for earlier, later in pairwise(times))


@given(st.lists(st.floats(0.001, 5), min_size=1), st.floats(-100, 100))
def test_increasing_times_are_never_touched(steps, start) -> None:
    stamps = [start]
    for step in steps:
        stamps.append(stamps[-1] + step)
    times, clock = run(stamps)
    assert times == pytest.approx([stamp - start for stamp in stamps], abs=1e-9)
    assert clock.repaired == 0


def test_a_regular_clock_asks_nobody() -> None:
    clock = RegularClock(50)
    assert clock.first is None
    times = [clock.time(own, None) for own in (None, 7.0, 7.0, -3.0)]
    assert times == [0, 0.02, 0.04, 0.06]
    assert (clock.first, clock.repaired) == (0, 0)


def test_errors_of_rounding_are_no_steps() -> None:
    stamps = [-61465.90833674649, 0.0, None, 69606.0, 0.04, None, 0.04]
    times, _ = run(stamps)
    assert all(later > earlier for earlier, later in pairwise(times))
