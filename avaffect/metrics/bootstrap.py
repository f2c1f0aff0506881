"""How sure a score is: bootstrap over videos (Efron 1979; percentile interval)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import edition_named
from avaffect.metrics.tallies import Tally, score

RESAMPLES = 2000
# Of fewer videos no interval and no p are given: draws of them with repetition are too much alike,
# so that an interval of 95 % holds the score of new videos far less often than that.
MIN_VIDEOS = 10
CONFIDENCE = 0.95


def resampled(
    tallies: Tally, task: str, edition: str, resamples: int, seed: int
) -> NDArray[np.float64]:
    """float64 [resamples], the official score of videos drawn with repetition.

    Args:
        tallies: float64 [V, S], a row a video.
        task: ``va``, ``expr``, ``au`` or ``mtl``.
        edition: whose score.
        resamples: how many draws.
        seed: of the draws: the same videos are drawn for the same seed.
    """
    chosen = edition_named(edition)
    return resampled_by(tallies, lambda sums: score(sums, task, chosen)[0], resamples, seed)


def resampled_by(
    tallies: Tally, scored: Callable[[Tally], float], resamples: int, seed: int
) -> NDArray[np.float64]:
    """As :func:`resampled`, by any score of a tally."""
    rng = np.random.default_rng(seed)
    videos = len(tallies)
    draws = rng.multinomial(videos, np.full(videos, 1 / videos), size=resamples)
    return np.array([scored(sums) for sums in draws @ tallies])


def interval(scores: NDArray[np.float64]) -> tuple[float, float]:
    """The central 95 % of bootstrap scores; NaN if none is known."""
    known = scores[np.isfinite(scores)]
    if not known.size:
        return float("nan"), float("nan")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)
