"""What a transcript says, as the page shows it at the cursor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from avaffect.converting.rows import Rows
from avaffect.converting.spans import printable
from avaffect.converting.speech import Mapped, read_speech, require_one

# Letters of a page, of all that is said.
_MOST_LETTERS = 600_000

Line = tuple[float, float, str]


def said_lines(
    transcript: Path | str | None,
    speakers: Path | str | None,
    videos: Sequence[Mapping[str, Path]],
) -> tuple[list[Line], tuple[Mapped, ...]]:
    """Start, end (seconds on the tables' clock) and words of each line, in the order of time.

    What is beyond 600,000 letters is left out.

    Args:
        transcript, speakers: see `converting.run.convert`.
        videos: of each video in the report the tables, by subject.

    Returns:
        the lines, and whose voice is whose.

    Raises:
        UsageError: the report is of several videos.
        InputNotFoundError, UnknownNameError, FormatError: as of `converting.speech.read_speech`.
    """
    if transcript is None and speakers is None:
        return [], ()
    require_one(len(videos))
    people = [Rows.open(path, name, PurePath(name)) for name, path in videos[0].items()]
    speech = read_speech(transcript, speakers, people)
    before, found, letters = people[0].first_time_s, [], 0
    for each in sorted(speech.words or speech.turns, key=lambda each: each.start):
        mapped = speech.mapped.get(speaker := speech.speaker_of(each))
        who = (mapped.subject if mapped else None) or speaker
        text = ": ".join(printable(part) for part in (who, each.text) if part)
        letters += len(text)
        if letters > _MOST_LETTERS:
            break
        if each.end > before:
            found.append((round(each.start - before, 3), round(each.end - before, 3), text))
    return found, tuple(speech.mapped.values())
