"""A voice in a few numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from avaffect.media.sound import SoundInfo
from avaffect.sound.loudness import HALF_S, Loudness
from avaffect.sound.pauses import Talk
from avaffect.sound.pitch import STEP_S, Pitch


def summary_of(pitch: Pitch, talk: Talk, loudness: Loudness, sound: SoundInfo) -> dict[str, Any]:
    """JSON-able: how long somebody speaks and pauses, how high and how loud the voice is.

    None stands for what there is not. Pitch and level are of speech alone. Long silences that are
    not in the wav (``sound.cuts``) count as nothing.
    """
    spoken, paused = (_lengths(spans) for spans in (talk.speech, talk.pauses))
    begin, end = sound.in_wav(np.array([sound.start_s, sound.end_s]))
    seconds = float(end - begin)
    moments = np.arange(len(pitch.f0)) * STEP_S
    edges = np.array(talk.speech).reshape(-1)
    on = np.searchsorted(edges, moments, side="right") % 2 == 1
    hz = pitch.f0[on & np.isfinite(pitch.f0)]
    levels = Loudness(loudness.energy, None).at(moments[on], HALF_S)
    return {
        "sound_s": round(seconds, 3),
        "speech_s": _rounded(spoken.sum()),
        "speech_share": _rounded(spoken.sum() / seconds) if seconds else None,
        "speech_segments": len(spoken),
        "speech_segment_mean_s": _rounded(spoken.mean()) if len(spoken) else None,
        "pauses": len(paused),
        "pauses_s": _rounded(paused.sum()),
        "pause_mean_s": _rounded(paused.mean()) if len(paused) else None,
        "pause_longest_s": _rounded(paused.max()) if len(paused) else None,
        "f0_median_hz": _rounded(np.median(hz)) if len(hz) else None,
        "f0_low_hz": _rounded(np.percentile(hz, 5)) if len(hz) else None,
        "f0_high_hz": _rounded(np.percentile(hz, 95)) if len(hz) else None,
        "f0_sd_semitones": _rounded(np.std(12 * np.log2(hz))) if len(hz) else None,
        "voiced_share": _rounded(len(hz) / on.sum()) if on.any() else None,
        "level_mean_db": _rounded(_mean_db(levels)) if len(levels) else None,
        "level_sd_db": _rounded(np.std(levels)) if len(levels) else None,
    }


def _lengths(spans: tuple[tuple[float, float], ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.diff(np.array(spans, np.float64).reshape(-1, 2), axis=1)[:, 0]


def _mean_db(levels: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """The level of the mean power."""
    return float(10 * np.log10(np.mean(10 ** (levels / 10))))


def _rounded(value: float | np.floating[Any]) -> float:
    return round(float(value), 3)
