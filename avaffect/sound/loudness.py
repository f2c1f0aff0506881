"""How loud a sound is at any moment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.config import SAMPLE_RATE
from avaffect.media.sound import SoundInfo, read_blocks

Floats = NDArray[np.float64]

# What digital silence is called, in dB.
SILENCE_DB = -100.0
# A moment's level is that of so many seconds to both sides of it.
HALF_S = 0.025
# Squares are summed in steps of so many samples: 2.5 ms.
_STEP = 40
_BLOCK_S = 10.0


@dataclass(frozen=True, eq=False, repr=False)
class Loudness(ArrayRecord):
    """The power of a whole sound: 3 kB a second.

    Attributes:
        energy: float64 [M + 1], the sum of squares up to each multiple of 2.5 ms.
        sound: what is known of the file; None if it is all sound.
    """

    energy: Floats
    sound: SoundInfo | None

    @classmethod
    def of(cls, wav: Path, sound: SoundInfo | None = None) -> Loudness:
        """Of a mono 16 kHz file.

        Raises:
            MediaError: it cannot be read or is not mono.
        """
        parts = [np.zeros(1)]
        for block in read_blocks(wav, _BLOCK_S):
            squares = np.pad(block.astype(np.float64) ** 2, (0, -len(block) % _STEP))
            parts.append(squares.reshape(-1, _STEP).sum(axis=1))
        return cls(np.cumsum(np.concatenate(parts)), sound)

    def at(self, times: Floats, half_s: float = HALF_S) -> Floats:
        """float64 [N], the level around moments in dB below full scale: root of the mean square.

        Args:
            times: float64 [N], seconds.
            half_s: how much to both sides of a moment counts.

        Returns:
            NaN where there is no sound; `SILENCE_DB` in digital silence.
        """
        edges = np.arange(len(self.energy)) * (_STEP / SAMPLE_RATE)
        at, begin, end = times, 0.0, float(edges[-1])
        if self.sound is not None:
            at = self.sound.in_wav(times)
            begin, end = self.sound.in_wav(np.array([self.sound.start_s, self.sound.end_s]))
        first, last = np.clip(at - half_s, begin, end), np.clip(at + half_s, begin, end)
        there = last - first >= half_s / 2
        power = np.interp(last, edges, self.energy) - np.interp(first, edges, self.energy)
        seconds = np.where(there, last - first, 1.0)
        mean = np.where(there, power, np.nan) / (seconds * SAMPLE_RATE)
        return np.asarray(10 * np.log10(np.maximum(mean, 10 ** (SILENCE_DB / 10))))
