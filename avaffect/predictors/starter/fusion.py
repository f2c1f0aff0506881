"""Face and voice put together, frame by frame.

Both give each expression a probability. The probabilities are pooled by their logarithms, each
with a weight (Genest & Zidek, Statistical Science 1986): an unsure prediction is flat and hardly
counts, whatever its weight. Valence and arousal are weighted means. The weights are set on
RAVDESS by ``starter_training/fusion.py``, with speech in noise, rooms and codecs, and lie in
``starter1_fusion.json`` and ``starter2_fusion.json``. Where one of the two is silent, the other
speaks alone.

A voice net of acted speech seldom hears Neutral in a voice that it does not know, and people in
conversation mostly are. Beside a face Neutral gains what that makes up (``Weights.neutral``). A
class that the voice has no word for keeps what the face gives it.

What a voice net makes of a language that it never heard may be worth less than it says. starter-2
divides it by the temperature that makes it right as often as it says on corpora that were left
out, before all else: of a voice alone too. That of its own voice net is nearly 1.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord, require_shape
from avaffect.errors import UsageError
from avaffect.labels import EXPRESSIONS

Values = NDArray[np.float32]

# Predictions this sure are sure enough: an outright zero would be a veto.
FLOOR = 1e-4
_NEUTRAL = EXPRESSIONS.index("Neutral")


@dataclass(frozen=True)
class Weights:
    """How much face and voice count where both speak.

    Attributes:
        face, voice: powers of the two predictions of expressions; they need not sum to one,
            since two that agree may be surer than either.
        valence, arousal: the voice's share, 0..1; the rest is the face's.
        temperature: what the logarithms of the voice's probabilities are divided by; above 1 they
            become less sure.
        neutral: nats that Neutral gains where both speak.
    """

    face: float
    voice: float
    valence: float
    arousal: float
    temperature: float = 1.0
    neutral: float = 0.0

    def __post_init__(self) -> None:
        if min(self.face, self.voice) < 0 or self.face + self.voice <= 0:
            raise UsageError("powers must not be negative, nor both zero")
        if not (0 <= self.valence <= 1 and 0 <= self.arousal <= 1):
            raise UsageError("shares must lie between 0 and 1")
        if not self.temperature > 0:
            raise UsageError("the temperature must be above 0")
        if not math.isfinite(self.neutral):
            raise UsageError("what Neutral gains must be a number")


def weights_path(model: str) -> Path:
    """The file of a model's weights."""
    return Path(__file__).with_name(f"{model}_fusion.json")


@cache
def weights(model: str) -> Weights:
    """Those that a model uses: ``starter1`` or ``starter2``."""
    table = json.loads(weights_path(model).read_text(encoding="utf-8"))
    return Weights(**table["weights"])


@dataclass(frozen=True, eq=False, repr=False)
class Trust(ArrayRecord):
    """How much of their weight face and voice keep beside each other, frame by frame.

    Attributes:
        face: float32 [N] in 0..1, less where the face is turned away or hardly seen.
        voice: float32 [N] in 0..1, less where the voice may be another person's.
    """

    face: Values
    voice: Values

    def __post_init__(self) -> None:
        require_shape("face", self.face, (None,))
        require_shape("voice", self.voice, (len(self.face),))


def softened(voice: Values, by: Weights) -> Values:
    """The voice's probabilities [N, 8] divided by the temperature as logarithms; NaN stays NaN."""
    if by.temperature == 1:
        return voice
    powers = np.power(voice.astype(np.float64), 1 / by.temperature)
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def pool(face: Values, voice: Values, trust: Trust, by: Weights) -> Values:
    """Expression probabilities of both together.

    Args:
        face: [N, 8] in the order of ``EXPRESSIONS``, NaN rows where there is none.
        voice: the same of the voice.
        trust: how much of their weights they keep.
        by: the weights.

    Returns:
        float32 [N, 8], rows that sum to one; NaN where both are silent. A class of which the
        voice knows nothing (its probability is 0) keeps the face's, as far as that is trusted.
    """
    _check(face, voice, trust)
    seen, heard = (~np.isnan(values[:, 0]) for values in (face, voice))
    mixed = np.where(seen[:, None], face, voice).astype(np.float64)
    both = seen & heard
    named = voice[both] > 0
    heeded = trust.voice[both, None]
    # Beside a voice that does not count, the face speaks as if alone: with power one.
    trusted = np.where(heeded > 0, trust.face[both, None], 1)
    power = (1 + (by.face - 1) * heeded) * trusted
    logs = power * np.log(np.maximum(face[both], FLOOR))
    logs += by.voice * heeded * np.log(np.maximum(voice[both], FLOOR))
    logs[:, _NEUTRAL] += by.neutral * heeded[:, 0]
    odds = np.exp(logs - logs.max(axis=1, keepdims=True)) * named
    kept = np.where(named, 0, face[both] * trusted)
    rest = 1 - kept.sum(axis=1, keepdims=True)
    mixed[both] = kept + odds * rest / odds.sum(axis=1, keepdims=True)
    return mixed.astype(np.float32)


def blend(face: Values, voice: Values, trust: Trust, by: Weights) -> Values:
    """Valence and arousal of both together: weighted means.

    Args:
        face: [N, 2, ...], values or intervals, NaN rows where there is none.
        voice: the same of the voice.
        trust: how much of their weights they keep.
        by: the weights.

    Returns:
        float32, shaped like ``face``. Of intervals, the ends are averaged: as if face and voice
        erred together, which is the cautious case.
    """
    flat_face, flat_voice = (values.reshape(len(values), -1) for values in (face, voice))
    seen, heard = (~np.isnan(values[:, 0]) for values in (flat_face, flat_voice))
    shares = np.array([by.valence, by.arousal]) * trust.voice[:, None]
    # [N, 2], the voice's part of what both have.
    rest = (1 - shares) * np.where(trust.voice > 0, trust.face, 1)[:, None]
    part = shares / np.maximum(shares + rest, np.finfo(float).tiny)
    part = np.where((seen & heard)[:, None], part, np.where(seen, 0.0, 1.0)[:, None])
    part = part.reshape(len(face), 2, *[1] * (face.ndim - 2))
    mixed = np.where(part == 0, face, np.where(part == 1, voice, face + part * (voice - face)))
    return mixed.astype(np.float32)


def _check(face: Values, voice: Values, trust: Trust) -> None:
    frames = len(face)
    require_shape("face", face, (None, len(EXPRESSIONS)))
    require_shape("voice", voice, (frames, len(EXPRESSIONS)))
    require_shape("trust", trust.face, (frames,))
