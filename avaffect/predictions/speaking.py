"""Who speaks: speech in the sound, and the lips that move with it.

Of each person two things are measured in a window around a frame: how much the lips move, and
whether they open as the sound grows louder. For what both say the people compete, with somebody
off screen as one more of them: a softmax with three constants, which ``benchmarks/speaking.py``
fitted on clips of people who are not in its test. One person speaks at a time; two who speak at
once share the probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.faces.face_pose import face_pose_names
from avaffect.faces.quality import REGIONS
from avaffect.predictions.durations import durations
from avaffect.predictions.hidden import hidden_regions
from avaffect.predictions.prediction import Prediction
from avaffect.sound.loudness import Loudness
from avaffect.store.subject import SubjectFeatures

Floats = NDArray[np.float64]

FACE_POSE, VOICE = "face_pose", "voice"
# Seconds to both sides of a frame in which lips and sound are compared.
HALF_S = 1.0
# Seconds to both sides whose mean is taken off both: syllables count, and no smile or yawn.
SYLLABLE_S = 0.12
# The spread of lips, that mean taken off, from which on they move as much as a speaker's do.
MOVING = 0.02
# Frames in a window, and frames a second, with fewer of which syllables cannot be told.
_FEWEST, SLOWEST_HZ = 12, 14.0
# Sound that is softer by more than this than what is around it counts as silence, in dB.
_RANGE_DB = 15.0
# What of lips is the landmark net's noise, and of the sound that of a room; as `lips_of` and
# `_RANGE_DB` have them.
_TREMBLE, _MURMUR = 0.005, 0.03
# By how many seconds the sound may come behind the lips, nearest first, and by how many it mostly
# does (standard deviation): 0.12 s need some eight seconds of speech that fit.
LATE_S = tuple(sorted((step / 50 for step in range(-10, 11)), key=abs))
LATE_SD_S = 0.03
_SPEECH = 0.5
_CHUNK = 4096
_NAMES = face_pose_names()
# Heights of the middle of the inner lips, iBUG 62 and 66.
_UPPER, _LOWER = _NAMES.index("y62"), _NAMES.index("y66")
_MOUTH = REGIONS.index("mouth")


@dataclass(frozen=True)
class Weights:
    """What counts for a person: the logit over somebody off screen is their sum.

    Attributes:
        offset: of a person whose lips are still.
        movement: of lips that move as a speaker's do.
        step: of lips that are wholly in step with the sound (correlation 1).
    """

    offset: float
    movement: float
    step: float


WEIGHTS = Weights(offset=-3.7, movement=2.1, step=7.3)


@dataclass(frozen=True, eq=False, repr=False)
class Lips(ArrayRecord):
    """What of a person's lips counts in each frame.

    Attributes:
        movement: float64 [N] in 0..1, NaN where no lips are seen, or too few frames.
        step: float64 [N] in -1..1, correlation with the sound; NaN likewise, and without sound.
    """

    movement: Floats
    step: Floats


def lips_of(subject: SubjectFeatures) -> Floats:
    """float64 [N], the gap between the lips, NaN where they are not seen.

    In units of the landmarks: 1 is the distance between the eyes' outer corners.
    """
    found = np.full(subject.frames, np.nan)
    for start in range(0, subject.frames, _CHUNK):
        pose = subject.array(FACE_POSE, start, start + _CHUNK)
        found[start : start + _CHUNK] = pose[:, _UPPER] - pose[:, _LOWER]
    found[hidden_regions(subject)[:, _MOUTH] | ~np.asarray(subject.present)] = np.nan
    return found


def compare(lips: Floats, level: Floats, times: Floats, half_s: float = HALF_S) -> Lips:
    """How lips move and keep step with a sound.

    Args:
        lips: float64 [N] of `lips_of`.
        level: float64 [N], how loud it is in dB; NaN without sound.
        times: float64 [N], seconds, never falling.
        half_s: half of the window.
    """
    seen = np.isfinite(lips)
    window = _Window(times, half_s)
    x = _syllables(lips, times)
    movement = np.clip(np.sqrt(window.mean(x * x, seen)) / MOVING, 0, 1)
    known = np.isfinite(level)
    # Against what is heard around: a door that slams, or one who speaks softly, changes nothing.
    power = window.mean(np.where(known, 10 ** (np.where(known, level, 0) / 10), 0.0), known)
    around = 10 * np.log10(np.maximum(power, 1e-12))
    loud = np.where(known, np.maximum(level - around, -_RANGE_DB) / _RANGE_DB, np.nan)
    y = _syllables(loud, times)
    both = seen & known
    together = window.mean(x * y, both)
    alone = [
        window.mean(values * values, both) + noise**2
        for values, noise in ((x, _TREMBLE), (y, _MURMUR))
    ]
    step = together / np.sqrt(alone[0] * alone[1])
    told = seen & window.enough(both, times)
    return Lips(np.where(told, movement, np.nan), np.where(told, step, np.nan))


class _Window:
    """Means over the frames within ``half_s`` seconds of each."""

    def __init__(self, times: Floats, half_s: float) -> None:
        self._first = np.searchsorted(times, times - half_s - 1e-6, side="left")
        self._last = np.searchsorted(times, times + half_s + 1e-6, side="right")

    def _total(self, values: Floats) -> Floats:
        sums = np.concatenate([[0.0], np.cumsum(values)])
        return np.asarray(sums[self._last] - sums[self._first])

    def count(self, which: NDArray[np.bool_]) -> Floats:
        """float64 [N], how many of the frames ``which`` are near."""
        return self._total(which.astype(np.float64))

    def enough(self, which: NDArray[np.bool_], times: Floats) -> NDArray[np.bool_]:
        """bool [N], whether frames ``which`` are near enough to each other to show syllables."""
        count = self.count(which)
        span = times[self._last - 1] - times[self._first]
        return np.asarray((count >= _FEWEST) & (count - 1 >= SLOWEST_HZ * span - 1e-6))

    def mean(self, values: Floats, which: NDArray[np.bool_]) -> Floats:
        """float64 [N], the mean of ``values`` over these, 0 without any."""
        total = self._total(np.where(which, values, 0.0))
        return np.asarray(total / np.maximum(self.count(which), 1))


def _syllables(values: Floats, times: Floats) -> Floats:
    """float64 [N], ``values`` less their mean around each frame; 0 where there are none."""
    known = np.isfinite(values)
    centred = np.where(known, values - (values[known].mean() if known.any() else 0.0), 0.0)
    around = _Window(times, SYLLABLE_S).mean(centred, known)
    return np.where(known, centred - around, 0.0)


def shares(people: Sequence[Lips], weights: Weights = WEIGHTS) -> Floats:
    """float64 [people, N], how likely it is each who speaks, if somebody does.

    NaN where it cannot be told of somebody. What the others' are short of 1 is how likely it is
    somebody off screen, or one whose lips are not seen.
    """
    odds = np.exp(
        [
            weights.offset + weights.movement * each.movement + weights.step * each.step
            for each in people
        ]
    )
    return np.asarray(odds / (1 + np.nansum(odds, axis=0)))


def speaking_of(
    subjects: Sequence[SubjectFeatures], loudness: Loudness | None
) -> tuple[list[NDArray[np.float32]] | None, float | None]:
    """The columns ``SPEAKING`` of ``prediction`` for each of the people of a video.

    Args:
        subjects: all of them, on one clock.
        loudness: of the video; None if lips cannot be compared with it.

    Returns:
        float32 [N, 2] each, None where they lack the arrays ``face_pose`` or ``voice``; and how
        many seconds the sound comes behind the lips, None where that does not matter.
    """
    if not all({FACE_POSE, VOICE} <= set(subject.names) for subject in subjects):
        return None, None
    first = subjects[0]
    starts = range(0, first.frames, _CHUNK)
    parts = [first.array(VOICE, start, start + _CHUNK)[:, -1] for start in starts]
    heard = np.concatenate([np.zeros(0, np.float32), *parts]).astype(np.float64)
    times, late = np.asarray(first.times), None
    share = np.full((len(subjects), len(heard)), np.nan)
    if loudness is not None:
        lips = [lips_of(subject) for subject in subjects]
        share, late = fitted(lips, loudness, heard, times)
    both = np.stack([np.broadcast_to(heard, share.shape), share * heard], axis=2)
    return [np.clip(each, 0, 1).astype(np.float32) for each in both], late


def fitted(
    lips: Sequence[Floats],
    loudness: Loudness,
    heard: Floats,
    times: Floats,
    weights: Weights = WEIGHTS,
) -> tuple[Floats, float]:
    """`shares` with the sound as late as it fits the lips best, and that in seconds.

    Cameras and cutting rooms shift sound by some frames. Over a short while any sound fits any
    lips somewhere, so that the more must be said for a shift, the larger it is.
    """
    spoken = heard > _SPEECH
    best: tuple[float, Floats, float] | None = None
    for late in LATE_S:
        level = loudness.at(times + late)
        share = shares([compare(each, level, times) for each in lips], weights)
        away = np.maximum(1 - np.nansum(share[:, spoken], axis=0), 1e-6)
        # The frames of a window say nearly the same: they are one observation.
        evidence = -float((np.log(away) * durations(times)[spoken]).sum()) / (2 * HALF_S)
        evidence -= late**2 / (2 * LATE_SD_S**2)
        if best is None or evidence > best[0] + 1e-9:
            best = evidence, share, late
    assert best is not None  # noqa: S101 - LATE_S is not empty
    return best[1], best[2]


def with_speaking(
    predictions: Sequence[Prediction],
    subjects: Sequence[SubjectFeatures],
    loudness: Loudness | None,
) -> tuple[list[Prediction], float | None]:
    """``predictions`` of ``subjects`` with who speaks, where it is known; see `speaking_of`."""
    found, late = speaking_of(subjects, loudness)
    if found is None:
        return [*predictions], None
    return [
        replace(prediction, speaking=each)
        for prediction, each in zip(predictions, found, strict=True)
    ], late
