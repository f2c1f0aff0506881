"""Which row of a table belongs to which frame: by number, by time or by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.errors import FormatError
from avaffect.files.outside import MOST_ROWS

MOST_OFF = 2
"""By so many rows a table may be longer or shorter than the video: decoders and lists of the
challenge differ by one or two frames at the end."""
# Of the rows, at least this share must lie within the time of the frames.
_OVERLAP = 0.5
_WHOLE = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Matched(ArrayRecord):
    """The row of each frame.

    Attributes:
        rows: int64 [N], never falling but for -1 where a frame has none.
        rule: by what, in a few words.
        note: what differed and what was done about it; empty if nothing did.
    """

    rows: NDArray[np.int64]
    rule: str
    note: str = ""


def by_position(rows: int, frames: int, what: str) -> Matched:
    """Row 1 is frame 1. Up to `MOST_OFF` rows too many are left out at the end; as many frames
    behind the last row have none.

    Args:
        rows: of the table.
        frames: N.
        what: the table, for messages.

    Raises:
        FormatError: they differ by more.
    """
    off = rows - frames
    if abs(off) > MOST_OFF:
        raise FormatError(
            f"{what} has {rows} rows for {frames} frames",
            "give it a column `frame` (counted from 1), or one of seconds as time=...; or is it "
            "of another video?",
        )
    found = np.arange(frames)
    found[rows:] = -1
    return Matched(found, "position", _note(off, rows, frames, what))


def by_number(numbers: NDArray[np.float64], frames: int | None, what: str) -> Matched:
    """A row says its frame, counted from 1, or from 0 where a row says so. Frames that no row
    names have none.

    Args:
        numbers: float64 [R], of each row.
        frames: N; None takes the last number, at most `outside.MOST_ROWS`.
        what: the table, for messages.

    Raises:
        FormatError: what is no whole number, goes back or comes twice, or is more than `MOST_OFF`
            behind the last frame.
    """
    whole = np.isfinite(numbers)
    whole[whole] = np.abs(numbers[whole] - np.round(numbers[whole])) < _WHOLE
    if not whole.all() or (numbers < 0).any():
        raise FormatError(
            f"{what}, row {int(np.argmin(whole & (numbers >= 0))) + 1}: its number of a frame is "
            "none",
            "count frames from 1",
        )
    if (numbers > MOST_ROWS).any():
        raise FormatError(
            f"{what} names frame {numbers.max():.0f}, and a video may have {MOST_ROWS:,}",
            "count frames from 1",
        )
    places = np.round(numbers).astype(np.int64)
    places -= 0 if 0 in places[:1] else 1
    wrong = np.flatnonzero(np.diff(places) <= 0)
    if len(wrong):
        row = int(wrong[0]) + 1
        twice = places[row] == places[row - 1]
        raise FormatError(
            f"{what}, row {row + 1}: frame {numbers[row]:.0f} "
            + ("has a row already" if twice else "comes behind a later one"),
            "give each person a table of its own" if twice else "sort the rows by frame",
        )
    last = int(places[-1]) + 1
    frames = last if frames is None else frames
    if last - frames > MOST_OFF:
        raise FormatError(
            f"{what} names frame {last}, and there are {frames} frames", "is it of another video?"
        )
    found = np.full(frames, -1)
    kept = places < frames
    found[places[kept]] = np.flatnonzero(kept)
    off = last - frames
    return Matched(found, "frame number", _note(off, last, frames, what) if off > 0 else "")


def by_time(have: NDArray[np.float64], frames: NDArray[np.float64], what: str) -> Matched:
    """The nearest row within half the rows' median step.

    Args:
        have: float64 [R], seconds, of each row.
        frames: float64 [N], seconds, of each frame.
        what: the table, for messages.

    Raises:
        FormatError: times that are none or go back, or that are mostly not within the video.
    """
    wrong = np.flatnonzero(~np.isfinite(have) | (np.diff(have, prepend=-np.inf) < 0))
    if len(wrong):
        raise FormatError(
            f"{what}, row {int(wrong[0]) + 1}: the time is missing or goes back",
            "sort the rows by time",
        )
    if len(have) < 2:
        raise FormatError(f"{what} has a single row", "times need two or more")
    within = overlap(have, frames)
    rows = nearest(frames, have)
    if (rows < 0).all() or within < _OVERLAP * len(have):
        raise FormatError(
            f"of {len(have)} rows of {what} {within} lie within the time of its {len(frames)} "
            "frames",
            "check that times count seconds from the first frame",
        )
    return Matched(rows, "time")


def overlap(have: NDArray[np.float64], frames: NDArray[np.float64]) -> int:
    """How many rows lie within the time of the frames."""
    reach = _reach(have)
    return int(((have >= frames[0] - reach) & (have <= frames[-1] + reach)).sum())


def nearest(wanted: NDArray[np.float64], have: NDArray[np.float64]) -> NDArray[np.int64]:
    """For each time the place of the nearest in ``have`` (two or more, sorted), -1 if too far."""
    right = np.searchsorted(have, wanted).clip(1, len(have) - 1)
    rows = np.where(wanted - have[right - 1] <= have[right] - wanted, right - 1, right)
    return np.where(np.abs(have[rows] - wanted) <= _reach(have), rows, -1)


def _reach(have: NDArray[np.float64]) -> float:
    """Half the median step in seconds; written times are rounded."""
    return float(np.median(np.diff(have))) / 2 + 1e-6


def _note(off: int, rows: int, frames: int, what: str) -> str:
    if not off:
        return ""
    count = "1 row" if off in (1, -1) else f"{abs(off)} rows"
    done = "left out" if off > 0 else "missing"
    return (
        f"{what} has {rows} rows for {frames} frames: row 1 is frame 1, and {count} at the end "
        f"{'is' if off in (1, -1) else 'are'} {done}"
    )


def together(notes: Sequence[str], what: str) -> str:
    """One note for many tables, with the first; empty for none."""
    found = [note for note in notes if note]
    if len(found) < 2:
        return "".join(found)
    return f"{len(found)} {what} differ by a row or two from their videos, such as: {found[0]}"
