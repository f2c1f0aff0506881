"""Whether probabilities match how often a class is right: temperature, error, reliability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import softmax
from avaffect.errors import UsageError, need

BINS = 15
# Temperatures outside are no calibration but a sign of a mistake.
_LOWEST, _HIGHEST = 0.05, 20.0


@dataclass(frozen=True)
class Bin:
    """Predictions of like confidence.

    Attributes:
        count: how many.
        confidence: their mean probability of the likeliest class, 0..1.
        accuracy: the share that is right, 0..1.
    """

    count: int
    confidence: float
    accuracy: float


def negative_log_likelihood(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    temperature: float = 1.0,
    weight: NDArray[np.floating] | None = None,
) -> float:
    """Mean surprise at the labels, in nats; each row counts by its ``weight`` [N]."""
    chosen = softmax(logits, temperature)[np.arange(len(labels)), labels]
    return float(np.average(-np.log(np.maximum(chosen, 1e-300)), weights=weight))


def fit_temperature(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    weight: NDArray[np.floating] | None = None,
) -> float:
    """The temperature that makes the labels likeliest (Guo et al., ICML 2017).

    Args:
        logits: [N, K].
        labels: int [N], 0..K-1.
        weight: [N], how much each row counts; None for all the same.

    Returns:
        Above 1 for a net that is too sure of itself.
    """
    need("train", "scipy", purpose="a fitted temperature")
    from scipy.optimize import minimize_scalar

    _check(logits, labels)
    found = minimize_scalar(
        lambda log: negative_log_likelihood(logits, labels, float(np.exp(log)), weight),
        bounds=(np.log(_LOWEST), np.log(_HIGHEST)),
        method="bounded",
    )
    return float(np.exp(found.x))


def reliability(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], bins: int = BINS
) -> list[Bin]:
    """Bins of equal width over the confidence, those that hold any; for a reliability diagram."""
    _check(probabilities, labels)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    number = np.minimum((confidence * bins).astype(int), bins - 1)
    return [
        Bin(int(held.sum()), float(confidence[held].mean()), float(right[held].mean()))
        for held in (number == index for index in range(bins))
        if held.any()
    ]


def expected_calibration_error(
    logits: NDArray[np.floating],
    labels: NDArray[np.integer],
    temperature: float = 1.0,
    bins: int = BINS,
) -> float:
    """`calibration_error` of logits [N, K] at a temperature."""
    return calibration_error(softmax(logits, temperature), labels, bins)


def calibration_error(
    probabilities: NDArray[np.floating], labels: NDArray[np.integer], bins: int = BINS
) -> float:
    """How far confidence and accuracy lie apart on average over the predictions, 0..1.

    The expected calibration error of Guo et al., ICML 2017.
    """
    found = reliability(probabilities, labels, bins)
    total = sum(each.count for each in found)
    return sum(each.count * abs(each.confidence - each.accuracy) for each in found) / total


def _check(values: NDArray[np.floating], labels: NDArray[np.integer]) -> None:
    if values.ndim != 2 or labels.shape != values.shape[:1]:
        raise UsageError(f"{values.shape} values and {labels.shape} labels do not go together")
    if not len(labels):
        raise UsageError("there is nothing to calibrate on")
