"""What the speaker encoder in starter-2's voice net hears: power in 40 mel bands.

The encoder (Resemblyzer's, see ``docs/models/starter-2.md``) was trained with exactly these rows,
made there by librosa; here NumPy alone makes them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE
from avaffect.sound.frame_windows import Floats, Sound, frame_windows
from avaffect.sound.front_end import mel_filters

BANDS = 40
# Samples of a spectrum, and from one to the next.
SIZE, STEP = 400, 160


def mel_power(samples: Floats) -> Floats:
    """Rows of some stretches of sound.

    Args:
        samples: float32 [n, S] at 16 kHz, with S at least ``SIZE``.

    Returns:
        float32 [n, T, BANDS], T being ``(S - SIZE) // STEP + 1``; row i is that of the samples
        from ``i * STEP`` on.
    """
    hann = np.hanning(SIZE + 1)[:-1].astype(np.float32)
    rows = np.lib.stride_tricks.sliding_window_view(samples, SIZE, axis=1)[:, ::STEP]
    spectrum = np.fft.rfft(rows * hann, axis=2)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    return (power @ mel_filters(SIZE, BANDS).astype(np.float32)).astype(np.float32)


def windows_power(
    sound: Sound, centres: NDArray[np.float64], seconds: float
) -> Iterator[tuple[int, Floats]]:
    """``mel_power`` of windows of a sound, some at a time, each with the number of the first.

    Args:
        sound: see ``frame_windows.frame_windows``.
        centres: float64 [W], the windows' centres in seconds, never decreasing.
        seconds: length of a window; beyond the sound there is silence.

    Raises:
        FeatureError: the wav cannot be read or is not mono 16 kHz.
    """
    length = round(seconds * SAMPLE_RATE)
    # As if spectra were so long that six windows of 3 s are a batch: more take 60 MB and no less
    # time.
    for windows in frame_windows(sound, centres, 7 * length, length):
        yield windows.start, mel_power(windows.samples)
