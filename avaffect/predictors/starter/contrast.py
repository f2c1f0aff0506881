"""How far a clip shows a subject at rest and otherwise, and what follows where it does not.

Who frowns all through a clip has the calmest frames of a frowner: nothing tells that frown from a
stern face at rest. So what a net says of a subject at rest (``resting``) is taken off only as far
as the subject was also seen to do something else, for some seconds. Lips that part and jaws that
drop do not count, since they do in speech.

One thing can be told without contrast: whether lips and cheeks smile is plain to see. Where
nothing of a face moves, Happiness is a friendly look, and gives way to Neutral.

``starter_training/film_rules.py`` measures both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import require_shape
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.predictors.starter.resting import ACTIVE, Values

# Units that speech moves, or that blendshapes hardly see.
QUIET = ("AU23", "AU24", "AU25", "AU26")
# So many seconds of clear activity count half.
PRIOR_SECONDS = 1.0
# What a friendly look may lose to Neutral: above these odds (their logarithm) it is a smile that
# the blendshapes missed.
FRIENDLY = 5.0
NEUTRAL, HAPPINESS = EXPRESSIONS.index("Neutral"), EXPRESSIONS.index("Happiness")
_FLOOR = 1e-6
_STIRRING = [at for at, name in enumerate(ACTION_UNITS) if name not in QUIET]


def contrast(active: Values, seconds: NDArray[np.floating]) -> float:
    """How much of a subject was seen beside the rest, 0..1.

    Args:
        active: float32 [N, 12], activation of the action units, 0..1; NaN rows do not count.
        seconds: [N], how long each frame stands for.

    Returns:
        0 where no unit is ever clearly active (twice what ends the rest), .5 after a second of
        such activity, near 1 after many.
    """
    require_shape("active", active, (None, len(ACTION_UNITS)))
    require_shape("seconds", seconds, (len(active),))
    seen = ~np.isnan(active).any(axis=1)
    most = active[seen][:, _STIRRING].max(axis=1, initial=0)
    stirred = np.clip(most.astype(np.float64) / ACTIVE - 1, 0, 1)
    total = float(np.asarray(seconds, np.float64)[seen] @ stirred)
    return total / (total + PRIOR_SECONDS)


def calm(active: Values) -> Values:
    """float32 [N], 1 where no unit is active, 0 where one ends the rest or no face is seen."""
    require_shape("active", active, (None, len(ACTION_UNITS)))
    return np.nan_to_num(np.clip(2 - active.max(axis=1) / np.float32(ACTIVE / 2), 0, 1))


def less_friendly(probabilities: Values, nats: Values) -> Values:
    """float32 [N, 8], ``probabilities`` [N, 8] with Happiness giving way to Neutral.

    The logarithm of the odds between the two falls by ``nats`` [N]; no other expression changes.
    NaN rows stay NaN.
    """
    require_shape("probabilities", probabilities, (None, len(EXPRESSIONS)))
    require_shape("nats", nats, (len(probabilities),))
    out = probabilities.copy()
    happy, neutral = (np.maximum(out[:, at], _FLOOR) for at in (HAPPINESS, NEUTRAL))
    share = happy / (happy + neutral * np.exp(nats))
    both = out[:, HAPPINESS] + out[:, NEUTRAL]
    out[:, HAPPINESS], out[:, NEUTRAL] = both * share, both * (1 - share)
    return out
