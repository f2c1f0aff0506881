"""Valence and arousal from the probabilities of expressions.

A regression on human ratings: 25 people gave each of 1,600 AffectNet pictures an expression, a
valence and an arousal. ``training/fit_starter_va.py`` fits it and writes ``starter_va.json``,
which holds the coefficients and the cross-validated error.

The scale is the raters': a calm, neutral face has valence 0 and arousal -0.5, not 0.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.faces.face import require_shape
from avaffect.files.editions import EXPRESSIONS

COEFFICIENTS = Path(__file__).with_name("starter_va.json")
FEATURES = (*EXPRESSIONS, "sqrt(Neutral)")


def features(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """What the regression is linear in: the probabilities and the root of Neutral's.

    The root is there for arousal, since even a few votes for Neutral go with a much lower one.
    Valence does without: there it gains 2 % and would let a smile's valence fall at its end.

    Args:
        probabilities: [N, 8] in the order of ``EXPRESSIONS``.

    Returns:
        float64 [N, 9] in the order of ``FEATURES``.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    require_shape("probabilities", values, (None, len(EXPRESSIONS)))
    return np.hstack([values, np.sqrt(values[:, :1])])


@cache
def _weights() -> NDArray[np.float64]:
    """float64 [9, 2] for valence and arousal."""
    table = json.loads(COEFFICIENTS.read_text(encoding="utf-8"))["coefficients"]
    return np.array(
        [[table[d].get(name, 0.0) for d in ("valence", "arousal")] for name in FEATURES]
    )


def va_from_expression(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Valence and arousal that raters would give a face with these expressions.

    Args:
        probabilities: [N, 8], rows sum to one or are NaN, in the order of ``EXPRESSIONS``.

    Returns:
        float32 [N, 2] in [-1, 1], NaN where the row is.
    """
    return np.clip(features(probabilities) @ _weights(), -1.0, 1.0).astype(np.float32)
