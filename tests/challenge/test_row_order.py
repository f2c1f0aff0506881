"""Rows that are missing, too many, twice or in another order."""

from __future__ import annotations

import dataclasses
from io import BytesIO

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from avaffect.challenge.faults import Faults
from avaffect.challenge.row_order import check_gaps, check_missing, check_order, sources
from avaffect.challenge.rows import RowReader, Rows
from avaffect.challenge.templates import ImageKeys
from avaffect.labels import EXPRESSIONS

HEADER = f"image_location,{','.join(EXPRESSIONS)}"


def rows_of(images: list[tuple[str, int]], subjects: tuple[str, ...] = (), value: int = 3) -> Rows:
    faults = Faults()
    reader = RowReader("expr", "abaw6", faults, strict=True, subjects=subjects)
    text = "".join(f"{name}/{frame:05d}.jpg,{value}\n" for name, frame in images)
    reader.read_list(BytesIO(f"{HEADER}\n{text}".encode()), "p.txt")
    assert set(faults.counts) <= {"empty"}
    return reader.rows()


def keys_of(images: list[tuple[str, int]], subjects: tuple[str, ...]) -> np.ndarray:
    keys = ImageKeys(subjects)
    return np.array([keys.of(*image) for image in images], np.int64)


def order_faults(mine: list[tuple[str, int]], wanted: list[tuple[str, int]]) -> list[tuple]:
    subjects = tuple(dict.fromkeys(name for name, _ in wanted))
    faults = Faults()
    check_order(rows_of(mine, subjects), keys_of(wanted, subjects), len(subjects), faults)
    return [(fault.line, fault.kind, fault.text) for fault in faults.kept]


A = [("a", frame) for frame in range(1, 11)]
B = [("b_left", frame) for frame in range(1, 6)]


def test_the_same_rows_have_no_fault() -> None:
    assert order_faults(A + B, A + B) == []
    # Lists of the multi-task track name some images twice.
    assert order_faults(A + A[:2], A + A[:2]) == []


def test_missing_rows_are_told_in_runs() -> None:
    assert order_faults(A[:3] + A[6:9] + B[1:], A + B) == [
        (0, "missing rows", "a rows 4 to 6 are missing"),
        (0, "missing rows", "a row 10 is missing"),
        (0, "missing rows", "b_left row 1 is missing"),
    ]
    assert order_faults(A[:1], A[::3]) == [
        (0, "missing rows", "a rows 4 to 10 (3 rows) are missing")
    ]


def test_a_missing_track_is_one_fault_and_names_a_similar_one() -> None:
    found = order_faults([*A, ("b", 1)], A + B)
    assert found == [
        (0, "missing file", "there is no prediction of the track 'b_left', which has 5 rows "
         "(but one of 'b')"),
        (12, "unexpected rows", "b row 1 is not in the template, nor is the track"),
    ]  # fmt: skip


def test_rows_too_many_twice_and_misplaced() -> None:
    assert order_faults([*A, ("a", 11), ("a", 12)], A) == [
        (12, "unexpected rows", "a rows 11 to 12 are not in the template")
    ]
    assert order_faults(A[:2] + A[1:], A) == [
        (4, "duplicate rows", "'a/00002.jpg' is there already in an earlier line")
    ]
    assert order_faults(B + A, A + B)[0][:2] == (2, "order")
    assert order_faults([A[0], A[2], A[1], *A[3:]], A) == [
        (3, "order", "'a/00003.jpg' stands where 'a/00002.jpg' should (2 rows are out of order)")
    ]


@given(st.permutations(A + B), st.data())
def test_any_change_of_the_rows_is_found(shuffled, data) -> None:
    wanted = A + B
    kept = shuffled[: data.draw(st.integers(1, len(wanted)))]
    kinds = {kind for _, kind, _ in order_faults(kept, wanted)}
    lost = set(wanted) - set(kept)
    assert bool(kinds & {"missing rows", "missing file"}) == bool(lost)
    assert ("order" in kinds) == (kept != [key for key in wanted if key in kept])


def gap_faults(images: list[tuple[str, int]]) -> list[tuple[str, str]]:
    faults = Faults()
    check_gaps(rows_of(images), faults)
    return [(fault.kind, fault.text) for fault in faults.kept]


def test_gaps_are_found_without_a_template() -> None:
    assert gap_faults(B + A) == []
    assert gap_faults(A[2:4] + A[6:7] + B) == [
        ("missing rows", "a rows 1 to 2 are missing"),
        ("missing rows", "a rows 5 to 6 are missing"),
    ]
    assert [kind for kind, _ in gap_faults(A[:1] + A[:2])] == ["duplicate rows"]
    assert [kind for kind, _ in gap_faults([A[1], A[0]])] == ["order"]
    assert [kind for kind, _ in gap_faults([A[0], B[0], A[1]])] == ["order"]


def test_runs_without_prediction() -> None:
    rows = rows_of(A + B, value=-1)
    faults = Faults()
    check_missing(rows, faults)
    assert [(fault.line, fault.text.split(" (")[0]) for fault in faults.kept] == [
        (2, "a rows 1 to 10 say -5 or -1"),
        (12, "b_left rows 1 to 5 say -5 or -1"),
    ]
    some = dataclasses.replace(rows, missing=np.arange(15) % 4 == 1)
    faults = Faults()
    check_missing(some, faults)
    assert [fault.line for fault in faults.kept] == [3, 7, 11, 15]


def test_the_last_row_stands_in_for_two_more_at_most() -> None:
    wanted = [("a", frame) for frame in range(1, 15)]
    taken, repeated = sources(rows_of(A[::-1], ("a", "b")), keys_of(wanted, ("a",)))
    assert taken.tolist() == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, -1, -1]
    assert np.flatnonzero(repeated).tolist() == [10, 11]


def test_gaps_and_other_tracks_are_not_made_up() -> None:
    wanted = [("a", 2), ("b", 1), ("c", 1)]
    taken, repeated = sources(rows_of([("a", 1), ("a", 3), ("c", 1)], ("a", "b", "c")),
                              keys_of(wanted, ("a", "b", "c")))  # fmt: skip
    assert taken.tolist() == [-1, -1, 2]
    assert not repeated.any()
    taken, repeated = sources(rows_of([], ("a",)), keys_of([("a", 1)], ("a",)))
    assert taken.tolist() == [-1]
    assert not repeated.any()
