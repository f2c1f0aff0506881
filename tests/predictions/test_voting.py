"""Votes and averages, against slow definitions that go frame by frame."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from avaffect.predictions.voting import average, meta_classifier, threshold_other, units_vote

sizes = st.tuples(st.integers(1, 5), st.integers(0, 6))


def slow_winner(votes, probabilities, priority):
    """One frame, as seed paper 001 words it."""
    given = [int(vote) for vote in votes if vote != -1]
    if not given:
        return -1
    for rare in priority:
        if rare in given:
            return rare
    counts = Counter(given)
    tied = [label for label in counts if counts[label] == max(counts.values())]

    def mean(label):
        known = [float(row[label]) for row in probabilities if not math.isnan(row[label])]
        return math.fsum(known) / len(known) if known else 0.0

    return min(tied, key=lambda label: (-mean(label), label))


@st.composite
def ballots(draw):
    models, frames = draw(sizes)
    votes = draw(hnp.arrays(np.int64, (models, frames), elements=st.integers(-1, 7)))
    # Eighths have exact sums, so that equal means are equal.
    cells = hnp.arrays(np.float64, (models, frames, 8), elements=st.sampled_from([0, 0.125, 0.5]))
    probabilities = draw(cells)
    probabilities[draw(hnp.arrays(bool, (models, frames)))] = np.nan
    return votes, probabilities


@given(ballots(), st.sampled_from([(2, 3, 5, 1), (1, 2), ()]))
def test_the_meta_classifier_is_the_papers(ballot, priority) -> None:
    votes, probabilities = ballot
    found = meta_classifier(votes, probabilities, priority)
    wanted = [
        slow_winner(votes[:, at], probabilities[:, at], priority) for at in range(votes.shape[1])
    ]
    assert found.tolist() == wanted
    none = np.full_like(probabilities, np.nan)
    assert (meta_classifier(votes, None, priority) == meta_classifier(votes, none, priority)).all()


@given(ballots(), st.randoms())
def test_the_order_of_sub_classifiers_does_not_matter(ballot, chance) -> None:
    votes, probabilities = ballot
    order = list(range(len(votes)))
    chance.shuffle(order)
    there, back = (
        meta_classifier(votes, probabilities),
        meta_classifier(votes[order], probabilities[order]),
    )
    assert (there == back).all()


def test_one_rare_vote_beats_four_of_the_majority() -> None:
    votes = np.array([[0, 4, 1, 7, -1], [0, 4, 5, 7, -1], [0, 6, 3, 7, 6], [0, 6, 2, 6, -1],
                      [1, 6, 2, 6, -1]])  # fmt: skip
    assert meta_classifier(votes).tolist() == [1, 6, 2, 7, 6]


def test_ties_go_to_the_likelier_class() -> None:
    votes = np.array([[4], [6]])
    probabilities = np.zeros((2, 1, 8))
    assert meta_classifier(votes, probabilities).tolist() == [4]
    probabilities[0, 0, 6] = 0.1
    # A class that is likelier still, but has fewer votes, does not win.
    probabilities[:, 0, 0] = 0.9
    assert meta_classifier(votes, probabilities).tolist() == [6]


@given(st.data())
def test_units_need_so_many_votes(data) -> None:
    models, frames = data.draw(sizes)
    votes = data.draw(hnp.arrays(np.int64, (models, frames, 3), elements=st.integers(-1, 1)))
    at_least = data.draw(st.integers(1, models))
    found = units_vote(votes, at_least)
    for cell in np.ndindex(frames, 3):
        counted = [vote for vote in votes[(slice(None), *cell)].tolist() if vote != -1]
        wanted = -1 if not counted else int(sum(counted) >= min(at_least, len(counted)))
        assert found[cell] == wanted


def test_two_of_four() -> None:
    votes = np.array([1, 0, 0, 0, 1, 1, 0, 0, 1, -1, -1, -1, 1, 0, -1, -1]).reshape(4, 4).T
    assert units_vote(votes[:, :, None], 2)[:, 0].tolist() == [0, 1, 1, 0]


@given(st.data())
def test_averages_are_weighted_means_of_what_is_known(data) -> None:
    models, frames = data.draw(sizes)
    elements = st.one_of(st.just(np.nan), st.floats(-1, 1))
    values = data.draw(hnp.arrays(np.float64, (models, frames, 2), elements=elements))
    weights = data.draw(hnp.arrays(np.float64, models, elements=st.floats(0.1, 10)))
    found = average(values, weights)
    for cell in np.ndindex(frames, 2):
        column = values[(slice(None), *cell)]
        known = ~np.isnan(column)
        if known.any():
            wanted = np.average(column[known], weights=weights[known])
            assert found[cell] == pytest.approx(wanted, abs=1e-12)
        else:
            assert np.isnan(found[cell])


def test_what_is_unlike_all_seven_is_other() -> None:
    seven = np.full((4, 7), 0.1)
    seven[0, 3], seven[1, 6], seven[2] = 0.4, 0.39, np.nan
    eight = np.column_stack([seven, [0.9, 0.9, np.nan, 0.9]])
    for probabilities in (seven, eight):
        assert threshold_other(probabilities, 0.4).tolist() == [3, 7, -1, 7]
    assert threshold_other(seven, 0).tolist() == [3, 6, -1, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: meta_classifier(np.array([[8]])),
        lambda: meta_classifier(np.array([[-2]])),
        lambda: meta_classifier(np.array([1])),
        lambda: meta_classifier(np.array([[1]]), np.zeros((1, 1, 7))),
        lambda: meta_classifier(np.array([[1]]), None, (8,)),
        lambda: units_vote(np.array([[[2]]]), 1),
        lambda: units_vote(np.array([[[1]]]), 2),
        lambda: units_vote(np.array([[[1]]]), 0),
        lambda: average(np.zeros((2, 1, 1)), np.array([1.0, 0.0])),
        lambda: average(np.zeros((2, 1, 1)), np.array([1.0, np.nan])),
        lambda: average(np.zeros((2, 1, 1)), np.array([1.0])),
        lambda: threshold_other(np.zeros((1, 6)), 0.5),
        lambda: threshold_other(np.zeros((1, 7)), 1.5),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(wrong) -> None:
    with pytest.raises(ValueError, match=r"must|are not|shape"):
        wrong()
