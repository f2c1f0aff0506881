"""The assignment is SciPy's, where pairs tie too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from avaffect.faces.detectors.assignment import assigned


def theirs(score: np.ndarray) -> list[tuple[int, int]]:
    rows, columns = linear_sum_assignment(score, maximize=True)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


@settings(max_examples=150, deadline=None)
@given(
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    seed=st.integers(0, 10_000),
    levels=st.sampled_from([2, 3, 1000]),
)
def test_it_is_scipys(rows: int, columns: int, seed: int, levels: int) -> None:
    # Whole numbers, so that no sum is rounded; few of them tie often.
    score = np.random.default_rng(seed).integers(0, levels, (rows, columns))
    assert assigned(score.astype(np.float32)) == theirs(score)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (40, 60)])
def test_sizes(shape: tuple[int, int]) -> None:
    score = np.random.default_rng(0).random(shape)
    assert assigned(score) == theirs(score)
