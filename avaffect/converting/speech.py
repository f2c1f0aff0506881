"""A transcript beside predictions: whose face each voice has, and what is said as tiers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.converting.rows import Rows, numbers
from avaffect.converting.spans import SPEAKING, Span, Tier, printable
from avaffect.errors import UsageError
from avaffect.transcripts.read import read_transcript, read_turns
from avaffect.transcripts.said import Said

# A voice has the face that speaks for this share of its time or more.
LEAST_SHARE = 0.3
# Kinds of tiers: the words, and the turns of a diarisation.
WORDS, TURNS = "said", "turn"
OFF_SCREEN = "off screen"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mapped:
    """Whose a voice is.

    Attributes:
        speaker: as the diarisation, or the transcript, calls them.
        subject: the person whose lips move with it; None if nobody's do.
        share: their mean probability of speaking while this voice is heard, 0 to 1.
    """

    speaker: str
    subject: str | None
    share: float

    def __str__(self) -> str:
        if self.subject is None:
            return f"{printable(self.speaker)} is {OFF_SCREEN}"
        return f"{printable(self.speaker)} is {printable(self.subject)} ({self.share:.2f})"


@dataclass(frozen=True)
class Transcript:
    """What is said in a video, and who speaks when; on the file's own clock.

    Attributes:
        words: of a transcript.
        turns: of a diarisation.
        mapped: by speaker, whose voice it is.
    """

    words: tuple[Said, ...]
    turns: tuple[Said, ...]
    mapped: Mapping[str, Mapped]

    def speaker_of(self, words: Said) -> str:
        """Who says it: as the transcript has it, or who has most of its time; empty if unknown."""
        return words.speaker or self._turns.longest(words.start, words.end)

    @cached_property
    def _turns(self) -> _Turns:
        return _Turns(self.turns)

    def tiers(self, otherwise: str) -> tuple[Tier, ...]:
        """Tiers ``said`` and ``turn`` of each person or voice.

        Args:
            otherwise: whose words are that nobody is known to say.
        """
        found: dict[tuple[str, str], list[Span]] = {}
        turns = [
            (TURNS, turn, turn.speaker, str(self.mapped[turn.speaker])) for turn in self.turns
        ]
        words = [(WORDS, each, self.speaker_of(each), each.text) for each in self.words]
        for kind, each, speaker, text in (*words, *turns):
            mapped = self.mapped.get(speaker)
            who = (mapped.subject if mapped else None) or speaker or otherwise
            span = Span(each.start, each.end, printable(text))
            found.setdefault((kind, printable(who)), []).append(span)
        return tuple(Tier(kind, who, _in_a_row(spans)) for (kind, who), spans in found.items())


def read_speech(
    transcript: Path | str | None, speakers: Path | str | None, people: Sequence[Rows]
) -> Transcript:
    """What somebody else's files say of a video.

    Args:
        transcript: SubRip, WebVTT or TextGrid; None without.
        speakers: RTTM; None without.
        people: of the video.

    Raises:
        InputNotFoundError, UnknownNameError, FormatError: as of ``transcripts.read``.
    """
    words = () if transcript is None else tuple(read_transcript(transcript))
    video = Path(people[0].video).stem
    turns = () if speakers is None else tuple(read_turns(speakers, video))
    named = turns or tuple(each for each in words if each.speaker)
    return Transcript(words, turns, map_speakers(named, people))


def map_speakers(turns: Sequence[Said], people: Sequence[Rows]) -> dict[str, Mapped]:
    """Whose voice each is: of the people the one who speaks most while it is heard.

    Several voices may be one person's: a diarisation parts them too often rather than too seldom.
    Where tables do not say who speaks, nobody is found.
    """
    by_speaker: dict[str, list[Said]] = {}
    for turn in turns:
        by_speaker.setdefault(turn.speaker, []).append(turn)
    best = {speaker: Mapped(speaker, None, 0.0) for speaker in by_speaker}
    for rows in people:
        if SPEAKING not in rows.names:
            continue
        speaking = np.concatenate(
            [numbers(each, [SPEAKING])[:, 0] for each in rows.blocks([SPEAKING])]
        )
        weights, times = rows.steps(), rows.media_times
        for speaker, theirs in by_speaker.items():
            on = _within(theirs, times)
            seconds = float(weights[on].sum())
            share = (
                float((np.nan_to_num(speaking) * weights)[on].sum()) / seconds if seconds else 0.0
            )
            if share >= LEAST_SHARE and share > best[speaker].share:
                best[speaker] = Mapped(speaker, rows.subject, share)
    return best


def require_one(videos: int) -> None:
    """Raise UsageError if a transcript is given for several videos."""
    if videos != 1:
        raise UsageError(
            f"a transcript is of one video, and here are {videos}",
            "name a table of the video that it belongs to",
        )


def _within(turns: Sequence[Said], times: Floats) -> NDArray[np.bool_]:
    """bool [N], which of ``times`` lie in one of ``turns``."""
    starts = np.sort([turn.start for turn in turns])
    ends = np.sort([turn.end for turn in turns])
    begun = np.searchsorted(starts, times, side="right")
    return np.asarray(begun > np.searchsorted(ends, times, side="right"))


class _Turns:
    """Turns as arrays."""

    def __init__(self, turns: Sequence[Said]) -> None:
        self._names = sorted({turn.speaker for turn in turns})
        codes = {name: code for code, name in enumerate(self._names)}
        self._starts = np.array([turn.start for turn in turns])
        self._ends = np.array([turn.end for turn in turns])
        self._codes = np.array([codes[turn.speaker] for turn in turns], np.int64)

    def longest(self, start: float, end: float) -> str:
        """The speaker who has most of this time; empty if nobody has any."""
        until = np.searchsorted(self._starts, end)
        both = np.minimum(end, self._ends[:until]) - np.maximum(start, self._starts[:until])
        shared = np.bincount(self._codes[:until], np.maximum(both, 0), len(self._names))
        return self._names[int(shared.argmax())] if shared.any() else ""


def _in_a_row(spans: Sequence[Span]) -> tuple[Span, ...]:
    """In the order of time; what lies over the one before begins where that ends."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda each: (each.start, each.end)):
        start = max(span.start, found[-1].end) if found else span.start
        if start < span.end:
            found.append(Span(start, span.end, span.text))
    return tuple(found)
