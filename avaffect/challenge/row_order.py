"""Holding the rows of a submission against those that there must be."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.faults import Faults
from avaffect.challenge.layout import source_video
from avaffect.challenge.rows import Rows
from avaffect.challenge.templates import (
    distinct,
    distinct_places,
    frame_of,
    frames_of,
    image_name,
    place_of,
    places_of,
)

# Aff-Wild2's frame counts come from a header (CAP_PROP_FRAME_COUNT, plus one in some lists), so
# that templates may list a little more than can be decoded.
MAX_REPEATED = 2


def check_missing(rows: Rows, faults: Faults) -> None:
    """Add a fault for each run of rows without a prediction."""
    at = np.flatnonzero(rows.missing)
    for start, end in _runs(at, places_of(rows.keys[at])):
        first, last = int(at[start]), int(at[end])
        span = _span(rows, rows.keys[first], rows.keys[last], end - start + 1, "says", "say")
        faults.add(
            "no prediction",
            rows.file(place_of(rows.keys[first])),
            int(rows.lines[first]),
            f"{span} -5 or -1 (no prediction), and every row is scored",
        )


def check_order(rows: Rows, wanted: NDArray[np.int64], tracks: int, faults: Faults) -> None:
    """Add faults for rows that are missing, too many, twice or in another order.

    Args:
        rows: what was submitted; its first subjects are the template's.
        wanted: int64 [N], the images that there must be, in order.
        tracks: how many subjects the template has.
        faults: where faults go.
    """
    if np.array_equal(rows.keys, wanted):
        return
    check_complete(rows, wanted, tracks, faults)
    extra = np.flatnonzero(~np.isin(rows.keys, wanted))
    for start, end in _runs(extra, places_of(rows.keys[extra])):
        first, last = int(extra[start]), int(extra[end])
        span = _span(rows, rows.keys[first], rows.keys[last], end - start + 1, "is", "are")
        place = place_of(rows.keys[first])
        text = f"{span} not in the template"
        if place >= tracks:
            text += ", nor is the track"
        faults.add("unexpected rows", rows.file(place), int(rows.lines[first]), text)
    check_repeats(rows, wanted, faults)
    _check_sequence(rows, wanted, faults)


def check_complete(rows: Rows, wanted: NDArray[np.int64], tracks: int, faults: Faults) -> None:
    """Add faults for tracks and rows of ``wanted`` that are missing; see `check_order`."""
    there = set(distinct_places(rows.keys).tolist())
    absent = [place for place in range(tracks) if place not in there]
    similar: dict[str, str] = {}
    for place in sorted(there):
        similar.setdefault(source_video(rows.subjects[place]), rows.subjects[place])
    for place in absent:
        subject = rows.subjects[place]
        other = similar.get(source_video(subject))
        count = int((places_of(wanted) == place).sum()) if len(absent) < 100 else 0
        text = f"there is no prediction of the track '{subject}'"
        text += f", which has {count:,} rows" if count else ""
        faults.add(
            "missing file",
            rows.file(place),
            0,
            text + (f" (but one of '{other}')" if other else ""),
        )
    lacking = ~np.isin(wanted, rows.keys) & ~np.isin(places_of(wanted), absent)
    at = np.flatnonzero(lacking)
    for start, end in _runs(at, places_of(wanted[at])):
        first, last = wanted[at[start]], wanted[at[end]]
        span = _span(rows, first, last, end - start + 1, "is", "are")
        faults.add("missing rows", rows.file(place_of(first)), 0, f"{span} missing")


def check_repeats(rows: Rows, wanted: NDArray[np.int64], faults: Faults) -> None:
    """Add faults for images that are there more often than ``wanted`` (once if it has none)."""
    order = np.argsort(rows.keys, kind="stable")
    keys = rows.keys[order]
    again = np.flatnonzero(keys[1:] == keys[:-1]) + 1
    if not len(again):
        return
    known, times = np.unique(wanted, return_counts=True)
    several = set(known[times > 1].tolist())
    for row in np.sort(order[again]).tolist():
        key = int(rows.keys[row])
        if key not in several:
            place = place_of(rows.keys[row])
            image = image_name(rows.subjects[place], frame_of(key))
            text = f"'{image}' is there already in an earlier line"
            faults.add("duplicate rows", rows.file(place), int(rows.lines[row]), text)


def check_gaps(rows: Rows, faults: Faults) -> None:
    """Add faults for tracks whose rows, without a template, are not 1, 2, 3 and so on."""
    keys = distinct(rows.keys)
    starts = np.flatnonzero(np.diff(places_of(keys), prepend=-1))
    before = np.diff(keys, prepend=0)
    before[starts] = frames_of(keys)[starts]
    for at in np.flatnonzero(before > 1).tolist():
        last, place = keys[at] - 1, place_of(keys[at])
        count = int(before[at]) - 1
        span = _span(rows, keys[at] - count, last, count, "is", "are")
        faults.add("missing rows", rows.file(place), 0, f"{span} missing")
    check_repeats(rows, np.zeros(0, np.int64), faults)
    _check_sequence(rows, keys[np.argsort(_places_as_seen(rows, keys), kind="stable")], faults)


def sources(rows: Rows, wanted: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where the rows of ``wanted`` are in ``rows``.

    Returns:
        int64 [N], the row of each, -1 where there is none; bool [N], which of them lie up to
        ``MAX_REPEATED`` frames behind the last row of their track and get this one.
    """
    order = np.argsort(rows.keys, kind="stable")
    keys = rows.keys[order]
    if not len(keys):
        return np.full(len(wanted), -1), np.zeros(len(wanted), bool)
    # The last row that is not behind the wanted one, and the one after it.
    at = np.searchsorted(keys, wanted, side="right") - 1
    near = keys[np.maximum(at, 0)]
    found = (at >= 0) & (near == wanted)
    following = keys[np.minimum(at + 1, len(keys) - 1)]
    is_last = (at == len(keys) - 1) | (places_of(following) != places_of(near))
    beyond = wanted - near
    repeated = (at >= 0) & ~found & is_last & (places_of(near) == places_of(wanted))
    repeated &= beyond <= MAX_REPEATED
    # The first of the rows of an image.
    at = np.searchsorted(keys, near)
    return np.where(found | repeated, order[at], -1), repeated


def _check_sequence(rows: Rows, wanted: NDArray[np.int64], faults: Faults) -> None:
    """Add a fault if the images in both are in another order."""
    _, first = np.unique(rows.keys, return_index=True)
    first = np.sort(first)
    mine = first[np.isin(rows.keys[first], wanted)]
    unique, where = np.unique(wanted, return_index=True)
    theirs = wanted[np.sort(where[np.isin(unique, rows.keys)])]
    differ = np.flatnonzero(rows.keys[mine] != theirs)
    if len(differ):
        row = int(mine[differ[0]])
        place = place_of(rows.keys[row])
        image, right = (
            image_name(rows.subjects[place_of(key)], frame_of(key))
            for key in (rows.keys[row], theirs[differ[0]])
        )
        text = f"'{image}' stands where '{right}' should ({len(differ):,} rows are out of order)"
        faults.add("order", rows.file(place), int(rows.lines[row]), text)


def _places_as_seen(rows: Rows, keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each of ``keys``, the turn at which its track came first in ``rows``."""
    places, first = np.unique(places_of(rows.keys), return_index=True)
    turn = np.zeros(len(rows.subjects), np.int64)
    turn[places[np.argsort(first)]] = np.arange(len(places))
    return turn[places_of(keys)]


def _runs(at: NDArray[np.int64], places: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """First and last index of each run of neighbours in ``at`` that are of the same track."""
    if len(at):
        cuts = np.flatnonzero((np.diff(at) != 1) | (np.diff(places) != 0))
        yield from zip([0, *(cuts + 1).tolist()], [*cuts.tolist(), len(at) - 1], strict=True)


def _span(rows: Rows, first: int, last: int, count: int, singular: str, plural: str) -> str:
    """``video_left rows 101 to 120 are``."""
    subject = rows.subjects[place_of(first)]
    # Lists may run backwards.
    start, end = sorted((frame_of(first), frame_of(last)))
    if count == 1:
        return f"{subject} row {start} {singular}"
    number = "" if count == end - start + 1 else f" ({count:,} rows)"
    return f"{subject} rows {start} to {end}{number} {plural}"
