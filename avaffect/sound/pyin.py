"""pYIN: the pitch of a voice from the periods it may have (Mauch and Dixon, ICASSP 2014).

YIN (de Cheveigné and Kawahara, JASA 2002) gives for each period how unlike a frame is to itself so
much later; each trough of that is a candidate, more or less likely as more or fewer thresholds
accept it. The path through the candidates that is likeliest as a whole is the pitch.

The settings are those of ``librosa.pyin``, whose values these are but for rounding
(tests/sound/test_pyin.py). Ours needs no compiler at run time: librosa's is compiled by Numba as
it is called, and ended the process on one of our machines.
"""

from __future__ import annotations

from math import comb, exp, log

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

# Between the lowest voices of men and a child that calls, in Hz.
LOWEST_HZ, HIGHEST_HZ = 65.0, 600.0
# In samples: from one frame to the next, 10 ms, and a frame's length, 64 ms.
HOP, FRAME = 160, 1024

# Pitches are told apart in fifths of a semitone.
_STEPS = 60
_PITCHES = int(np.floor(_STEPS * np.log2(HIGHEST_HZ / LOWEST_HZ))) + 1
_SHORTEST, _LONGEST = int(SAMPLE_RATE / HIGHEST_HZ), int(np.ceil(SAMPLE_RATE / LOWEST_HZ))
# How far a pitch moves from one frame to the next, in steps to each side: 36 octaves a second.
_REACH = round(35.92 * 12 * HOP / SAMPLE_RATE) * _STEPS // 12 // 2
# Starting or ending to be voiced.
_SWITCH = 0.01
# Thresholds, and how likely each is: the beta distribution (2, 18), of mean 0.1.
_THRESHOLDS = np.linspace(0, 1, 101)
# Of several troughs below a threshold the first is the likeliest: a Boltzmann distribution.
_DECAY = 2.0
# What the deepest trough gets of thresholds that no trough is below.
_NO_TROUGH = 0.01
_LEAST = float(np.finfo(np.float64).tiny)


def pyin(samples: NDArray[np.float32]) -> tuple[Floats, Floats]:
    """The pitch of a piece of sound.

    Takes some 40 kB of memory for each of its frames; long sounds are given in pieces.

    Args:
        samples: float32 [S] at 16 kHz, -1..1.

    Returns:
        float64 [1 + S // HOP], Hz around the sample ``i * HOP``, NaN where nothing is voiced; and
        float64 of the same length in 0..1, how likely it is voiced.
    """
    padded = np.pad(samples.astype(np.float64), FRAME // 2)
    unlike = _unlikeness(sliding_window_view(padded, FRAME)[::HOP])
    frames, lags = np.nonzero(_troughs(unlike))
    likely = _likelihoods(frames, unlike[frames, lags])
    hz = SAMPLE_RATE / (_SHORTEST + lags + _shifts(unlike)[frames, lags])
    pitches = np.clip(np.round(_STEPS * np.log2(hz / LOWEST_HZ)), 0, _PITCHES).astype(int)
    seen = np.zeros((len(unlike), _PITCHES + 1))
    kept = likely > 0
    seen[frames[kept], pitches[kept]] = likely[kept]
    voiced = np.clip(seen[:, :_PITCHES].sum(axis=1), 0, 1)
    states = _likeliest_path(seen[:, :_PITCHES], (1 - voiced) / _PITCHES)
    f0 = LOWEST_HZ * 2 ** (states % _PITCHES / _STEPS)
    return np.where(states < _PITCHES, f0, np.nan), voiced


def _unlikeness(frames: Floats) -> Floats:
    """YIN's cumulative mean normalised difference, of the periods _SHORTEST to _LONGEST."""
    spectrum = np.fft.rfft(frames, 2 * FRAME)
    same = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)[:, : _LONGEST + 1]
    energy = np.cumsum(frames[:, :_LONGEST] ** 2, axis=1)
    difference = 2 * (same[:, :1] - same[:, 1:]) - energy
    mean = np.cumsum(difference, axis=1) / np.arange(1, _LONGEST + 1)
    least = float(np.finfo(np.float32).tiny)
    return np.asarray((difference / (mean + least))[:, _SHORTEST - 1 :])


def _troughs(unlike: Floats) -> NDArray[np.bool_]:
    """Where a value is less than its neighbours."""
    falls, rises = unlike[:, 1:] < unlike[:, :-1], unlike[:, :-1] <= unlike[:, 1:]
    found = np.zeros(unlike.shape, np.bool_)
    found[:, 0] = unlike[:, 0] < unlike[:, 1]
    found[:, 1:-1] = falls[:, :-1] & rises[:, 1:]
    found[:, -1] = falls[:, -1]
    return found


def _shifts(unlike: Floats) -> Floats:
    """Between -1 and 1, where around each value the parabola through it is lowest."""
    curve = unlike[:, 2:] + unlike[:, :-2] - 2 * unlike[:, 1:-1]
    slope = (unlike[:, 2:] - unlike[:, :-2]) / 2
    found = np.zeros(unlike.shape)
    inside = np.abs(slope) < np.abs(curve)
    np.divide(-slope, curve, out=found[:, 1:-1], where=inside)
    return found


def _likelihoods(frames: Ints, depths: Floats) -> Floats:
    """How likely each trough is the period.

    Args:
        frames: [T], which frame each is of, rising.
        depths: [T].
    """
    if not len(frames):
        return np.zeros(0)
    firsts = np.flatnonzero(np.diff(frames, prepend=-1))
    of = np.repeat(np.arange(len(firsts)), np.diff(firsts, append=len(frames)))
    below = depths[:, None] < _THRESHOLDS[1:]
    so_far = np.cumsum(below, axis=0, dtype=np.int32)
    before = (so_far[firsts] - below[firsts])[of]
    count = np.add.reduceat(below, firsts, axis=0, dtype=np.int32)[of]
    rank = so_far - before - 1
    prior = np.zeros(below.shape)
    prior[below] = (1 - exp(-_DECAY)) * np.exp(-_DECAY * rank[below])
    prior[below] /= 1 - np.exp(-_DECAY * count[below])
    found = prior @ _CHANCES
    deepest = np.lexsort((depths, frames))[firsts]
    unmet = np.concatenate([[0.0], np.cumsum(_CHANCES)])
    found[deepest] += _NO_TROUGH * unmet[np.count_nonzero(~below[deepest], axis=1)]
    return np.asarray(found)


def _threshold_chances() -> Floats:
    """How likely each threshold is: between neighbours, of the beta distribution (2, 18)."""
    x = _THRESHOLDS
    parts = [comb(19, k) * x**k * (1 - x) ** (19 - k) for k in range(2, 20)]
    return np.diff(np.sum(parts, axis=0))


def _moves() -> Floats:
    """[_PITCHES, 2 * _REACH + 1], log: to each pitch from the pitches around it."""
    offsets = np.arange(-_REACH, _REACH + 1)
    triangle = 1 - np.abs(offsets) / (_REACH + 1)
    at = np.arange(_PITCHES)
    around = at[:, None] + offsets
    inside = (around >= 0) & (around < _PITCHES)
    total = np.where(inside, triangle, 0).sum(axis=1)
    share = triangle / total[np.clip(around, 0, _PITCHES - 1)]
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.where(inside, share, 0)))


_CHANCES = _threshold_chances()
_MOVES = _moves()


def _likeliest_path(seen: Floats, unvoiced: Floats) -> Ints:
    """Viterbi's algorithm over each pitch, voiced or not.

    Args:
        seen: [M, _PITCHES], how likely each pitch is.
        unvoiced: [M], how likely each is while nothing is voiced.

    Returns:
        [M], a pitch; ``_PITCHES`` more where nothing is voiced.
    """
    heard, silent = np.log(seen + _LEAST), np.log(unvoiced + _LEAST)
    stays, switches, leaps = log(1 - _SWITCH), log(_SWITCH), log(_LEAST)
    came = np.empty((len(seen), 2, _PITCHES), np.int16)
    edge = np.full((2, _PITCHES + 2 * _REACH), -np.inf)
    inner, around = edge[:, _REACH:-_REACH], sliding_window_view(edge, 2 * _REACH + 1, axis=1)
    pitch = np.arange(_PITCHES)
    for i in range(len(seen)):
        if i == 0:
            best = np.full((2, _PITCHES), -log(2 * _PITCHES))
        else:
            moved = around + _MOVES
            choice = moved.argmax(axis=2)
            top = np.take_along_axis(moved, choice[:, :, None], 2)[:, :, 0]
            source = choice + (pitch - _REACH) + np.array([[0], [_PITCHES]])
            kept, other = top + stays, top[::-1] + switches
            best = np.maximum(kept, other)
            came[i] = np.where(kept >= other, source, source[::-1])
            # From anywhere, which is as unlikely as what is never seen.
            anywhere = int(inner.argmax())
            far = inner.flat[anywhere] + leaps
            came[i][best < far] = anywhere
            best = np.maximum(best, far)
        best[0] += heard[i]
        best[1] += silent[i]
        inner[:] = best
    path = np.empty(len(seen), np.intp)
    state = int(inner.argmax()) if len(seen) else 0
    for i in range(len(seen) - 1, -1, -1):
        path[i] = state
        state = int(came[i].flat[state])
    return path
