"""RTTM, NIST's form for who speaks when (diarisation): a line a turn."""

from __future__ import annotations

from avaffect.errors import UsageError
from avaffect.transcripts.said import Said, require_few, said, wrong

_TURN = "SPEAKER"
# The other kinds of lines there are, which say nothing of turns.
_OTHERS = {"NOSCORE", "NO_RT_METADATA", "SEGMENT", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER",
           "EDIT", "IP", "SU", "CB", "A/P", "SPKR-INFO"}  # fmt: skip


def parse_rttm(text: str, name: str = "") -> list[Said]:
    """The turns of one file, in the order of time.

    Args:
        text: of the file.
        name: of the video, without ending: where turns of several files are listed, these count.

    Raises:
        UsageError: it is no RTTM, or of other files; names the line.
    """
    files: dict[str, list[Said]] = {}
    count = 0
    for number, line in enumerate(text.split("\n"), 1):
        fields = line.split()
        if not fields or fields[0].startswith(";;") or fields[0] in _OTHERS:
            continue
        if fields[0] != _TURN:
            wrong(number, f"a line begins with SPEAKER, not with '{fields[0][:40]}'")
        if len(fields) < 8:
            wrong(number, f"it has {len(fields)} fields, and a turn has at least 8")
        try:
            start, length = float(fields[3]), float(fields[4])
        except ValueError:
            wrong(number, "its fourth and fifth fields are no numbers")
        if length == 0:
            continue
        turn = said(number, start, start + length, "", fields[7])
        files.setdefault(fields[1], []).append(turn)
        count += 1
        require_few(count)
    if not files:
        raise UsageError("it has no turns")
    if len(files) > 1 and name not in files:
        raise UsageError(f"it has turns of {len(files)} files, none of them called '{name}'")
    turns = files[name] if len(files) > 1 else next(iter(files.values()))
    return sorted(turns, key=lambda each: each.start)
