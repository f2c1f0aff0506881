"""``vtt``: WebVTT subtitles of a video: who shows which expression, smiles, and says what.

A cue lasts as long as both stay. In frames without a value there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

from avaffect.converting.form import Choices, Files, ending
from avaffect.converting.recording import Recording
from avaffect.converting.rows import Rows
from avaffect.converting.spans import Span, printable, tiers_of
from avaffect.files.atomic import atomic_path

_SHOWN = ("expression", "smile")


def files(recording: Recording, choices: Choices) -> Files:
    """``<video>.vtt``."""
    return [(ending(recording.name, ".vtt"), partial(_write, recording))]


def _write(recording: Recording, path: Path) -> None:
    cues = [(span, printable(rows.subject)) for rows in recording.people for span in _cues(rows)]
    cues += [(span, tier.subject) for tier in recording.said for span in tier.spans]
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.write("WEBVTT\n")
        for span, subject in sorted(cues, key=lambda cue: cue[0].start):
            start, end = _clock(span.start), _clock(span.end)
            if start < end:
                file.write(f"\n{start} --> {end}\n<v {_escaped(subject)}>{_escaped(span.text)}\n")


def _cues(rows: Rows) -> Iterator[Span]:
    """What is shown between two moments at which it changes."""
    tiers = [tier for tier in tiers_of(rows) if tier.kind in _SHOWN]
    changes = sorted(
        {time for tier in tiers for span in tier.spans for time in (span.start, span.end)}
    )
    places = [0] * len(tiers)
    for start, end in pairwise(changes):
        shown = []
        for number, tier in enumerate(tiers):
            while places[number] < len(tier.spans) and tier.spans[places[number]].end <= start:
                places[number] += 1
            if places[number] < len(tier.spans) and tier.spans[places[number]].start <= start:
                shown.append(tier.spans[places[number]].text)
        if shown:
            yield Span(start, end, ", ".join(shown))


def _clock(seconds: float) -> str:
    """``hh:mm:ss.ttt``; two such can be compared below 10,000 hours."""
    ms = round(seconds * 1000)
    hours, ms = divmod(ms, 3_600_000)
    minutes, ms = divmod(ms, 60_000)
    whole, ms = divmod(ms, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}.{ms:03}"


def _escaped(text: str) -> str:
    """Without what WebVTT takes for a tag or an arrow."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
