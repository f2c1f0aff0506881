"""The script of an artificial video, and the labels that follow from it.

A subject goes through events of some seconds, each an expression that grows, stays and fades,
while the voice wanders up and down, soft and loud, through phrases and pauses. Face and voice
know nothing of each other. Each label is a function of what is rendered in the same frame, see
:data:`LABELS`, so that valence and arousal need the face and the voice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.datasets.synth.face import ACTIONS
from avaffect.datasets.synth.voice import CONTROL_RATE, Floats, Speech
from avaffect.labels import ACTION_UNITS, EXPRESSIONS

THRESHOLD = 0.25
"""An action at least this strong shows."""

LABELS = {
    "valence": "clip(0.6 * (smile - max(brow_lower, lip_down, lip_raise)) + 0.4 * pitch, -1, 1)",
    "arousal": "clip(0.45 * (brow_raise + open_mouth) + 0.7 * energy - 0.25, -1, 1)",
    "expression": (
        f"of the actions that are at least {THRESHOLD}: none: Neutral; smile without any of "
        "brow_lower, lip_down and lip_raise: Happiness; and without a smile: lip_raise: Disgust; "
        "brow_raise and open_mouth and lip_down: Fear; brow_raise and open_mouth and not "
        "brow_lower: Surprise; lip_down and not open_mouth: Sadness; brow_lower alone: Anger; "
        "all else: Other"
    ),
    "AU1": "brow_raise >= 0.3",
    "AU2": "brow_raise >= 0.3",
    "AU4": "brow_lower >= 0.3",
    "AU6": "smile >= 0.6",
    "AU7": "brow_lower >= 0.6",
    "AU10": "lip_raise >= 0.3",
    "AU12": "smile >= 0.3",
    "AU15": "lip_down >= 0.3",
    "AU23": "0: cannot be drawn",
    "AU24": "0: cannot be drawn",
    "AU25": "open_mouth >= 0.2 or smile >= 0.5 or lip_raise >= 0.5",
    "AU26": "open_mouth >= 0.5",
}
"""How each label comes about; ``pitch`` (-1..1) and ``energy`` (0..1) are 0 in a pause."""

# How often each expression is the next event. Frames of the true EXPR set: 30.0, 2.7, 1.9, 2.0,
# 14.8, 12.1, 4.9, 31.7 %; Neutral comes in between the others anyway.
_SHARES = (0.225, 0.031, 0.02, 0.021, 0.163, 0.135, 0.06, 0.345)
_EVENT_SECONDS = (1.4, 3.2)
_RAMP_SECONDS = 0.3
_DECK = 60

# What the actions (in the order of ACTIONS) do in each expression.
_EVENTS: tuple[tuple[tuple[float, ...], ...], ...] = (
    ((0, 0, 0, 0, 0, 0),),
    ((0, 0, 0, 1, 0, 0),),
    ((0, 0, 0, 0.5, 0, 1),),
    ((0, 0.9, 0.8, 0, 0.8, 0),),
    ((1, 0, 0, 0, 0, 0), (1, 0, 0.5, 0, 0, 0), (0.8, 0.6, 0, 0, 0, 0)),
    ((0, 0, 0, 0, 1, 0), (0, 0, 0, 0.5, 1, 0)),
    ((0, 1, 1, 0, 0, 0),),
    ((0, 1, 0, 0, 0, 0), (0, 0, 1, 0, 0, 0), (0.8, 0, 0, 0.8, 0, 0), (0, 0.6, 0.9, 0.7, 0, 0)),
)


@dataclass(frozen=True, eq=False)
class Labels:
    """Labels of N frames, all valid.

    Attributes:
        va: float64 [N, 2] in [-1, 1].
        expr: int64 [N], 0..7.
        au: int64 [N, 12] of 0 and 1.
    """

    va: NDArray[np.float64]
    expr: NDArray[np.int64]
    au: NDArray[np.int64]


def label(actions: Floats, pitch: Floats, energy: Floats) -> Labels:
    """The labels of N frames, as :data:`LABELS` sets them.

    Args:
        actions: float [N, 6] in 0..1, columns as :data:`ACTIONS`.
        pitch: float [N], -1..1, 0 in a pause and without sound.
        energy: float [N], 0..1, 0 in a pause and without sound.
    """
    smile, brow_raise, open_mouth, brow_lower, lip_down, lip_raise = actions.T
    frown = np.max([brow_lower, lip_down, lip_raise], axis=0)
    valence = 0.6 * (smile - frown) + 0.4 * pitch
    arousal = 0.45 * (brow_raise + open_mouth) + 0.7 * energy - 0.25
    units = {
        "AU1": brow_raise >= 0.3,
        "AU2": brow_raise >= 0.3,
        "AU4": brow_lower >= 0.3,
        "AU6": smile >= 0.6,
        "AU7": brow_lower >= 0.6,
        "AU10": lip_raise >= 0.3,
        "AU12": smile >= 0.3,
        "AU15": lip_down >= 0.3,
        "AU25": (open_mouth >= 0.2) | (smile >= 0.5) | (lip_raise >= 0.5),
        "AU26": open_mouth >= 0.5,
    }
    absent = np.zeros(len(actions), bool)
    return Labels(
        va=np.clip(np.column_stack([valence, arousal]), -1, 1),
        expr=_expressions(actions),
        au=np.column_stack([units.get(name, absent) for name in ACTION_UNITS]).astype(np.int64),
    )


def _expressions(actions: Floats) -> NDArray[np.int64]:
    smile, brow_raise, open_mouth, brow_lower, lip_down, lip_raise = actions.T >= THRESHOLD
    # The first that holds counts.
    rules = {
        "Neutral": ~(actions >= THRESHOLD).any(axis=1),
        "Happiness": smile & ~(brow_lower | lip_down | lip_raise),
        "Disgust": ~smile & lip_raise,
        "Fear": ~smile & brow_raise & open_mouth & lip_down,
        "Surprise": ~smile & brow_raise & open_mouth & ~brow_lower,
        "Sadness": ~smile & lip_down & ~open_mouth,
        "Anger": ~smile & brow_lower & ~(brow_raise | open_mouth | lip_down),
    }
    classes = [EXPRESSIONS.index(name) for name in rules]
    return np.select(list(rules.values()), classes, EXPRESSIONS.index("Other")).astype(np.int64)


def spread(rng: np.random.Generator, count: int, weights: Sequence[float]) -> NDArray[np.int64]:
    """``count`` draws from 0, 1, 2 ... by weight, as evenly as can be, in random order.

    Of an outcome of weight p there are ``count * p`` rounded up or down (systematic sampling),
    so that small sets have the statistics of large ones.
    """
    edges = np.cumsum(weights) / np.sum(weights)
    points = (np.arange(count) + rng.random()) / count
    return rng.permutation(np.minimum(np.searchsorted(edges, points, "right"), len(edges) - 1))


def expression_events(rng: np.random.Generator) -> Iterator[int]:
    """Endless expressions, as often as in the true set."""
    while True:
        yield from spread(rng, _DECK, _SHARES).tolist()


def random_actions(rng: np.random.Generator, seconds: float, events: Iterator[int]) -> Floats:
    """The actions of a face: float64 [K, 6] in 0..1, ``CONTROL_RATE`` rows a second.

    Args:
        rng: the source of chance.
        seconds: how long.
        events: expressions to show, one after the other.
    """
    times = control_times(seconds)
    actions = np.zeros((len(times), len(ACTIONS)))
    start = -rng.uniform(0, _EVENT_SECONDS[0])  # a video begins in the midst of something
    while start < seconds:
        end = start + rng.uniform(*_EVENT_SECONDS)
        kinds = _EVENTS[next(events)]
        kind = kinds[rng.integers(len(kinds))]
        ramps = (start, start + _RAMP_SECONDS, end - _RAMP_SECONDS, end)
        shape = np.interp(times, ramps, (0.0, 1.0, 1.0, 0.0))
        strength = rng.uniform(0.6, 1.0) * (1 + 0.12 * wander(rng, seconds, 0.5))
        actions += (shape * shape * (3 - 2 * shape) * strength)[:, None] * np.array(kind)
        start = end
    for column in range(len(ACTIONS)):
        actions[:, column] += 0.04 * np.abs(wander(rng, seconds, 0.4))
    return np.clip(actions, 0, 1)


def random_speech(rng: np.random.Generator, seconds: float) -> Speech:
    """The speech in a video of some seconds."""
    times = control_times(seconds)
    speaking = np.zeros(len(times))
    start = -rng.uniform(0, 2)
    while start < seconds:
        end = start + rng.uniform(1.5, 4.0)
        speaking += np.interp(times, (start, start + 0.12, end - 0.12, end), (0, 1, 1, 0))
        start = end + rng.uniform(0.3, 0.9)
    pitch = np.tanh(1.3 * wander(rng, seconds, 1.2))
    energy = 0.5 + 0.5 * np.tanh(1.3 * wander(rng, seconds, 1.2))
    return Speech(pitch, energy, speaking)


def control_times(seconds: float) -> Floats:
    """Seconds at which actions and speech have values, up to the first behind the end."""
    return np.arange(int(np.ceil(seconds * CONTROL_RATE)) + 1) / CONTROL_RATE


def wander(rng: np.random.Generator, seconds: float, slowness: float) -> Floats:
    """A smooth random walk about 0 with a spread of 1: float64 [K].

    Args:
        rng: the source of chance.
        seconds: how long; K is the length of :func:`control_times`.
        slowness: seconds in which it goes from one value to another.
    """
    width = 0.5 * slowness * CONTROL_RATE
    margin = int(4 * width)
    noise = rng.standard_normal(len(control_times(seconds)) + 2 * margin)
    smooth = smoothed(noise, width)[margin : len(noise) - margin]
    return smooth * np.sqrt(2 * np.sqrt(np.pi) * width)


def smoothed(values: Floats, deviation: float) -> Floats:
    """``values`` [N] under a Gaussian, bit for bit as ``scipy.ndimage.gaussian_filter1d``.

    Args:
        values: reflected at both ends.
        deviation: of the Gaussian, in values; it ends after four of them.
    """
    radius = int(4 * deviation + 0.5)
    away = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 / (deviation * deviation) * away**2)
    weights /= weights.sum()
    count = len(values)
    wide = np.pad(values, radius, mode="symmetric")
    out = wide[radius : radius + count] * weights[radius]
    for at in range(radius):
        left, right = wide[at : at + count], wide[2 * radius - at : 2 * radius - at + count]
        out += (left + right) * weights[at]
    return out
