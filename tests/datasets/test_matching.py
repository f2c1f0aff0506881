"""Rows of a table to frames: by number, time and position."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avaffect.datasets.matching import by_number, by_position, by_time
from avaffect.errors import FormatError


@given(st.integers(1, 50), st.integers(-2, 2))
def test_by_position_a_row_or_two_may_differ(rows: int, off: int) -> None:
    frames = max(1, rows - off)
    found = by_position(rows, frames, "a")
    np.testing.assert_array_equal(found.rows, [row if row < rows else -1 for row in range(frames)])
    assert bool(found.note) == (rows != frames)


def test_the_note_says_both_counts_and_the_rule() -> None:
    text = "'a' has 9 rows for 8 frames: row 1 is frame 1, and 1 row at the end is left out"
    assert by_position(9, 8, "'a'").note == text
    assert by_position(6, 8, "a").note.endswith("2 rows at the end are missing")


@pytest.mark.parametrize(("rows", "frames"), [(11, 8), (5, 8)])
def test_more_is_an_error_with_both_counts(rows: int, frames: int) -> None:
    with pytest.raises(FormatError, match=f"a has {rows} rows for {frames} frames"):
        by_position(rows, frames, "a")


def test_by_number() -> None:
    assert by_number(np.array([1.0, 2, 4]), 5, "a").rows.tolist() == [0, 1, -1, 2, -1]
    assert by_number(np.array([0.0, 1, 3]), 5, "a").rows.tolist() == [0, 1, -1, 2, -1]
    assert by_number(np.array([2.0, 3]), None, "a").rows.tolist() == [-1, 0, 1]
    beyond = by_number(np.array([1.0, 2, 3, 4]), 2, "a")
    assert (beyond.rows.tolist(), "2 rows at the end are left out" in beyond.note) == (
        [0, 1],
        True,
    )


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([1, 2, 2], "row 3: frame 2 has a row already: give each person a table"),
        ([1, 3, 2], "row 3: frame 2 comes behind a later one: sort"),
        ([1, 2.5], "row 2: its number of a frame is none"),
        ([1, np.nan], "row 2: its number of a frame is none"),
        ([1, -3], "row 2: its number of a frame is none"),
        ([1, 2, 9], "names frame 9, and there are 4 frames"),
        ([1, 1e18], "names frame 1000000000000000000"),
    ],
)
def test_numbers_that_are_none(numbers: list[float], words: str) -> None:
    with pytest.raises(FormatError, match=words):
        by_number(np.array(numbers, float), 4, "a")


@pytest.mark.parametrize("far", [6_000_001.0, 1e300])
def test_a_number_beyond_all_videos_costs_no_memory(far: float) -> None:
    with pytest.raises(FormatError, match="a video may have 6,000,000"):
        by_number(np.array([1, far]), None, "a")


def test_by_time_the_nearest_within_half_a_step() -> None:
    frames = np.arange(6) / 10
    assert by_time(np.array([0.0, 0.2, 0.4]), frames, "a").rows.tolist() == [0, 0, 1, 1, 2, 2]
    # Denser than the frames, and with a gap.
    have = np.array([0.0, 0.04, 0.09, 0.12, 0.4, 0.44, 0.49, 0.52])
    assert by_time(have, frames, "a").rows.tolist() == [0, 2, -1, -1, 4, 6]


@pytest.mark.parametrize(
    ("have", "words"),
    [
        ([0, 0.2, 0.1], "row 3: the time is missing or goes back"),
        ([0, np.nan, 0.1], "row 2: the time is missing or goes back"),
        ([50, 51, 52], "of 3 rows of a 0 lie within the time of its 6 frames"),
        ([0.1], "a single row"),
    ],
)
def test_times_that_are_none(have: list[float], words: str) -> None:
    with pytest.raises(FormatError, match=words):
        by_time(np.array(have, float), np.arange(6) / 10, "a")
