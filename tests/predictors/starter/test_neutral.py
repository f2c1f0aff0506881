"""The neutral level: what it must find whatever the subject does, and what must not matter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from avaffect.faces.face_pose import SIZE, face_pose_names
from avaffect.predictors.starter.neutral import (
    PRIOR_SECONDS,
    Population,
    frontality,
    neutral_level,
    seconds_each,
)

NAMES = face_pose_names()
PEOPLE = Population(
    low=np.zeros(4, np.float32),
    middle=np.array([0.0, 0.1, 0.2, 0.0], np.float32),
    high=np.array([0.2, 0.4, 0.5, 0.1], np.float32),
)
# Someone whose face rests elsewhere than the middle of the population.
RESTING = np.array([0.1, 0.3, 0.05, 0.0], np.float32)
# What a smile, a frown and speech do to the four signals.
MOVES = {
    "smile": np.array([0.7, 0.0, 0.1, 0.2], np.float32),
    "frown": np.array([0.0, 0.5, 0.0, 0.0], np.float32),
    "speech": np.array([0.0, 0.0, 0.0, 0.4], np.float32),
}
signals = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 30), st.just(4)),
    elements=st.floats(0, 1, width=32, allow_subnormal=False),
)


def clip(move: str, part: float, seconds: float, fps: float = 25.0, noise: float = 0.02):
    """Signals [M, 4] and times of one who moves for ``part`` of the clip and rests before."""
    times = np.arange(int(seconds * fps)) / fps
    moved = np.clip((times - seconds * (1 - part)) / 0.2, 0, 1)
    wobble = np.sin(2 * np.pi * np.outer(times, [0.9, 1.3, 1.7, 2.1]))
    raw = RESTING + moved[:, None] * MOVES[move] + noise * wobble
    return np.maximum(raw, 0).astype(np.float32), times


def level(raw, times):
    return neutral_level(raw, seconds_each(times), PEOPLE)


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("part", [0.0, 0.5, 0.8])
def test_the_resting_face_is_found_whatever_the_rest_of_the_clip_shows(move, part: float) -> None:
    np.testing.assert_allclose(level(*clip(move, part, 20)), RESTING, atol=0.05)


@pytest.mark.parametrize("seconds", [1, 2, 3])
def test_a_short_clip_lies_between_the_population_and_the_subject(seconds: int) -> None:
    found = level(*clip("smile", 0.5, seconds, noise=0))
    assert (np.minimum(PEOPLE.middle, RESTING) - 1e-3 <= found).all()
    assert (found <= np.maximum(PEOPLE.middle, RESTING) + 1e-3).all()
    # Nearer to the subject: half of a clip is a lot of rest.
    nearer = np.abs(found - RESTING) <= np.abs(found - PEOPLE.middle) + 1e-3
    assert nearer.all()


def test_belief_grows_with_the_seconds_of_rest() -> None:
    def off(seconds):
        return np.abs(level(*clip("smile", 0.0, seconds, noise=0)) - RESTING).sum()

    assert off(0.2) > off(1) > off(5) > off(60)
    assert off(60) < 0.01


def test_as_many_seconds_as_the_prior_s_are_believed_half() -> None:
    found = neutral_level(RESTING[None], np.array([PRIOR_SECONDS]), PEOPLE)
    np.testing.assert_allclose(found, (RESTING + PEOPLE.middle) / 2, atol=1e-6)


def test_one_who_never_relaxes_is_not_taken_for_neutral() -> None:
    found = level(*clip("smile", 1.0, 60))
    assert found[0] == PEOPLE.high[0]
    assert (found <= PEOPLE.high).all()


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("part", [0.0, 0.5, 0.8])
def test_the_frame_rate_does_not_matter(move, part: float) -> None:
    found = [level(*clip(move, part, 3, fps)) for fps in (12.5, 25, 50)]
    assert np.ptp(found, axis=0).max() < 0.02


def test_frames_that_come_at_uneven_times_count_for_their_time() -> None:
    raw, times = clip("smile", 0.5, 4, fps=50)
    # The smiling half at 50 frames a second, the resting half at 10.
    kept = (times >= 2) | (np.arange(len(times)) % 5 == 0)
    np.testing.assert_allclose(level(raw[kept], times[kept]), level(raw, times), atol=0.02)


@given(signals, st.randoms(use_true_random=False))
def test_the_order_of_frames_does_not_matter(raw, random) -> None:
    seconds = np.linspace(0.02, 0.06, len(raw))
    order = list(range(len(raw)))
    random.shuffle(order)
    shuffled = neutral_level(raw[order], seconds[order], PEOPLE)
    np.testing.assert_allclose(shuffled, neutral_level(raw, seconds, PEOPLE), atol=1e-5)


@given(signals, st.floats(0.001, 1))
def test_it_never_leaves_the_range_of_resting_faces(raw, seconds) -> None:
    found = neutral_level(raw, np.full(len(raw), seconds), PEOPLE)
    assert found.dtype == np.float32
    assert (found >= PEOPLE.low).all()
    assert (found <= PEOPLE.high).all()


@given(signals)
def test_frames_without_face_or_weight_do_not_count(raw) -> None:
    seconds = np.full(len(raw), 0.04)
    nothing = np.array([[np.nan] * 4, [1.0] * 4], np.float32)
    more = neutral_level(
        np.concatenate([raw, nothing]), np.concatenate([seconds, [1.0, 0.0]]), PEOPLE
    )
    np.testing.assert_array_equal(more, neutral_level(raw, seconds, PEOPLE))


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        (np.zeros((0, 4)), np.zeros(0)),
        (np.ones((3, 4)), np.zeros(3)),
        (np.full((3, 4), np.nan), np.ones(3)),
    ],
)
def test_with_nothing_to_go_by_it_is_the_population_s_middle(raw, seconds) -> None:
    found = neutral_level(raw, seconds, PEOPLE)
    np.testing.assert_array_equal(found, PEOPLE.middle)
    found[:] = 9  # the population must not change with it
    assert PEOPLE.middle.max() < 1


def test_turned_frames_count_less() -> None:
    turned = np.full((3, SIZE), 0, np.float32)
    turned[:, NAMES.index("yaw")] = np.array([10, -30, 60]) / 90
    turned = np.concatenate([turned, np.full((1, SIZE), np.nan, np.float32)])
    np.testing.assert_allclose(frontality(turned), [1, 0.5, 0, 0], atol=1e-6)
    turned = np.roll(turned, 1, axis=1)
    turned[:, NAMES.index("yaw")] = 0
    np.testing.assert_allclose(frontality(turned), [1, 0.5, 0, 0], atol=1e-6)


@given(st.lists(st.floats(0.001, 0.2), min_size=1, max_size=50))
def test_seconds_of_a_clip_add_up_to_its_length(gaps) -> None:
    times = np.concatenate([[0.0], np.cumsum(gaps)])
    assert seconds_each(times).sum() == pytest.approx(times[-1])


def test_no_frame_stands_for_long() -> None:
    assert seconds_each(np.array([0, 0.04, 60, 60.04])).max() == 0.5
    assert seconds_each(np.array([3.0])).tolist() == [0.0]
    assert seconds_each(np.zeros(0)).shape == (0,)
    assert seconds_each(np.zeros(3)).tolist() == [0, 0, 0]


@given(hnp.arrays(np.float32, (3, 2), elements=st.floats(0, 1, width=32)))
def test_a_population_is_in_order(values) -> None:
    low, middle, high = values
    assume(not ((low <= middle) & (middle < high)).all())
    with pytest.raises(ValueError, match="low <= middle < high"):
        Population(low, middle, high)


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="high"):
        Population(PEOPLE.low, PEOPLE.middle, PEOPLE.high[:3])
    with pytest.raises(ValueError, match="raw"):
        neutral_level(np.zeros((2, 3)), np.ones(2), PEOPLE)
    with pytest.raises(ValueError, match="seconds"):
        neutral_level(np.zeros((2, 4)), np.ones(3), PEOPLE)
