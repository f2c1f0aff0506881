"""Classes of other data sets as the challenge's eight expressions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.errors import CheckpointError
from avaffect.labels import EXPRESSIONS
from avaffect.tasks.expr import EXPR

RAVDESS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
CREMA = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")


def test_the_challenges_own_stay_as_they_are() -> None:
    np.testing.assert_array_equal(EXPR.meanings(EXPRESSIONS), np.eye(8))
    np.testing.assert_array_equal(EXPR.meanings(EXPRESSIONS[:7]), np.eye(8)[:7])


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (RAVDESS, "Neutral Neutral Happiness Sadness Anger Fear Disgust Surprise"),
        (CREMA, "Anger Disgust Fear Happiness Neutral Sadness"),
        (("HAPPY", "Contempt", "joy"), "Happiness Other Happiness"),
    ],
)
def test_what_they_mean(classes, expected: str) -> None:
    matrix = EXPR.meanings(classes)
    assert matrix.shape == (len(classes), 8)
    assert [EXPRESSIONS[i] for i in matrix.argmax(1)] == expected.split()
    np.testing.assert_array_equal(matrix.sum(1), 1)


@given(st.lists(st.floats(0.01, 1), min_size=8, max_size=8))
def test_nothing_of_a_probability_is_lost(values) -> None:
    p = np.array(values, np.float32) / np.float32(sum(values))
    summed = p @ EXPR.meanings(RAVDESS)
    assert summed.sum() == pytest.approx(1, abs=1e-5)
    assert summed[EXPRESSIONS.index("Neutral")] == pytest.approx(p[0] + p[1])


@pytest.mark.parametrize("name", ["Wut", "", "0"])
def test_a_class_that_means_none_of_them(name: str) -> None:
    with pytest.raises(CheckpointError, match=f"class '{name}' is none of.*Neutral, Anger"):
        EXPR.meanings(["happy", name])
