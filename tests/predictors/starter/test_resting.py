"""A subject's resting face, taken off what a net says of them."""

import numpy as np
import pytest

from avaffect.predictors.starter.resting import CLASSES, resting_people, resting_shift, shifted

SMILING = 4  # Happiness
PEOPLE = resting_people()


def clip(rest, moment, frames=100, active_from=60):
    """Opinions of a subject at rest, then in a moment of strong activation; 25 frames a second."""
    opinion = np.zeros((frames, 8), np.float32)
    opinion[:active_from, :7], opinion[active_from:, :7] = rest, moment
    opinion /= opinion.sum(axis=1, keepdims=True)
    active = np.zeros((frames, 12), np.float32)
    active[active_from:, 6] = 0.9
    return opinion, active, np.full(frames, 1 / 25)


def towards(index, chance):
    row = np.full(7, (1 - chance) / 6, np.float32)
    row[index] = chance
    return row


def test_a_friendly_resting_face_comes_to_neutral_and_a_smile_stays_a_smile() -> None:
    opinion, active, seconds = clip(towards(SMILING, 0.6), towards(SMILING, 0.97))
    seconds = seconds * 10
    after = shifted(opinion, resting_shift(opinion, active, seconds, PEOPLE))
    assert (opinion[:60].argmax(axis=1) == SMILING).all()
    assert (after[:60].argmax(axis=1) == 0).all()
    assert (after[60:].argmax(axis=1) == SMILING).all()
    np.testing.assert_allclose(after.sum(axis=1), 1, rtol=1e-5)


def test_a_face_that_rests_like_others_is_left_alone() -> None:
    opinion, active, seconds = clip(np.exp(resting_people()), towards(SMILING, 0.9))
    after = shifted(opinion, resting_shift(opinion, active, seconds, PEOPLE))
    np.testing.assert_allclose(after, opinion, atol=1e-4)


def test_who_never_rests_is_left_alone() -> None:
    opinion, active, seconds = clip(towards(1, 0.9), towards(1, 0.9), active_from=0)
    np.testing.assert_array_equal(resting_shift(opinion, active, seconds, PEOPLE), np.zeros(7))
    np.testing.assert_allclose(shifted(opinion, np.zeros(7, np.float32)), opinion, atol=1e-3)


def test_the_longer_at_rest_the_farther_it_shifts_whatever_the_frame_rate() -> None:
    opinion, active, seconds = clip(towards(5, 0.7), towards(5, 0.7))
    short, long = (
        np.abs(resting_shift(opinion, active, seconds * k, PEOPLE)).sum() for k in (1, 9)
    )
    assert long > 1.2 * short
    half = resting_shift(opinion[::2], active[::2], seconds[::2] * 2, PEOPLE)
    np.testing.assert_allclose(half, resting_shift(opinion, active, seconds, PEOPLE), rtol=1e-4)


@pytest.mark.parametrize("missing", [slice(0, 60), slice(0, 100)])
def test_frames_without_a_face_do_not_count_and_stay_missing(missing) -> None:
    opinion, active, seconds = clip(towards(2, 0.9), towards(3, 0.9))
    opinion[missing], active[missing] = np.nan, np.nan
    shift = resting_shift(opinion, active, seconds, PEOPLE)
    np.testing.assert_array_equal(shift, np.zeros(len(CLASSES)))
    after = shifted(opinion, shift)
    np.testing.assert_array_equal(np.isnan(after), np.isnan(opinion))
