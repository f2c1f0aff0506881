"""Where in a sound somebody speaks: silero-vad (Silero Team, MIT), a probability each 32 ms.

The net takes 512 samples at 16 kHz with the 64 before them, and hands its state on from one chunk
to the next, as in the package's own ``utils_vad.OnnxWrapper``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.config import SAMPLE_RATE
from avaffect.media.sound import read_blocks
from avaffect.models.content import model_content
from avaffect.models.session import OnnxNet
from avaffect.progress import EventCallback, Progress, ignore_events

Floats = NDArray[np.float32]
Times = NDArray[np.float64]

MODEL = "silero-vad"
CHUNK = 512
STEP_S = CHUNK / SAMPLE_RATE
# What counts as speech, silero-vad's own default.
THRESHOLD = 0.5

_CONTEXT = 64
_STATE = (2, 1, 128)
_BLOCK_S = CHUNK * 512 / SAMPLE_RATE


@dataclass(frozen=True, eq=False, repr=False)
class Speech(ArrayRecord):
    """How likely it is, all through a sound, that somebody speaks.

    Attributes:
        probability: float32 [M] in 0..1; the i-th holds from ``i * STEP_S`` seconds to the next.
        samples: length of the sound at 16 kHz; the last chunk may reach beyond it.
    """

    probability: Floats
    samples: int

    @property
    def duration_s(self) -> float:
        """Length of the sound in seconds."""
        return self.samples / SAMPLE_RATE

    def seconds(self, starts: Times, stops: Times) -> Times:
        """float64 [n], seconds of speech between ``starts`` and ``stops`` (both float64 [n])."""
        return _between(self._is_speech.astype(np.float64), starts, stops)

    def mean(self, starts: Times, stops: Times) -> Floats:
        """float32 [n], the mean probability between; NaN where that is beyond the sound."""
        length = _between(np.ones(len(self.probability)), starts, stops)
        total = _between(self.probability.astype(np.float64), starts, stops)
        known = length > 0
        return np.where(known, total / np.where(known, length, 1), np.nan).astype(np.float32)

    def distance(self, times: Times) -> Times:
        """float64 [n], seconds from ``times`` to the nearest speech; infinite if there is none."""
        centres = (np.flatnonzero(self._is_speech) + 0.5) * STEP_S
        if not len(centres):
            return np.full(len(times), np.inf)
        after = np.searchsorted(centres, times)
        nearest = np.minimum(
            np.abs(times - centres[np.maximum(after - 1, 0)]),
            np.abs(times - centres[np.minimum(after, len(centres) - 1)]),
        )
        return np.maximum(nearest - STEP_S / 2, 0)

    @cached_property
    def _is_speech(self) -> NDArray[np.bool_]:
        return self.probability > THRESHOLD


class SpeechDetector:
    """The net, and what it remembers of the sound so far.

    Args:
        on_event: progress of fetching it.

    Raises:
        ModelError: the weights are not to be had or damaged.
    """

    def __init__(self, on_event: EventCallback = ignore_events) -> None:
        self._net = OnnxNet(model_content(MODEL, on_event=on_event))
        self._rate = np.array(SAMPLE_RATE, np.int64)
        self._state = np.zeros(_STATE, np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)

    def __call__(self, block: Floats) -> Floats:
        """How likely somebody speaks in each chunk of the sound that follows.

        Args:
            block: float32 [n] at 16 kHz, -1..1; zeros fill up its last chunk.

        Returns:
            float32 [n / CHUNK, rounded up] in 0..1.
        """
        found = np.empty(-(-len(block) // CHUNK), np.float32)
        for i, chunk in enumerate(_chunks(block)):
            with_past = np.concatenate([self._context, chunk])[None]
            probability, self._state = self._net(with_past, self._state, self._rate)
            found[i] = probability[0, 0]
            self._context = chunk[-_CONTEXT:]
        return found


def detect_speech(wav: Path, on_event: EventCallback = ignore_events) -> Speech:
    """Listen to a mono 16 kHz wav for speech.

    3.5 ms of one core for each second. Memory beyond the result, 125 bytes a second, does not
    grow with the length.

    Args:
        wav: the file.
        on_event: progress in seconds.

    Raises:
        MediaError: the file cannot be read or is not mono.
        ModelError: the weights are not to be had or damaged.
    """
    detector = SpeechDetector(on_event)
    parts: list[Floats] = []
    samples = 0
    for block in read_blocks(wav, _BLOCK_S):
        parts.append(detector(block))
        samples += len(block)
        on_event(Progress("speech", samples // SAMPLE_RATE, None, "seconds"))
    seconds = samples // SAMPLE_RATE
    on_event(Progress("speech", seconds, seconds, "seconds", finished=True))
    return Speech(np.concatenate([np.zeros(0, np.float32), *parts]), samples)


def _chunks(block: Floats) -> Iterator[Floats]:
    """Pieces of ``CHUNK`` samples; zeros fill up the last."""
    whole = len(block) - len(block) % CHUNK
    yield from block[:whole].reshape(-1, CHUNK)
    if whole < len(block):
        yield np.pad(block[whole:], (0, CHUNK - len(block) + whole))


def _between(values: Times, starts: Times, stops: Times) -> Times:
    """The integral of ``values``, each of which holds for ``STEP_S`` seconds, zero outside."""
    edges = np.arange(len(values) + 1) * STEP_S
    integral = np.concatenate([[0.0], np.cumsum(values)]) * STEP_S
    found: Times = np.interp(stops, edges, integral) - np.interp(starts, edges, integral)
    return found
