"""Several trained models joined into one predictor, as ``avaffect ensemble`` leaves them.

<folder>/joined.json   which models, relative to the folder, and how they are joined
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.known import WAYS
from avaffect.config import fingerprint
from avaffect.datasets.clip import Clip
from avaffect.errors import CheckpointError, UsageError
from avaffect.labels import AU_THRESHOLD, EXPRESSIONS
from avaffect.networks.together import apply_together
from avaffect.predictions.postprocess import Postprocess, load_postprocess
from avaffect.predictions.prediction import Prediction
from avaffect.predictions.voting import (
    average,
    certain,
    meta_classifier,
    predicted_classes,
    units_vote,
)
from avaffect.predictors.facts import require_same
from avaffect.predictors.interface import prediction_of
from avaffect.predictors.joined import Joined, Rule, Values
from avaffect.predictors.stacking import StackFeatures, stacked_values
from avaffect.predictors.trained import Trained
from avaffect.recipes.ensemble_recipe import Vote
from avaffect.sound.voice import DEFAULT_VOICE
from avaffect.store.subject import SubjectFeatures
from avaffect.tasks.kinds import Units
from avaffect.tasks.registry import AU, EXPR, TASKS


def join_values(
    members: Sequence[Values], rule: Rule, weights: Sequence[float], targets: Mapping[str, Any]
) -> dict[str, NDArray[np.float32]]:
    """Join several members' predictions for the same frames.

    A member counts where it has a prediction. A vote leaves decisions: the winning expression has
    probability 1, and units have 0 or 1. Valence and arousal are always averaged.

    Args:
        members: by task, float32 [N, K] of each member.
        rule: see ``recipes.ensemble_recipe``.
        weights: of the members in averages.
        targets: by task, the names of the K targets.

    Returns:
        as the members' values.

    Raises:
        UsageError: a vote on classes that it has no rules for.
    """
    require_rules(rule, targets)
    joined = {}
    for task in members[0]:
        each = np.stack([member[task] for member in members])
        mean = average(each, np.asarray(weights))
        if isinstance(rule, Vote) and task == EXPR.name:
            mean = _elected(each, rule.priority)
        elif isinstance(rule, Vote) and isinstance(TASKS[task], Units):
            votes = np.where(np.isnan(each), -1, each >= AU_THRESHOLD).astype(np.int64)
            present = units_vote(votes, rule.at_least)
            mean = np.where(present < 0, np.nan, present)
        joined[task] = mean.astype(np.float32)
    return joined


def require_rules(rule: Rule, targets: Mapping[str, Sequence[str]]) -> None:
    """Raise UsageError if ``rule`` does not fit these classes."""
    classes = tuple(targets.get(EXPR.name, ()))
    if not isinstance(rule, Vote) or not classes:
        return
    most = len(EXPRESSIONS)
    if rule.priority and classes not in (EXPRESSIONS, EXPRESSIONS[: most - 1]):
        raise UsageError(
            "the meta-classifier's rules are for the challenge's expressions, and the data has "
            f"{', '.join(classes)}",
            "set join.priority to [] in the ensemble's file, for the majority alone",
        )
    if len(classes) > most:
        raise UsageError(f"{len(classes)} classes cannot be voted on", "set join.kind to average")


def _elected(each: NDArray[np.float32], priority: Sequence[int]) -> NDArray[np.float64]:
    """Probabilities [M, N, C] of expressions as certain ones [N, C]."""
    classes, most = each.shape[2], len(EXPRESSIONS)
    wide = np.pad(each, ((0, 0), (0, 0), (0, most - classes)))
    wide[np.isnan(each).any(axis=2)] = np.nan
    return certain(meta_classifier(predicted_classes(wide), wide, priority))[:, :classes]


def mean_values(models: Sequence[Values]) -> dict[str, NDArray[np.float32]]:
    """The mean of several models' predictions; a model counts where it has one."""
    ones = np.ones(len(models))
    return {
        task: average(np.stack([model[task] for model in models]), ones).astype(np.float32)
        for task in models[0]
    }


def postprocessed(
    values: Values,
    after: Postprocess,
    targets: Mapping[str, Sequence[str]],
    times: NDArray[np.float64],
) -> Values:
    """A model's predictions by task, as `Postprocess.applied`."""
    return {
        task: after.applied(task, targets[task], array, np.asarray(times))
        for task, array in values.items()
    }


class Ensemble:
    """The predictor of an ensemble: every model predicts, then they are joined as in training.

    All models are kept in memory; pictures are decoded once for all of them.

    Args:
        place: the ensemble's folder.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Attributes:
        smooth: what `avaffect tune` chose for the whole, else ``off``; thresholds likewise.
        clips: by the ways of ``challenge.known``, the names of the clips that any model knows.

    Raises:
        CheckpointError: it is not finished, or a model cannot be used.
    """

    optional: tuple[str, ...] = ()
    judges_pictures: bool = False
    voice_net: str = DEFAULT_VOICE

    def __init__(self, place: Path | str, device: str = "cpu") -> None:
        folder = Path(place)
        joined = Joined.load(folder)
        self._joined = joined
        self._members = [
            [_model(folder, path, sha256, device) for path, sha256 in some.items()]
            for some in joined.members.values()
        ]
        self._models = [model for some in self._members for model in some]
        self._afters = [joined.after(path) for some in joined.members.values() for path in some]
        first = self._models[0]
        self._targets = first.checkpoint.targets
        if any(model.checkpoint.targets != self._targets for model in self._models):
            raise CheckpointError(
                f"the models in '{folder}' do not predict the same targets", "train again"
            )
        self._stack: Trained | None = None
        for path, sha256 in joined.stack.items():
            self._stack = _model(folder, path, sha256, device)
            self._require_stack(folder, self._stack)
        try:
            require_rules(joined.rule, self._targets)
        except UsageError as error:
            raise CheckpointError(error.problem, error.hint) from error
        self.name = joined.name
        self.tasks: tuple[str, ...] = (self._stack or first).tasks
        self.needs = tuple(dict.fromkeys(name for model in self._models for name in model.needs))
        self._after = load_postprocess(folder) or Postprocess()
        other = self._after.weights not in ("", joined.fingerprint)
        if other:
            self._after = Postprocess()
        self.smooth: str = self._after.smooth
        self.notes: tuple[str, ...] = self._notes(other=other)
        every = [*self._models, *([self._stack] if self._stack else [])]
        self.clips = {
            way: tuple({name for model in every for name in model.clips.get(way, ())})
            for way in WAYS
        }
        self.clips["tuned"] = tuple({*self.clips["tuned"], *self._after.clips})

    @property
    def window(self) -> int:
        """How many frames its models see at a time, the most of them."""
        return max(model.window for model in self._models)

    @property
    def fingerprint(self) -> str:
        """See :class:`avaffect.predictors.interface.Predictor`."""
        every = [*self._models, *([self._stack] if self._stack else [])]
        whole = [self._joined.fingerprint, [model.fingerprint for model in every]]
        return fingerprint([*whole, asdict(self._after)] if self._after.weights else whole)

    def require_settings(self, configuration: Mapping[str, Any]) -> None:
        """See :class:`avaffect.predictors.interface.Predictor`."""
        for model in self._models:
            model.require_settings(configuration)

    def predict(self, subject: SubjectFeatures, tasks: Sequence[str]) -> Prediction:
        """See :class:`avaffect.predictors.interface.Predictor`."""
        for model in self._models:
            model.require_subject(subject)
        networks = [(model.checkpoint.recipe, model.run) for model in self._models]
        predictions = dict(
            apply_together(
                networks,
                [Clip(subject.name, subject.name, subject)],
                check=lambda number, reader: self._models[number].require_widths(reader),
            )
        )
        heard = np.zeros(subject.frames, bool)
        values_of = []
        for number, (model, after) in enumerate(zip(self._models, self._afters, strict=True)):
            predicted = predictions[number]
            heard |= model.heard(predicted)
            values_of.append(postprocessed(predicted.values, after, self._targets, subject.times))
        each = iter(values_of)
        members = [mean_values([next(each) for _ in models]) for models in self._members]
        values = self.joined(subject.name, members)
        coder = self._stack or self._models[0]
        coded: dict[str, Any] = {
            task: coder.coded(task, values[task]) for task in self.tasks if task in tasks
        }
        return prediction_of(
            subject,
            self.name,
            heard=heard,
            au_thresholds=self._after.limits() if AU.name in coded else None,
            **coded,
        )

    def joined(self, name: str, members: Sequence[Values]) -> Values:
        """The members' predictions for the subject ``name``, joined."""
        if self._stack is None:
            return join_values(members, self._joined.rule, self._joined.weights, self._targets)
        features = StackFeatures(stacked_values(members))
        return self._stack.apply(Clip(name, name, features)).values

    def _require_stack(self, folder: Path, stack: Trained) -> None:
        """Raise CheckpointError if the network on top does not read the members' predictions."""
        width = len(self._members) * sum(map(len, self._targets.values()))
        targets = stack.checkpoint.targets.items()
        known = all(self._targets.get(task) == names for task, names in targets)
        if not known or set(stack.checkpoint.widths.values()) != {width}:
            raise CheckpointError(
                f"the second stage in '{folder}' does not fit its models", "train again"
            )

    def _notes(self, *, other: bool) -> tuple[str, ...]:
        count = len(self._models)
        how = "a network on top" if self._stack else self._joined.rule.kind
        shown = ", ".join(
            f"{task} {value:.3f}"
            for task in self.tasks
            if (value := self._joined.metrics.get(task)) is not None
        )
        notes = [
            f"{self.name} joins {count} models ({how})",
            f"validation on {self._joined.validation} other clips: {shown or 'no score'}",
        ]
        if self._joined.tuned:
            notes.append(f"{len(self._joined.tuned)} models by what was tuned for each")
        notes += self._after.notes(other=other)
        if any(model.checkpoint.data.get("synthetic") for model in self._models):
            notes.append("ARTIFICIAL training data: its predictions mean nothing on real people")
        return tuple(notes)


def _model(folder: Path, path: str, sha256: str, device: str) -> Trained:
    model = Trained(folder / path, device)
    require_same(folder / path, model.checkpoint, sha256)
    return model
