"""Votes and averages of several models' predictions for the same frames.

Sources: the meta-classifier of the expression challenge and the second treatment of its class 7
are of Wang et al. (USTC, ABAW5; sections 3.4.2 and 3.2); that two of four models make a unit
present is of Nguyen et al. (ABAW3).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import require_shape
from avaffect.errors import UsageError
from avaffect.labels import EXPRESSIONS, OTHER

# Disgust, Fear, Sadness, Anger: the rarer of two goes first.
PRIORITY = (2, 3, 5, 1)
NOBODY = -1


def predicted_classes(probabilities: NDArray[np.floating]) -> NDArray[np.int64]:
    """int64 [...], the likeliest class of each row [..., C]; -1 where a row has a NaN."""
    missing = np.isnan(probabilities).any(axis=-1)
    likeliest = np.nan_to_num(probabilities).argmax(axis=-1)
    return np.where(missing, NOBODY, likeliest).astype(np.int64)


def certain(classes: NDArray[np.integer]) -> NDArray[np.float64]:
    """[N, 8], probability 1 for the class of each frame, NaN rows for -1."""
    sure = np.eye(len(EXPRESSIONS))[classes]
    sure[classes == NOBODY] = np.nan
    return sure


def meta_classifier(
    votes: NDArray[np.integer],
    probabilities: NDArray[np.floating] | None = None,
    priority: Sequence[int] = PRIORITY,
) -> NDArray[np.int64]:
    """Vote as in Wang et al. (ABAW5): a rare class wins with one vote, else the majority wins.

    1. Of the classes of ``priority`` that at least one sub-classifier predicts, the first wins.
    2. Where nobody predicts any of them, the class with most votes wins.
    3. The paper does not say what becomes of a tie: here the tied class wins that has the higher
       mean probability, and where these are the same, or not given, the lower number.

    Args:
        votes: int [M, N], the predictions of M sub-classifiers for N frames: a class 0..7, or -1
            for none, which does not count.
        probabilities: float [M, N, 8] for ties; NaN rows do not count. None without.
        priority: classes, the first goes first. Empty leaves the majority alone.

    Returns:
        int64 [N], a class, or -1 where nobody has a prediction.

    Raises:
        UsageError: shapes that do not go together, or a class that does not exist.
    """
    classes = len(EXPRESSIONS)
    require_shape("votes", votes, (None, None))
    if votes.size and not (votes.min() >= NOBODY and votes.max() < classes):
        raise UsageError(f"votes must lie between {NOBODY} and {classes - 1}")
    if not all(0 <= rare < classes for rare in priority):
        raise UsageError(f"priority must name classes from 0 to {classes - 1}")
    counts = np.stack([(votes == number).sum(axis=0) for number in range(classes)], axis=1)
    tied = counts == counts.max(axis=1, keepdims=True)
    if probabilities is None:
        winner = tied.argmax(axis=1)
    else:
        require_shape("probabilities", probabilities, (*votes.shape, classes))
        # The first of equal ones is the one with the lowest number.
        likely = np.nan_to_num(average(probabilities, np.ones(len(votes))))
        winner = np.where(tied, likely, -1.0).argmax(axis=1)
    for rare in reversed(priority):
        winner[counts[:, rare] > 0] = rare
    winner[~counts.any(axis=1)] = NOBODY
    return winner.astype(np.int64)


def units_vote(votes: NDArray[np.integer], at_least: int) -> NDArray[np.int64]:
    """A unit is present if at least so many models predict it (Nguyen et al., ABAW3: 2 of 4).

    Models without a prediction do not count. Where fewer than ``at_least`` have one, all of those
    must predict it: otherwise a frame that a single model has seen could never be positive.

    Args:
        votes: int [M, N, U] of 1, 0, and -1 for no prediction.
        at_least: from 1 to M.

    Returns:
        int64 [N, U] of 1, 0, and -1 where nobody has a prediction.

    Raises:
        UsageError: another shape or value.
    """
    require_shape("votes", votes, (None, None, None))
    if not np.isin(votes, (NOBODY, 0, 1)).all():
        raise UsageError("votes must be 0, 1 or -1")
    if not 1 <= at_least <= len(votes):
        raise UsageError(f"at_least must lie between 1 and {len(votes)}, and is {at_least}")
    voted = (votes != NOBODY).sum(axis=0)
    enough = (votes == 1).sum(axis=0) >= np.minimum(at_least, voted)
    return np.where(voted == 0, NOBODY, enough).astype(np.int64)


def average(values: NDArray[np.floating], weights: NDArray[np.floating]) -> NDArray[np.float64]:
    """The weighted mean over those models that have a value, cell by cell.

    Args:
        values: [M, N, ...] of M models, NaN for none.
        weights: [M], positive.

    Returns:
        float64 [N, ...], NaN where no model has a value.

    Raises:
        UsageError: another shape, or a weight that is not positive.
    """
    require_shape("weights", weights, (len(values),))
    if not (np.isfinite(weights) & (weights > 0)).all():
        raise UsageError("weights must be positive")
    values = np.asarray(values, np.float64)
    known = ~np.isnan(values)
    each = np.asarray(weights, np.float64).reshape(-1, *[1] * (values.ndim - 1)) * known
    total = each.sum(axis=0)
    mean = (each * np.where(known, values, 0)).sum(axis=0) / np.where(total > 0, total, 1)
    return np.where(total > 0, mean, np.nan)


def threshold_other(probabilities: NDArray[np.floating], threshold: float) -> NDArray[np.int64]:
    """Classes of a model that was trained without Other: it is what none of the seven is likely.

    Source: Wang et al. (ABAW5), second treatment of class 7 (section 3.2).

    Args:
        probabilities: [N, 7], or [N, 8] of which the last, Other, is not looked at.
        threshold: 0..1; a frame whose largest probability of the seven is below it is Other.

    Returns:
        int64 [N], 0..7, or -1 where a row is NaN.

    Raises:
        UsageError: another shape or threshold.
    """
    if probabilities.ndim != 2 or probabilities.shape[1] not in (OTHER, OTHER + 1):
        raise UsageError(f"probabilities {probabilities.shape} are not [N, 7] or [N, 8]")
    if not 0 <= threshold <= 1:
        raise UsageError(f"the threshold must lie between 0 and 1, and is {threshold:g}")
    seven = probabilities[:, :OTHER]
    missing = np.isnan(seven).any(axis=1)
    known = np.where(missing[:, None], 0, seven)
    found = np.where(known.max(axis=1) < threshold, OTHER, known.argmax(axis=1))
    return np.where(missing, NOBODY, found).astype(np.int64)
