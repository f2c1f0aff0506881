"""The values of a row: which fit, and what is said of those that do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.challenge.faults import Fault
from avaffect.challenge.values import BadValuesError, are_numbers, value_check

AU = ",".join("010110010001")
LONG = "9" * 3000


@pytest.mark.parametrize(
    ("task", "edition", "text", "marked"),
    [
        ("va", "abaw6", "0.5,-1", False),
        ("va", "abaw6", "1e-3,-.5", False),
        ("va", "abaw6", "-5,-5", True),
        ("va", "abaw6", "-5.0,0.25", True),
        ("expr", "abaw6", "7", False),
        ("expr", "abaw6", "-1", True),
        ("au", "abaw6", AU, False),
        ("au", "abaw1", "0,1,0,0,0,0,0,1", False),
        ("au", "abaw6", ",".join(["-1"] * 12), True),
        ("mtl", "abaw7", f"0.5,-0.5,3,{AU}", False),
        ("mtl", "abaw7", f"0.5,-0.5,-1,{AU}", True),
        ("mtl", "abaw7", f"-5,-5,3,{AU}", True),
    ],
)
def test_good_values(task: str, edition: str, text: str, marked: bool) -> None:
    check = value_check(task, edition)
    # What was seen before must be judged the same.
    assert [check(text), check(text)] == [marked, marked]


@pytest.mark.parametrize(
    ("task", "edition", "text", "kind", "message"),
    [
        ("va", "abaw6", "", "columns", "no value behind the image"),
        ("va", "abaw6", ",", "columns", "no value behind the image"),
        ("va", "abaw6", "0.5", "columns", "1 values where 2 are wanted"),
        ("va", "abaw6", "0.5,0.5,0.5", "columns", "3 values"),
        ("va", "abaw6", "0.5,", "value", "missing between the commas"),
        ("va", "abaw6", "0.5,nan", "value", "'nan' is no number"),
        ("va", "abaw6", "inf,0.5", "value", "'inf' is no number"),
        ("va", "abaw6", "1_0,0.5", "value", "'1_0' is no number"),
        ("va", "abaw6", "0.5, 0.5", "blanks", "blanks beside the value 0.5"),
        ("va", "abaw6", "0.5,1.0001", "range", "1.0001 lies outside [-1, 1]"),
        ("va", "abaw6", "-5,3", "range", "3 lies outside"),
        ("va", "abaw6", "0.5,\udc80", "encoding", "not UTF-8"),
        ("va", "abaw6", f"{LONG},0", "range", "inf lies outside"),
        ("expr", "abaw6", "8", "range", "8 is no class from 0 to 7"),
        ("expr", "abaw2", "7", "range", "7 is no class from 0 to 6"),
        ("expr", "abaw6", "3.0", "value", "'3.0' is not written as a whole number"),
        ("expr", "abaw6", "2.5", "range", "2.5 is no whole number"),
        ("expr", "abaw6", "-1.0", "value", "'-1.0' is not written as a whole number"),
        ("expr", "abaw6", LONG, "range", "is no whole number"),
        ("expr", "abaw6", "1e300", "range", "is no class from 0 to 7"),
        ("expr", "abaw6", "Fear", "value", "'Fear' is no number"),
        ("expr", "abaw6", "0,0,0,1,0,0,0,0", "columns", "the header names every class"),
        ("expr", "abaw6", "3,,,,,,,", "columns", "the header names every class"),
        ("au", "abaw6", AU[:-1] + "2", "range", "2 is none of 0, 1 and -1"),
        ("au", "abaw6", AU[:-1] + "0.7", "range", "0.7 is no whole number"),
        ("au", "abaw1", AU, "columns", "12 values where 8 are wanted"),
        ("mtl", "abaw7", "0.5,0.5,3", "columns", "3 values where 15 are wanted"),
        ("mtl", "abaw7", f"0.5,0.5,8,{AU}", "range", "8 is no class"),
        ("mtl", "abaw7", f"0.5,2,3,{AU}", "range", "2 lies outside"),
    ],
)
def test_bad_values(task: str, edition: str, text: str, kind: str, message: str) -> None:
    check = value_check(task, edition)
    for _ in range(2):
        with pytest.raises(BadValuesError) as caught:
            check(text)
        assert caught.value.kind == kind
        assert message in str(caught.value)


@given(st.text(max_size=30), st.sampled_from(["va", "expr", "au", "mtl"]))
def test_no_text_breaks_the_check(text: str, task: str) -> None:
    try:
        value_check(task, "abaw3")(text)
    except BadValuesError as error:
        assert Fault("f", 1, error.kind, str(error)).advice


@pytest.mark.parametrize(
    ("line", "numbers"),
    [
        ("3", True),
        (" 0.5 ,\t-1", True),
        ("", False),
        ("1,", False),
        ("nan", False),
        ("1_0", False),
    ],
)
def test_a_header_is_told_from_numbers(line: str, numbers: bool) -> None:
    assert are_numbers(line) is numbers
