"""What lasts for a while: an expression, a smile, an active unit, a gap; and tiers of such."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.converting.rows import Rows, numbers, texts
from avaffect.labels import ACTION_UNITS
from avaffect.predictions.durations import LONGEST_STEP_S

SMILE = "AU12"
BLINK = "AU45"
UNITS = (*ACTION_UNITS, BLINK)
_NOBODY = -1
# Whose lips the voice is, and from which probability on.
SPEAKING, SPEAKS = "speaking", 0.5
# What gaps are called.
NO_FACE, NO_FRAMES = "no face", "no frames"
_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time.

    Attributes:
        start: in seconds on the file's own clock, 0 or later.
        end: later than ``start``; the start of the first frame in which it is over.
        text: what it is, in one line of printable letters.
    """

    start: float
    end: float
    text: str


@dataclass(frozen=True)
class Tier:
    """Spans of one kind and person, one after the other; where there is none, nothing is said.

    Attributes:
        kind: ``expression``, ``smile``, a unit such as ``AU4``, ``speaking``, or ``gaps``.
        subject: the person's name, in printable letters.
        spans: in the order of time, none over another.
    """

    kind: str
    subject: str
    spans: tuple[Span, ...]

    @property
    def name(self) -> str:
        """Kind and person: ``expression@anna``."""
        return f"{self.kind}@{self.subject}"


@dataclass(frozen=True, eq=False, repr=False)
class _Clock(ArrayRecord):
    """When each frame starts and ends, float64 [N], and before which frames there is a pause."""

    starts: NDArray[np.float64]
    ends: NDArray[np.float64]
    paused: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: Rows) -> _Clock:
        starts = rows.media_times
        paused = np.diff(starts, prepend=starts[0]) > LONGEST_STEP_S
        return cls(starts, starts + rows.steps(), paused)


def tiers_of(rows: Rows) -> list[Tier]:
    """The tiers of a person: expression, smile, each unit, speaking, gaps.

    A span begins with the first frame that shows it and ends where the first one begins that does
    not; a second after its last frame at the latest, if the file pauses. Times before 0 are cut
    off: ELAN, Praat and players have none. Tiers that the model does not predict are left out.
    In memory are a few bytes a frame, and the spans.
    """
    clock = _Clock.of(rows)
    units = [name for name in UNITS if name in rows.names]
    expressions: dict[str, int] = {}
    classes = np.full(len(rows.times), _NOBODY, np.int32)
    active = np.full((len(units), len(rows.times)), _NOBODY, np.int8)
    gone = np.full(len(rows.times), _NOBODY, np.int8)
    speaks = gone.copy()
    at = 0
    for block in rows.blocks(["expression", "present", SPEAKING, *units]):
        part = slice(at, at + len(block["present"]))
        at = part.stop
        classes[part] = [
            _NOBODY if text is None else expressions.setdefault(printable(text), len(expressions))
            for text in texts(block, "expression")
        ]
        gone[part] = np.where(numbers(block, ["present"])[:, 0] == 0, 0, _NOBODY)
        speaks[part] = np.where(numbers(block, [SPEAKING])[:, 0] >= SPEAKS, 0, _NOBODY)
        if units:
            active[:, part] = np.where(numbers(block, units).T == 1, 0, _NOBODY)
    subject = printable(rows.subject)
    found = []
    if "expression" in rows.names:
        found.append(Tier("expression", subject, _spans(classes, list(expressions), clock)))
    if SMILE in units:
        smiles = _spans(active[units.index(SMILE)], ["smile"], clock)
        found.append(Tier("smile", subject, smiles))
    for name, codes in zip(units, active, strict=True):
        found.append(Tier(name, subject, _spans(codes, [name], clock)))
    if SPEAKING in rows.names:
        found.append(Tier(SPEAKING, subject, _spans(speaks, [SPEAKING], clock)))
    gaps = [*_spans(gone, [NO_FACE], clock), *_pauses(clock)]
    found.append(Tier("gaps", subject, tuple(sorted(gaps, key=lambda span: span.start))))
    return found


def printable(text: str) -> str:
    """``text`` in one line that any file of text can hold, of at most 200 letters.

    >>> printable("a\\x00b\\nc")
    'a b c'
    """
    shown = text[:_LONGEST_TEXT]
    return "".join(letter if letter.isprintable() else " " for letter in shown).strip() or "?"


def _spans(codes: NDArray[np.integer], names: Sequence[str], clock: _Clock) -> tuple[Span, ...]:
    """The stretches of one code, ``_NOBODY`` left out; ``names`` by code."""
    changes = np.flatnonzero((np.diff(codes) != 0) | clock.paused[1:]) + 1
    firsts = np.concatenate([[0], changes])
    lasts = np.concatenate([changes, [len(codes)]]) - 1
    keep = (codes[firsts] != _NOBODY) & (clock.ends[lasts] > 0)
    return tuple(
        Span(max(0.0, float(clock.starts[first])), float(clock.ends[last]), names[codes[first]])
        for first, last in zip(firsts[keep], lasts[keep], strict=True)
    )


def _pauses(clock: _Clock) -> list[Span]:
    after = np.flatnonzero(clock.paused)
    ends = clock.starts[after]
    starts = np.maximum(clock.ends[after - 1], 0)
    return [
        Span(float(start), float(end), NO_FRAMES)
        for start, end in zip(starts, ends, strict=True)
        if end > start
    ]
