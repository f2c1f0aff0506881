"""``textgrid``: a Praat TextGrid a video, with interval tiers a person, in the long text form.

A tier of Praat has no holes: where nothing is said, an interval has an empty text.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from avaffect.converting.form import Choices, Files, ending
from avaffect.converting.recording import Recording
from avaffect.converting.spans import Span, Tier
from avaffect.files.atomic import atomic_path

# Digits of a second: a microsecond.
_DIGITS = 6


def files(recording: Recording, choices: Choices) -> Files:
    """``<video>.TextGrid``."""
    return [(ending(recording.name, ".TextGrid"), partial(_write, recording))]


def _write(recording: Recording, path: Path) -> None:
    tiers = recording.tiers()
    ends = [rows.media_times[-1] + rows.steps()[-1] for rows in recording.people]
    ends += [tier.spans[-1].end for tier in recording.said]
    end = max(0.001, round(float(max(ends)), _DIGITS))
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.write(
            'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
            f"xmin = 0\nxmax = {_number(end)}\ntiers? <exists>\nsize = {len(tiers)}\nitem []:\n"
        )
        for number, tier in enumerate(tiers, 1):
            spans = _without_holes(tier, end)
            file.write(
                f'    item [{number}]:\n        class = "IntervalTier"\n'
                f"        name = {_quoted(tier.name)}\n        xmin = 0\n"
                f"        xmax = {_number(end)}\n        intervals: size = {len(spans)}\n"
            )
            for place, span in enumerate(spans, 1):
                file.write(
                    f"        intervals [{place}]:\n            xmin = {_number(span.start)}\n"
                    f"            xmax = {_number(span.end)}\n"
                    f"            text = {_quoted(span.text)}\n"
                )


def _without_holes(tier: Tier, end: float) -> list[Span]:
    """Spans from 0 to ``end`` without a hole; what no microsecond is left of is left out."""
    found: list[Span] = []
    at = 0.0
    for span in tier.spans:
        start = max(at, round(span.start, _DIGITS))
        stop = min(end, round(span.end, _DIGITS))
        if stop <= start:
            continue
        if start > at:
            found.append(Span(at, start, ""))
        found.append(Span(start, stop, span.text))
        at = stop
    if at < end:
        found.append(Span(at, end, ""))
    return found


def _number(seconds: float) -> str:
    """Without an exponent, which Praat's readers do not all know."""
    return f"{seconds:.{_DIGITS}f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    return '"{}"'.format(text.replace('"', '""'))
