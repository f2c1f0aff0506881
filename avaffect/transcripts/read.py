"""Reading transcripts and diarisations that somebody else made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from avaffect.errors import FormatError, UnknownNameError
from avaffect.files.outside import reading
from avaffect.transcripts.praat import parse_textgrid
from avaffect.transcripts.rttm import parse_rttm
from avaffect.transcripts.said import Said, read_text
from avaffect.transcripts.subtitles import parse_srt, parse_vtt

PARSERS: dict[str, Callable[[str], list[Said]]] = {
    ".srt": parse_srt,
    ".vtt": parse_vtt,
    ".textgrid": parse_textgrid,
}
"""By ending, in small letters."""


def read_transcript(path: Path | str) -> list[Said]:
    """A transcript in SubRip, WebVTT or Praat's TextGrid, told by its ending.

    Bounds: `said.MOST_BYTES`, `said.MOST_LINES`; times within 23 days.

    Raises:
        InputNotFoundError: there is none.
        UnknownNameError: another ending.
        FormatError: it is no such file; names the line.
    """
    path = Path(path)
    parse = PARSERS.get(path.suffix.lower())
    if parse is None:
        raise UnknownNameError("form of transcripts", path.suffix or path.name, PARSERS)
    with reading(path, FormatError, "is no transcript that can be read"):
        return parse(read_text(path))


def read_turns(path: Path | str, name: str = "") -> list[Said]:
    """Who speaks when, from an RTTM file.

    Bounds: as of `read_transcript`.

    Args:
        path: the file.
        name: see `rttm.parse_rttm`.

    Raises:
        InputNotFoundError: there is none.
        FormatError: it is no RTTM, or of other files; names the line.
    """
    with reading(path, FormatError, "is no RTTM that can be read"):
        return parse_rttm(read_text(Path(path)), name)
