"""The pitch of a voice: its fundamental frequency (F0) by pYIN (`sound.pyin`).

A sound is read in blocks that overlap, so that memory does not grow with its length.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.config import SAMPLE_RATE
from avaffect.media.sound import read_blocks
from avaffect.progress import EventCallback, Progress, ignore_events
from avaffect.sound.pyin import FRAME, HOP, pyin

Floats = NDArray[np.float64]

# A value each 10 ms.
STEP_S = HOP / SAMPLE_RATE
# A block, and what of its neighbours is heard along, in values.
_BLOCK, _BESIDE = 2000, 50
# A frame is voiced by the values within so many seconds of it.
HALF_S = 0.02


@dataclass(frozen=True, eq=False, repr=False)
class Pitch(ArrayRecord):
    """The pitch all through a sound; the i-th value is at ``i * STEP_S`` seconds.

    Attributes:
        f0: float64 [M], Hz; NaN where nothing is voiced.
        probability: float64 [M] in 0..1, how likely it is voiced.
    """

    f0: Floats
    probability: Floats

    def at(self, moments: Floats) -> tuple[Floats, Floats]:
        """On another clock: Hz, NaN where most values around are not voiced; and probabilities.

        Args:
            moments: float64 [N], seconds in the sound.

        Returns:
            float64 [N] each. Of several values in a frame the geometric mean.
        """
        first = np.clip(np.ceil((moments - HALF_S) / STEP_S - 1e-6), 0, len(self.f0)).astype(int)
        last = np.clip(np.floor((moments + HALF_S) / STEP_S + 1e-6) + 1, 0, len(self.f0)).astype(
            int
        )
        last = np.maximum(first, last)
        count = last - first
        voiced = np.isfinite(self.f0)
        logs = np.where(voiced, np.log(np.where(voiced, self.f0, 1.0)), 0.0)

        def total(values: Floats) -> Floats:
            sums = np.concatenate([[0.0], np.cumsum(values)])
            return np.asarray(sums[last] - sums[first])

        ours = total(voiced.astype(np.float64))
        f0 = np.exp(total(logs) / np.maximum(ours, 1))
        likely = np.where(count > 0, total(self.probability) / np.maximum(count, 1), np.nan)
        return np.where((ours > 0) & (2 * ours >= count), f0, np.nan), likely


def measure_pitch(wav: Path, on_event: EventCallback = ignore_events) -> Pitch:
    """Listen to a mono 16 kHz wav for its pitch: some 20 ms of a core for each second.

    Args:
        wav: the file.
        on_event: progress in seconds, stage ``pitch``.

    Raises:
        MediaError: the file cannot be read or is not mono.
    """
    hz, chances = [np.zeros(0)], [np.zeros(0)]
    done = 0
    for piece, before, count in _pieces(wav):
        f0, probability = pyin(piece)
        hz.append(f0[before : before + count])
        chances.append(probability[before : before + count])
        done += count
        on_event(Progress("pitch", round(done * STEP_S), None, "seconds"))
    seconds = round(done * STEP_S)
    on_event(Progress("pitch", seconds, seconds, "seconds", finished=True))
    return Pitch(np.concatenate(hz), np.concatenate(chances))


def _pieces(wav: Path) -> Iterator[tuple[NDArray[np.float32], int, int]]:
    """Blocks with what is beside them; how many values of each come before, and how many count."""
    beside, kept, before = _BESIDE * HOP, np.zeros(0, np.float32), 0
    for block in read_blocks(wav, _BLOCK * STEP_S):
        kept = np.concatenate([kept, block])
        while len(kept) >= before * HOP + _BLOCK * HOP + beside:
            end = (before + _BLOCK) * HOP
            yield kept[: end + beside], before, _BLOCK
            kept, before = kept[end - beside :], _BESIDE
    rest = -(-len(kept) // HOP) - before
    if rest > 0:
        yield np.pad(kept, (0, max(0, FRAME - len(kept)))), before, rest
