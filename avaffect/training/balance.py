"""Weights against unbalanced labels: of classes, units, values and windows.

Labels are coded as in :class:`avaffect.datasets.clip.Clip`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avaffect.arrays import ArrayRecord
from avaffect.errors import UsageError
from avaffect.recipes.training import Loss
from avaffect.tasks.kinds import Values
from avaffect.tasks.registry import TASKS, task_named

Floats = NDArray[np.float32]
Labels = NDArray[Any]
Mode = Literal["inverse", "sqrt_inverse"]
Balance = Literal["inverse", "sqrt_inverse", "frequency"]

UNIT_LIMIT = 100.0
"""Positive weights of action units stay between this and its inverse."""

# Yang's code bounds the counts by 5 and 1000, in a data set (AgeDB) with some 100 samples a bin.
# As bounds relative to the mean bin they mean the same for any number of frames; in frames they
# would bring almost every bin of Aff-Wild2 (84,000 a bin) to 1000, that is, weight nothing.
_LDS_LIMITS = (0.05, 10.0)


@dataclass(frozen=True, eq=False, repr=False)
class LabelWeights(ArrayRecord):
    """The weights in a task's loss; None weights alike.

    Attributes:
        classes: float32 [C], of each expression, mean 1 over those that occur.
        units: float32 [U], of each action unit's positive cells; a negative cell has 1.
        bins: float32 [V, bins], of each dimension's values by bin (see :func:`bin_edges`), mean 1
            over the frames.
    """

    classes: Floats | None = None
    units: Floats | None = None
    bins: Floats | None = None


def label_weights(task: str, config: Loss, labels: Iterable[Labels], width: int) -> LabelWeights:
    """The weights that a loss asks for by ``balance`` (EXPR, AU) and ``lds`` (VA).

    Args:
        task: ``va``, ``expr`` or ``au``.
        config: the task's loss.
        labels: of each training clip; read once, and only if a weight is asked for.
        width: how many dimensions, classes or units there are.

    Raises:
        UsageError: ``balance`` for VA, or ``lds`` for another task.
    """
    ours = task_named(task)
    regression = isinstance(ours, Values)
    if regression and config.balance != "none":
        raise UsageError(
            f"{' and '.join(ours.targets)} have no classes to balance",
            "set 'lds' (label distribution smoothing) instead of 'balance'",
        )
    if not regression and config.lds != "none":
        fitting = " or ".join(
            f"'{name}'" for name, kind in TASKS.items() if isinstance(kind, Values)
        )
        raise UsageError(
            f"label distribution smoothing is for {fitting}, not '{task}'",
            "set 'balance' instead of 'lds'",
        )
    if config.lds == config.balance == "none":
        return LabelWeights()
    per_clip = [label_counts(task, each, width, config.lds_bins) for each in labels]
    if not per_clip:
        return LabelWeights()
    counts = np.sum(per_clip, axis=0)
    if config.lds != "none":
        kernel, sigma = config.lds_kernel, config.lds_sigma
        weights = [lds_weights(row, config.lds, kernel, sigma) for row in counts]
        return LabelWeights(bins=np.stack(weights))
    if config.balance != "none" and ours.flat:
        return LabelWeights(classes=class_weights(counts, config.balance))
    if config.balance != "none":
        return LabelWeights(units=unit_weights(counts, config.balance))
    return LabelWeights()


def label_counts(task: str, labels: Labels, width: int, bins: int = 20) -> NDArray[np.int64]:
    """Count the valid labels of a clip or window.

    Args:
        task: ``va``, ``expr`` or ``au``.
        labels: of N frames, coded as in a clip.
        width: how many dimensions, classes or units there are.
        bins: of each dimension of ``va``.

    Returns:
        int64: ``expr`` [C]; ``au`` [U, 2], negatives and positives; ``va`` [V, bins].
    """
    ours = task_named(task)
    if ours.flat:
        return np.bincount(labels[ours.known(labels)], minlength=width).astype(np.int64)
    if not isinstance(ours, Values):
        return np.stack([(labels == 0).sum(0), (labels == 1).sum(0)], axis=1).astype(np.int64)
    valid = ours.known(labels)
    edges = bin_edges(bins, ours.low, ours.high)
    bin_of = np.searchsorted(edges[1:-1], labels, side="right")
    bin_of += np.arange(width) * bins
    return np.bincount(bin_of[valid], minlength=width * bins).reshape(width, bins).astype(np.int64)


def bin_edges(bins: int, low: float = -1.0, high: float = 1.0) -> Floats:
    """float32 [bins + 1], equal bins over the range of a task; a bin includes its lower edge."""
    return np.linspace(low, high, bins + 1, dtype=np.float32)


def class_weights(counts: ArrayLike, mode: Balance) -> Floats:
    """Weights of classes, one over their count (or its root), mean 1 over those that occur.

    A class that does not occur weighs 1, as the mean does: training never meets it, and the loss
    of validation frames should not hang on a class that nothing is known of.

    Args:
        counts: [C], not negative.
        mode: ``inverse`` (``frequency`` is the same for classes) or ``sqrt_inverse``.

    Returns:
        float32 [C].
    """
    counts = np.asarray(counts, np.float64)
    occurs = counts > 0
    weights = np.ones_like(counts)
    if occurs.any():
        inverse = 1 / _rooted(counts[occurs], mode)
        weights[occurs] = inverse / inverse.mean()
    return weights.astype(np.float32)


def unit_weights(counts: ArrayLike, mode: Balance) -> Floats:
    """Weights of units' positive cells.

    ``inverse`` is negatives over positives (``sqrt_inverse`` its root), which makes both sides of
    a unit weigh alike: with it alone the best constant is .5, and anything that favours positive
    cells beside it (``alpha`` of the focal loss above .5) says "present" of every unit.
    ``frequency`` is one over how often a unit is present, brought to a mean of 1 over the units:
    it weighs units against each other and leaves the two sides of a unit to ``alpha`` (the
    "weighted loss" of Nguyen et al., ABAW3, whose vector has a mean of 1.09).

    Bounded by ``UNIT_LIMIT``, lest a few frames rule the loss; 1 for a unit that is always, or
    never, active.

    Args:
        counts: [U, 2], negatives and positives, not negative.
        mode: ``inverse``, ``sqrt_inverse`` or ``frequency``.

    Returns:
        float32 [U].
    """
    negatives, positives = np.asarray(counts, np.float64).T
    varies = (negatives > 0) & (positives > 0)
    if mode == "frequency":
        weights = np.ones_like(positives)
        if varies.any():
            rarity = (negatives + positives)[varies] / positives[varies]
            weights[varies] = rarity / rarity.mean()
        return np.clip(weights, 1 / UNIT_LIMIT, UNIT_LIMIT).astype(np.float32)
    ratio = np.divide(negatives, positives, out=np.ones_like(negatives), where=varies)
    return np.clip(_rooted(ratio, mode), 1 / UNIT_LIMIT, UNIT_LIMIT).astype(np.float32)


def lds_weights(counts: ArrayLike, mode: Mode, kernel: int, sigma: float) -> Floats:
    """Label distribution smoothing: weights of values by the smoothed density of their bin.

    Yang et al., Delving into Deep Imbalanced Regression (ICML 2021), section 3.1, as in its code
    (github.com/YyzHarry/imbalanced-regression): the counts are bounded (``inverse``; here relative
    to the mean bin, see ``_LDS_LIMITS``) or their root is taken (``sqrt_inverse``), and then
    smoothed; a weight is one over that density.

    Args:
        counts: [bins], not negative.
        mode: ``inverse`` or ``sqrt_inverse``.
        kernel: bins of the Gaussian window, odd.
        sigma: its deviation in bins.

    Returns:
        float32 [bins], mean 1 over the counted frames; all 1 without any.
    """
    from scipy.ndimage import convolve1d, gaussian_filter1d

    counts = np.asarray(counts, np.float64)
    total = counts.sum()
    if not total:
        return np.ones(len(counts), np.float32)
    if mode == "inverse":
        low, high = np.multiply(_LDS_LIMITS, counts.mean())
        density = np.clip(counts, low, high)
    else:
        density = np.sqrt(counts)
    window = gaussian_filter1d(np.eye(1, kernel, kernel // 2)[0], sigma)
    density = convolve1d(density, window / window.max(), mode="constant")
    # An empty bin, which only validation may meet, weighs at most what one frame would.
    weights = 1 / np.maximum(density, 1)
    return (weights * (total / (weights * counts).sum())).astype(np.float32)


def window_weights(counts: ArrayLike) -> NDArray[np.float64]:
    """Chances to draw each window so that classes occur about alike.

    A window's chance is proportional to the mean, over its valid labels, of one over how often
    their class occurs. Classes then occur exactly alike if each window holds only one (and all
    hold as many labels), and closer to alike than in the data if not.

    Args:
        counts: [W, ...], the :func:`label_counts` of each window, of several tasks one after the
            other.

    Returns:
        float64 [W] of sum 1; 0 for a window without a valid label.

    Raises:
        UsageError: no window has a valid label.
    """
    counts = np.asarray(counts, np.float64)
    counts = counts.reshape(len(counts), -1)
    per_class, per_window = counts.sum(0), counts.sum(1)
    if not per_window.any():
        raise UsageError(
            "no window has a label to balance by", "set train.sampling to 'shuffle', or add labels"
        )
    inverse = np.divide(1, per_class, out=np.zeros_like(per_class), where=per_class > 0)
    rarity = counts @ inverse
    chances = np.divide(rarity, per_window, out=np.zeros_like(rarity), where=per_window > 0)
    return np.asarray(chances / chances.sum())


def _rooted(values: NDArray[np.float64], mode: Balance) -> NDArray[np.float64]:
    return np.sqrt(values) if mode == "sqrt_inverse" else values
