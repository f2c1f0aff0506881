"""Lists of images with values: rows of ``<subject>/00001.jpg,...`` below one header line.

What the multi-task files and the ``predictions.txt`` of ABAW5 and later have in common. A list
has the rows of many subjects, in any order, and seldom every frame of a subject.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.header import in_order
from avaffect.challenge.text import subject_file_name
from avaffect.errors import FormatError, UsageError
from avaffect.files.outside import MOST_ROWS, MOST_SUBJECTS, lines, reading

_IMAGE = re.compile(r"(.+)/([0-9]{1,9})\.(?:jpg|jpeg|png)")
_LONGEST = 10_000


@dataclass(frozen=True, eq=False)
class ImageRows:
    """The rows of one subject.

    Attributes:
        frames: int64 [N], image numbers from 1 on, strictly increasing; gaps are usual.
        values: float64 [N, W].
        repeated: how many more rows of the file repeat one of these.
    """

    frames: NDArray[np.int64]
    values: NDArray[np.float64]
    repeated: int


@dataclass
class _Collected:
    """The rows of one subject as the file has them: 8 bytes a value, whatever the order."""

    frames: array[int] = field(default_factory=lambda: array("q"))
    lines: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))


def read_rows(
    path: Path,
    parse: Callable[[str], Sequence[float]],
    hint: str,
    order_of: Callable[[list[str]], list[int] | None] = lambda header: None,
) -> dict[str, ImageRows]:
    """Read a list of images.

    Equal rows of one image count once, see `ImageRows.repeated`. Blank lines
    at the end are no rows.

    Bounds: `outside.MOST_ROWS` lines of at most `outside.LONGEST_LINE` bytes, and
    `outside.MOST_SUBJECTS`.

    Args:
        path: the file.
        parse: from the text behind a row's first comma to its W values; raises UsageError.
        hint: what the file should look like, for the errors.
        order_of: from the names in line 1, but for the first, to the columns' order, see
            `header.column_order`.

    Returns:
        by subject, in the order of their first rows.

    Raises:
        InputNotFoundError: there is no such file.
        FormatError: a line that does not fit, or two rows that contradict each other; the message
            names file and line.
    """
    path = Path(path)
    collected: dict[str, _Collected] = {}
    order: list[int] | None = None
    blank = 0

    def misfit(number: int, error: ValueError) -> FormatError:
        reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
        return FormatError(f"'{path}' line {number}: {reason}", hint)

    with reading(path), path.open("rb") as file:
        number = 0
        try:
            for number, raw in enumerate(lines(file), start=1):
                if number > 1 and not raw.strip():
                    blank = blank or number
                    continue
                if blank:
                    raise misfit(blank, UsageError("the line is empty"))
                try:
                    text = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                    if number == 1:
                        order = _order(text, order_of)
                    else:
                        _collect(text, number, parse, order, collected)
                except ValueError as error:
                    raise misfit(number, error) from error
            if not number:
                raise UsageError("the file is empty")
        except UsageError as error:  # of the lines themselves
            raise misfit(number + 1, error) from error
    result = {}
    for subject in list(collected):
        # One after the other, so that nothing is in memory twice.
        number, result[subject] = _ordered(collected.pop(subject))
        if number:
            text = f"'{subject}' has this image twice, with different values"
            raise FormatError(f"'{path}' line {number}: {text}", hint)
    return result


def _order(header: str, order_of: Callable[[list[str]], list[int] | None]) -> list[int] | None:
    """``order_of`` line 1; UsageError if that is no header, or not of such a file."""
    image, _, names = header.partition(",")
    if _IMAGE.fullmatch(image.strip()):
        raise UsageError("a row of data where the header is expected")
    return order_of(names.split(","))


def _collect(
    text: str,
    number: int,
    parse: Callable[[str], Sequence[float]],
    order: list[int] | None,
    collected: dict[str, _Collected],
) -> None:
    """Add a line's values; UsageError if they do not fit."""
    image, comma, rest = text.partition(",")
    if not comma:
        raise UsageError(f"'{text[:60]}' is no row of an image and its values")
    subject, frame = parse_image(image.strip())
    if subject not in collected:
        if len(collected) == MOST_SUBJECTS:
            raise UsageError(f"there are more than {MOST_SUBJECTS:,} subjects")
        check_subject(subject)
        collected[subject] = _Collected()
    rows = collected[subject]
    rows.values.extend(parse(rest if order is None else in_order(rest, order)))
    rows.frames.append(frame)
    rows.lines.append(number)


def _ordered(rows: _Collected) -> tuple[int, ImageRows]:
    """The line of a row that contradicts an earlier one (0 for none), and the rows by frame."""
    order = np.argsort(np.array(rows.frames, np.int64), kind="stable")
    frames = np.array(rows.frames, np.int64)[order]
    values = np.array(rows.values, np.float64).reshape(len(frames), -1)[order]
    again = np.zeros(len(frames), bool)
    again[1:] = frames[1:] == frames[:-1]
    differs = again.copy()
    differs[1:] &= (values[1:] != values[:-1]).any(axis=1)
    line = int(np.array(rows.lines)[order][differs].min()) if differs.any() else 0
    return line, ImageRows(frames[~again], values[~again], int(again.sum()))


def is_image_list(path: Path) -> bool:
    """Whether the file's second line begins with an image, as in every list of `read_rows`.

    Raises:
        FormatError: the file cannot be read.
    """
    with reading(path), path.open("rb") as file:
        file.readline(_LONGEST)
        second = file.readline(_LONGEST)
    return bool(_IMAGE.fullmatch(second.decode("utf-8", "replace").partition(",")[0].strip()))


def parse_image(image: str) -> tuple[str, int]:
    """Subject and image number (from 1 on) of ``<subject>/00001.jpg``.

    >>> parse_image("video_left/00012.jpg")
    ('video_left', 12)

    Raises:
        UsageError: it is something else.
    """
    match = _IMAGE.fullmatch(image)
    if match is None or not int(match[2]):
        raise UsageError(f"'{image[:60]}' is no image such as video/00001.jpg")
    if int(match[2]) > MOST_ROWS:
        raise UsageError(f"'{image[:60]}' has a number above {MOST_ROWS:,}")
    return match[1], int(match[2])


def check_subject(subject: str) -> None:
    """Raise UsageError unless ``subject`` can stand in a list and be a file's name."""
    try:
        subject_file_name(subject)
    except UsageError as error:
        raise UsageError(error.problem) from error
    if "," in subject or not subject.isprintable() or subject != subject.strip():
        raise UsageError(f"{subject[:60]!r} cannot stand in a list of images")
