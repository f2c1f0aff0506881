"""What was said, when and by whom: a line of a transcript."""

from __future__ import annotations

import codecs
import math
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from avaffect.errors import UsageError
from avaffect.files.outside import read_bytes

MOST_BYTES = 32 << 20
"""Bytes of a transcript; a day of speech, word by word, has some six million."""
MOST_LINES = 100_000
"""Entries of a transcript."""
# Later than this no film is.
_LATEST_S = 2e6


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody said in one go.

    Attributes:
        start: in seconds on the file's own clock, 0 or later.
        end: later than ``start``.
        text: the words; empty where it is only known that somebody spoke.
        speaker: who, as the transcript calls them; empty if it does not say.
    """

    start: float
    end: float
    text: str
    speaker: str = ""


def said(line: int, start: float, end: float, text: str, speaker: str = "") -> Said:
    """A `Said` of the file's ``line``, checked.

    Raises:
        UsageError: times that are none.
    """
    if not (math.isfinite(start) and math.isfinite(end) and start >= 0 and end < _LATEST_S):
        wrong(line, "a time is none that a video has")
    if end <= start:
        wrong(line, f"it ends at {end:g} s, and begins at {start:g} s")
    return Said(start, end, text, speaker)


def wrong(line: int, what: str) -> NoReturn:
    """Raise a UsageError that names the line."""
    raise UsageError(f"line {line}: {what}")


def read_text(path: Path) -> str:
    """The text of a file: UTF-8, or UTF-16 as Praat writes it. Lines end with a newline alone.

    Bounds: `MOST_BYTES`.

    Raises:
        UsageError: it is longer, or in another encoding.
        OSError: it cannot be read.
    """
    data = read_bytes(path, MOST_BYTES)
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        at = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"line {at} is not UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def require_few(entries: int) -> None:
    """Raise UsageError if a transcript has more than `MOST_LINES` entries."""
    if entries > MOST_LINES:
        raise UsageError(f"it has more than {MOST_LINES:,} entries")
