"""Choosing on one half and scoring on the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.errors import UsageError
from avaffect.predicting.choosing import best_of, choose, halves


@given(st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=30))
def test_halves_tear_no_group_apart_and_are_about_equal(groups) -> None:
    if len(set(groups)) < 2:
        with pytest.raises(UsageError, match="two groups"):
            halves(groups)
        return
    first, second = halves(groups)
    assert sorted(first + second) == list(range(len(groups)))
    assert first
    assert second
    assert not {groups[at] for at in first} & {groups[at] for at in second}
    largest = max(groups.count(group) for group in groups)
    assert abs(len(first) - len(second)) <= largest


def chosen_by_shift(groups, values, grid=(0.0, 1.0, 2.0)):
    """A setting is a number; the score of clips is minus their mean distance from it."""

    def score(distances):
        return -float(np.mean(list(distances)))

    def decide(setting, clips):
        return (abs(values[at] - setting) for at in clips)

    def fit(clips):
        return best_of(grid, lambda shift: score(decide(shift, clips)))

    return choose(0.0, groups, fit, decide, score)


def test_what_helps_everywhere_holds() -> None:
    choice = chosen_by_shift("aabbcc", [1, 1, 1, 1, 1, 1])
    assert choice.chosen == 1
    assert choice.halves == (1, 1)
    assert (choice.without, choice.optimistic, choice.cross_validated) == (-1, 0, 0)
    assert choice.holds


def test_what_helps_only_where_it_was_chosen_does_not_hold() -> None:
    # All that one half teaches is wrong for the other.
    choice = chosen_by_shift("ab", [0, 2])
    assert choice.halves == (0, 2)
    assert choice.cross_validated == -2
    assert choice.without == choice.optimistic == -1
    assert not choice.holds


def test_the_first_of_equal_candidates_is_taken_and_nan_never_if_there_is_another() -> None:
    scores = {"a": float("nan"), "b": 1.0, "c": 1.0}
    assert best_of("abc", scores.__getitem__) == "b"
    assert best_of("a", scores.__getitem__) == "a"
    with pytest.raises(ValueError, match="nothing"):
        best_of("", scores.__getitem__)
