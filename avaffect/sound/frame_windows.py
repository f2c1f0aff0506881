"""The window of sound around each frame: centred on its time, twice the frame step long.

At a constant rate that is "N windows for N frames with 50 % overlap"; at a variable one it stays
true for each frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE
from avaffect.errors import FeatureError, UsageError
from avaffect.files.outside import reading

Floats = NDArray[np.float32]
Sound = str | Path | Iterable[Floats]

_BLOCK = SAMPLE_RATE * 4
# A lone frame has no step, and a damaged file may claim hours between two frames.
_LONE_STEP = 1 / 25
_LONGEST_WINDOW = SAMPLE_RATE * 30
# A batch gathers at most this many values of spectra and spans at most this much of the sound.
_BATCH_VALUES = 1 << 20
_BATCH_SPAN = 1 << 22


class FrameWindows(NamedTuple):
    """The windows of some consecutive frames.

    Attributes:
        start: index of the first frame (0-based).
        samples: float32 [n, L], zeros before the beginning and behind the end of the sound.
        has_sound: bool [n], False where a whole window lies before or behind the sound.
    """

    start: int
    samples: Floats
    has_sound: NDArray[np.bool_]


def window_samples(times: NDArray[np.float64]) -> int:
    """Length of a window in samples: twice the median step of ``times`` (seconds)."""
    steps = np.diff(times)
    steps = steps[steps > 0]
    step = float(np.median(steps)) if len(steps) else _LONE_STEP
    return int(np.clip(np.rint(2 * step * SAMPLE_RATE), 2, _LONGEST_WINDOW))


def fft_size(length: int, least: int) -> int:
    """The FFT for windows of ``length`` samples: ``least``, or the next power of two.

    >>> fft_size(1280, least=2048), fft_size(3200, least=2048)
    (2048, 4096)
    """
    return max(least, 1 << (length - 1).bit_length())


def frame_windows(
    sound: Sound, times: NDArray[np.float64], n_fft: int, length: int | None = None
) -> Iterator[FrameWindows]:
    """The windows of all frames, in order, so many at a time as memory should hold spectra of.

    Args:
        sound: path of a mono 16 kHz wav, or its samples as float32 [n] blocks of any lengths,
            range -1..1. Sample 0 is at t = 0.
        times: float64 [N], each frame's time in seconds, never decreasing.
        n_fft: size of the FFT that the windows are for.
        length: samples of a window; None for twice the frames' step.

    Raises:
        FeatureError: the wav cannot be read or is not mono 16 kHz.
        UsageError: a block is not of one channel.
    """
    length = length or window_samples(times)
    starts = np.rint(times * SAMPLE_RATE).astype(np.int64) - length // 2
    reader = _Reader(_blocks(sound))
    batch = max(1, _BATCH_VALUES // (n_fft // 2 + 1))
    first = 0
    while first < len(starts):
        last = min(first + batch, len(starts))
        # The first frame is always taken, however far apart the frames are.
        last = max(first + 1, int(np.searchsorted(starts[:last], starts[first] + _BATCH_SPAN)))
        mine = starts[first:last]
        samples = reader.read(int(mine[0]), int(mine[-1]) + length)
        windows = np.lib.stride_tricks.sliding_window_view(samples, length)[mine - mine[0]]
        has_sound = np.minimum(mine + length, reader.known_end) > np.maximum(mine, 0)
        yield FrameWindows(first, windows, has_sound)
        first = last


class _Reader:
    """Any forward-moving stretch of a stream of blocks, with zeros outside."""

    def __init__(self, blocks: Iterator[Floats]) -> None:
        self._blocks = blocks
        self._kept: list[Floats] = []
        self._first = 0
        self._next = 0
        self._ended = False

    @property
    def known_end(self) -> int:
        """Samples seen so far: behind any stretch read, or the sound's true length."""
        return self._next

    def read(self, start: int, stop: int) -> Floats:
        """float32 [stop - start]. ``start`` must not be less than at the call before."""
        while self._next < stop and not self._ended:
            block = next(self._blocks, None)
            if block is None:
                self._ended = True
            elif block.ndim != 1:
                raise UsageError(f"a block of sound has shape {block.shape}, expected one channel")
            else:
                self._kept.append(block)
                self._next += len(block)
            while self._kept and self._first + len(self._kept[0]) <= start:
                self._first += len(self._kept.pop(0))
        out = np.zeros(stop - start, np.float32)
        at = self._first
        for block in self._kept:
            low, high = max(start, at), min(stop, at + len(block))
            if low < high:
                out[low - start : high - start] = block[low - at : high - at]
            at += len(block)
        return out


def _blocks(sound: Sound) -> Iterator[Floats]:
    if not isinstance(sound, str | Path):
        yield from sound
        return
    import soundfile

    hint = "run `avaffect preprocess` again"
    what = "holds no sound that can be read"
    with reading(sound, FeatureError, what, hint), soundfile.SoundFile(sound) as file:
        if file.samplerate != SAMPLE_RATE or file.channels != 1:
            raise FeatureError(
                f"'{sound}' has {file.channels} channels at {file.samplerate} Hz",
                "give a mono wav at 16 kHz, as `avaffect preprocess` writes it",
            )
        yield from file.blocks(_BLOCK, dtype="float32")
