"""Join the predictions of several models for the same subject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import FormatError, UnknownNameError, UsageError
from avaffect.labels import ACTION_UNITS, AU_THRESHOLD, OTHER
from avaffect.predictions.missing import parts
from avaffect.predictions.prediction import Prediction
from avaffect.predictions.voting import (
    average,
    certain,
    meta_classifier,
    predicted_classes,
    threshold_other,
    units_vote,
)
from avaffect.tasks.kinds import Classes
from avaffect.tasks.registry import AU, EXPR, TASKS, VA

EXPRESSION_RULES = ("average", "vote")
# Clocks of two tables of one video differ by rounding alone.
_SAME_TIME = 1e-3
# Whose columns are known or not each by itself.
_BY_UNIT = (AU.name, "au_intensity")

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Blending:
    """How several models' predictions become one.

    Attributes:
        weights: of the models in averages, positive; empty for all the same. Votes all count
            the same.
        expression: ``average`` of the probabilities, or ``vote``: the meta-classifier of seed
            paper 001, see `voting.meta_classifier`.
        units: ``average`` of the probabilities, or ``vote:K``: present where at least K models
            predict it, see `voting.units_vote`. Where fewer than K predict units at all, all of
            them must.
        other_below: a frame whose largest probability of the seven other classes is below it is
            Other, see `voting.threshold_other`; None leaves Other to the models.

    Raises:
        UsageError: anything else.
    """

    weights: tuple[float, ...] = ()
    expression: str = "average"
    units: str = "average"
    other_below: float | None = None

    def __post_init__(self) -> None:
        if self.expression not in EXPRESSION_RULES:
            raise UnknownNameError("way to blend expressions", self.expression, EXPRESSION_RULES)
        if not all(0 < weight < float("inf") for weight in self.weights):
            raise UsageError(
                "a weight is not positive", "leave out the folders that shall not count"
            )
        if self.other_below is not None and not 0 < self.other_below <= 1:
            raise UsageError(
                f"{self.other_below:g} is no threshold of a probability",
                "choose more than 0 and at most 1",
            )
        kind, _, number = self.units.partition(":")
        if self.units != "average" and (kind != "vote" or not number.isdecimal()):
            raise UsageError(
                f"'{self.units}' is no way to blend action units",
                "write average, or vote:2 for units that at least two models call present",
            )

    @property
    def at_least(self) -> int | None:
        """How many models must call a unit present; None where probabilities are averaged."""
        return None if self.units == "average" else int(self.units.partition(":")[2])

    def require_fits(self, models: int) -> None:
        """Raise UsageError unless so many models can be blended like this."""
        if self.weights and len(self.weights) != models:
            raise UsageError(
                f"there are {len(self.weights)} weights for {models} models",
                "give one for each, in the same order",
            )
        if self.at_least is not None and not 1 <= self.at_least <= models:
            raise UsageError(
                f"{self.at_least} of {models} votes cannot be had",
                f"write vote:K with K from 1 to {models}",
            )


def blend(predictions: Sequence[Prediction], how: Blending | None = None) -> Prediction:
    """Join several models' predictions for a subject.

    A model counts in the tasks that it predicts, and in the frames where it has a value of its
    own: what only stands in for a missing one (``filled``, and nobody was heard either) does not
    count; `missing.fill` afterwards. Units count one by one: one that is hidden or unknown takes
    no other with it. Valence and arousal, and the classes, are whole rows or none.

    Averages keep probabilities and, if all that predict ``va`` say how sure they are, intervals
    (averaged as if the models' errors went together). Thresholds of units are averaged too, so
    that the mean distance from them decides. A vote leaves decisions: the winner has probability
    1, and units that were voted on have 0 or 1.

    Args:
        predictions: of one subject, one or more, with the same frames.
        how: the rules; None averages with equal weights.

    Returns:
        a prediction of every task that any of the models predicts, called ``blend of`` them.

    Raises:
        UsageError: weights or votes that do not fit the number of models.
        FormatError: predictions of different subjects, or that differ in frames or times.
    """
    how = how or Blending()
    how.require_fits(len(predictions))
    _require_same_frames(predictions)
    own = [_own_values(prediction) for prediction in predictions]
    weights = np.array(how.weights or [1.0] * len(own))

    every = [parts(prediction, intervals=True) for prediction in own]

    def averaged(name: str) -> Values | None:
        having = [name in arrays for arrays in every]
        if not any(having):
            return None
        return average(
            np.stack([arrays[name] for arrays in every if name in arrays]), weights[having]
        )

    values: dict[str, Any] = {
        name: found if name in _BY_UNIT else _whole_rows(found)
        for name in (*TASKS, "au_intensity")
        if (found := averaged(name)) is not None
    }
    extra: dict[str, Any] = {}
    for name in values:
        if name == EXPR.name:
            values[name] = _expressions(own, values[name], how)
        elif name in TASKS and isinstance(TASKS[name], Classes):
            values[name] = values[name] / values[name].sum(axis=1, keepdims=True)
    if AU.name in values and how.at_least is not None:
        with_units = [prediction for prediction in own if prediction.au is not None]
        values[AU.name] = _voted_units(with_units, how.at_least)
    elif any(prediction.au_thresholds is not None for prediction in own):
        known = [prediction.au is not None for prediction in own]
        limits = [_limits(prediction) for prediction in own if prediction.au is not None]
        extra["au_thresholds"] = average(np.stack(limits), weights[known])
    if (
        all(prediction.va is None or prediction.va_interval is not None for prediction in own)
        and VA.name in values
    ):
        interval = averaged("va_interval")
        assert interval is not None  # noqa: S101 - all that have va have one
        interval[np.isnan(values[VA.name])] = np.nan
        extra["va_interval"] = interval
    confidence = average(np.stack([prediction.confidence for prediction in own]), weights)
    for name in ("geometry", "eyes", "speaking"):
        extra[name] = _first_known([getattr(prediction, name) for prediction in own])
    first = own[0]
    names = dict.fromkeys(prediction.model for prediction in own)
    return Prediction(
        first.subject,
        f"blend of {', '.join(names)}",
        first.times,
        np.any([prediction.present for prediction in own], axis=0),
        confidence,
        heard=np.any([prediction.heard for prediction in own], axis=0),
        start=first.start,
        **values,
        **extra,
    )


def _first_known(each: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    """Of several [N, K] with rows of NaN, each row as the first that has it; None without any."""
    known = [array for array in each if array is not None]
    if not known:
        return None
    found = known[0].copy()
    for array in known[1:]:
        found = np.where(np.isnan(found).all(axis=1, keepdims=True), array, found)
    return found


def _require_same_frames(predictions: Sequence[Prediction]) -> None:
    first = predictions[0]
    for other in predictions[1:]:
        if other.subject != first.subject:
            raise FormatError(
                f"'{first.subject}' and '{other.subject}' are not the same subject",
                "blend predictions of one subject",
            )
        if len(other) != len(first):
            raise FormatError(
                f"'{first.subject}' has {len(first)} frames by {first.model} and {len(other)} by "
                f"{other.model}",
                "predict the same video with all models",
            )
        apart = np.abs(other.times - first.times)
        if apart.size and apart.max() > _SAME_TIME:
            at = int(apart.argmax())
            raise FormatError(
                f"frame {at + 1} of '{first.subject}' is at {first.times[at]:.3f} s by "
                f"{first.model} and at {other.times[at]:.3f} s by {other.model}",
                "predict the same video with all models",
            )


def _own_values(prediction: Prediction) -> Prediction:
    """``prediction`` without what only stands in for missing values."""
    # Of a table of today the text alone is filled: what is missing is still missing there.
    gone = prediction.filled & ~prediction.heard & ~_has_gaps(prediction)
    changes: dict[str, Any] = {"filled": np.zeros_like(gone)}
    for name, values in parts(prediction, intervals=True).items():
        changes[name] = values.copy()
        changes[name][gone] = np.nan
    return replace(prediction, **changes)


def _has_gaps(prediction: Prediction) -> NDArray[np.bool_]:
    """bool [N], where a value is missing of a column that is known in other frames."""
    found = np.zeros(len(prediction), bool)
    for values in parts(prediction).values():
        missing = np.isnan(values)
        found |= missing[:, ~missing.all(axis=0)].any(axis=1)
    return found


def _whole_rows(values: Values) -> Values:
    """``values`` [N, K] with rows that lack a column which others have set to NaN."""
    missing = np.isnan(values)
    known = ~missing.all(axis=0)
    return np.where(missing[:, known].any(axis=1, keepdims=True), np.nan, values)


def _expressions(predictions: Sequence[Prediction], mean: Values, how: Blending) -> Values:
    """Probabilities [N, 8], certain ones where they were voted on."""
    if how.expression == "vote":
        probabilities = np.stack(
            [prediction.expr for prediction in predictions if prediction.expr is not None]
        )
        votes = np.stack([_classes(expr, how) for expr in probabilities])
        return certain(meta_classifier(votes, probabilities))
    if how.other_below is None:
        return mean / mean.sum(axis=1, keepdims=True)
    classes = threshold_other(mean, how.other_below)
    seven = mean.copy()
    seven[:, OTHER] = 0
    seven[classes == OTHER] = certain(classes[classes == OTHER])
    return seven / seven.sum(axis=1, keepdims=True)


def _classes(expr: NDArray[np.float32], how: Blending) -> NDArray[np.int64]:
    """int64 [N], the class that one model predicts, -1 for none."""
    if how.other_below is not None:
        return threshold_other(expr, how.other_below)
    return predicted_classes(expr)


def _voted_units(predictions: Sequence[Prediction], at_least: int) -> Values:
    votes = np.stack([prediction.au_presence() for prediction in predictions])
    present = units_vote(votes, min(at_least, len(predictions)))
    return np.where(present < 0, np.nan, present)


def _limits(prediction: Prediction) -> Values:
    own = prediction.au_thresholds
    return np.full(len(ACTION_UNITS), AU_THRESHOLD) if own is None else own
