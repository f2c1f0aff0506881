import numpy as np
import pytest

from avaffect.errors import UnknownNameError
from avaffect.files.gaps import POLICIES, fill_gaps, policy_of

NAN = np.nan


def test_each_column_has_its_own_gaps() -> None:
    values = np.array([[0, NAN, NAN], [NAN, 1, NAN], [1, NAN, NAN]], np.float32)
    filled = fill_gaps(values, np.array([3.0, 3.5, 5.0]), "linear")
    np.testing.assert_allclose(filled, [[0, 1, NAN], [0.25, 1, NAN], [1, 1, NAN]])
    assert filled.dtype == np.float32
    # What was given stays as it is.
    assert np.isnan(values[1, 0])


@pytest.mark.parametrize("policy", POLICIES)
def test_nothing_to_fill_and_nothing_at_all(policy: str) -> None:
    whole = np.array([[0.25], [0.5]])
    np.testing.assert_array_equal(fill_gaps(whole, np.array([0.0, 1.0]), policy), whole)
    assert fill_gaps(np.empty((0, 2)), np.empty(0), policy).shape == (0, 2)


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'linear'"):
        fill_gaps(np.zeros((1, 1)), np.zeros(1), "linar")


@pytest.mark.parametrize(
    ("about", "wanted"),
    [
        ({"missing": "nearest"}, "nearest"),
        ({"configuration": {"missing": "previous"}}, "previous"),  # of an earlier version
        ({"missing": "linear", "configuration": {"missing": "previous"}}, "linear"),
        ({}, "invalid"),
        ({"missing": ["linear"]}, "invalid"),
        ({"missing": 3, "configuration": []}, "invalid"),
    ],
)
def test_the_policy_that_a_table_names(about: dict, wanted: str) -> None:
    assert policy_of(about) == wanted
