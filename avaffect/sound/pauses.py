"""Stretches of speech in a sound, and the pauses between them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from avaffect.sound.speech import STEP_S, THRESHOLD, Speech

# A shorter silence belongs to the words around it: stops such as in "apt" last .05 to .15 s.
SHORTEST_PAUSE_S = 0.25
# What is shorter is no speech.
SHORTEST_SPEECH_S = 0.1

Spans = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Talk:
    """When somebody speaks.

    Attributes:
        speech: start and end of each stretch of speech, in seconds of the sound.
        pauses: likewise of the silences between two stretches; before the first and behind the
            last there is none.
    """

    speech: Spans
    pauses: Spans


def talk_of(speech: Speech) -> Talk:
    """Stretches and pauses of a sound.

    Silences of less than :data:`SHORTEST_PAUSE_S` are none, and then speech of less than
    :data:`SHORTEST_SPEECH_S`.
    """
    on = np.concatenate([[False], speech.probability > THRESHOLD, [False]])
    edges = np.flatnonzero(np.diff(on.astype(np.int8))).reshape(-1, 2) * STEP_S
    joined: list[list[float]] = []
    for start, end in edges.tolist():
        if joined and start - joined[-1][1] < SHORTEST_PAUSE_S:
            joined[-1][1] = end
        else:
            joined.append([start, end])
    spoken = tuple(
        (start, min(end, speech.duration_s))
        for start, end in joined
        if end - start >= SHORTEST_SPEECH_S
    )
    pauses = tuple((before[1], after[0]) for before, after in itertools.pairwise(spoken))
    return Talk(spoken, pauses)
