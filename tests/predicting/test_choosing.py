"""Choosing on some folds and scoring on another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.errors import UsageError
from avaffect.predicting.choosing import FOLDS, Choice, choose, first_best, folds_of, without


@given(st.lists(st.sampled_from("abcdefgh"), max_size=30))
def test_folds_tear_no_group_apart_and_are_about_equal(groups: list[str]) -> None:
    folds = folds_of(groups, range(len(groups)))
    assert len(folds) == min(FOLDS, len(set(groups)))
    assert sorted(at for fold in folds for at in fold) == list(range(len(groups)))
    held = [{groups[at] for at in fold} for fold in folds]
    assert sum(map(len, held)) == len(set(groups))
    if folds:
        largest = max(groups.count(group) for group in groups)
        sizes = [len(fold) for fold in folds]
        assert max(sizes) - min(sizes) <= largest


def chosen_by_shift(
    groups: str, values: Sequence[float], grid: Sequence[float] = (0.0, 1.0, 2.0)
) -> Choice:
    """A setting is a number; the score of clips is minus their mean distance from it."""

    def distances(shift: float, clips: Sequence[int]) -> np.ndarray:
        return np.array([[abs(values[at] - shift), 1.0] for at in clips])

    def score(sums: np.ndarray) -> float:
        return -float(sums[0] / sums[1])

    plain = distances(0.0, range(len(groups)))
    return choose(
        len(grid), groups, plain, lambda at, _, scored: distances(grid[at], scored), score
    )


def test_what_helps_everywhere_holds() -> None:
    choice = chosen_by_shift("aabbcc", [1, 1, 1, 1, 1, 1])
    assert (choice.chosen, choice.folds) == (1, (1, 1, 1))
    assert (choice.without, choice.optimistic, choice.cross_validated) == (-1, 0, 0)
    assert choice.holds
    assert choice.nested.sum(axis=0).tolist() == [0, 6]


def test_what_helps_only_where_it_was_chosen_does_not_hold() -> None:
    # All that one group teaches is wrong for the other.
    choice = chosen_by_shift("ab", [0, 2])
    assert choice.folds == (2, None)
    assert choice.cross_validated == -2
    assert choice.without == -1
    assert not choice.holds


def test_the_outer_fold_has_no_part_in_its_choice() -> None:
    """Each time that an outer fold is scored, nothing of it was fitted or looked at."""
    groups = "abcdefg"
    fitted: list[tuple[set[int], set[int]]] = []

    def sums(setting: int, fit: Sequence[int], scored: Sequence[int]) -> np.ndarray:
        fitted.append((set(fit), set(scored)))
        return np.array([[1.0 + setting, 1.0] for _ in scored])

    plain = np.ones((len(groups), 2))
    choose(1, groups, plain, sums, lambda total: float(total[0] / total[1]))
    whole = set(range(len(groups)))
    pairs = [(fit, scored) for fit, scored in fitted if fit != whole]
    assert all(not fit & scored for fit, scored in pairs)
    outer = [scored for fit, scored in pairs if fit | scored == whole]
    assert len(outer) == FOLDS
    inner = [(fit, scored) for fit, scored in pairs if fit | scored != whole]
    # Within the clips that are left of one outer fold.
    assert all(any(fit | scored == whole - held for held in outer) for fit, scored in inner)


def test_a_setting_that_fits_noise_is_seen_through() -> None:
    """One that knows the clips that it was fitted on, and is wrong on all others."""
    groups = "abcdef"

    def sums(setting: int, fit: Sequence[int], scored: Sequence[int]) -> np.ndarray:
        return np.array([[float(at in set(fit)), 1.0] for at in scored])

    plain = np.tile([0.5, 1.0], (len(groups), 1))
    choice = choose(1, groups, plain, sums, lambda total: float(total[0] / total[1]))
    assert choice.optimistic == 1
    assert choice.folds == (None,) * FOLDS
    assert choice.cross_validated == choice.without == 0.5
    assert not choice.holds


def test_too_few_groups_or_settings_are_refused() -> None:
    plain = np.ones((2, 2))
    with pytest.raises(UsageError, match="two groups"):
        choose(1, "aa", plain, lambda *_: plain, lambda total: 0.0)
    with pytest.raises(UsageError, match="nothing"):
        choose(0, "ab", plain, lambda *_: plain, lambda total: 0.0)


def test_the_first_of_equal_scores_is_best_and_nan_never_if_there_is_another() -> None:
    assert first_best([float("nan"), 1.0, 1.0]) == 1
    assert first_best([float("nan")]) == 0
    assert without(range(4), [1, 3]) == [0, 2]
