"""Several trained models joined into one predictor, as ``avaffect ensemble`` leaves them.

<folder>/joined.json   which models, relative to the folder, and how they are joined
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from avaffect.arrays import ArrayRecord
from avaffect.config import fingerprint
from avaffect.datasets.clip import Clip
from avaffect.errors import CheckpointError, UnknownNameError, UsageError
from avaffect.features.store import SubjectFeatures
from avaffect.features.tensors import Array, ArraySpec
from avaffect.files.atomic import write_json
from avaffect.files.editions import AU_THRESHOLD, EXPRESSIONS, TASKS
from avaffect.files.known import WAYS
from avaffect.files.outside import read_json, reading
from avaffect.predictions.prediction import Prediction
from avaffect.predictions.predictor import prediction_of
from avaffect.predictions.trained import Trained
from avaffect.predictions.voting import average, certain, meta_classifier, said_classes, units_vote
from avaffect.recipes.ensemble import OPINIONS, Average, Vote

JOINED = "joined.json"
SETTINGS = "ensemble.json"
_VERSION = 1

Values = Mapping[str, NDArray[np.float32]]
"""By task, float32 [N, K], NaN where there is no opinion; see ``networks.apply.Opinion``."""
Rule = Average | Vote


def join_values(
    voters: Sequence[Values], rule: Rule, weights: Sequence[float], targets: Mapping[str, Any]
) -> dict[str, NDArray[np.float32]]:
    """What several voters say of the same frames, made one.

    A voter counts where it has an opinion. A vote leaves decisions: the winning expression has
    probability 1, and units have 0 or 1. Valence and arousal are always averaged.

    Args:
        voters: the voters.
        rule: see ``recipes.ensemble``.
        weights: of the voters in averages.
        targets: by task, the names of the K targets.

    Returns:
        as the voters' values.

    Raises:
        UsageError: a vote on classes that it has no rules for.
    """
    require_rules(rule, targets)
    joined = {}
    for task in voters[0]:
        each = np.stack([one[task] for one in voters])
        mean = average(each, np.asarray(weights))
        if isinstance(rule, Vote) and task == "expr":
            mean = _elected(each, rule.priority)
        elif isinstance(rule, Vote) and task == "au":
            votes = np.where(np.isnan(each), -1, each >= AU_THRESHOLD).astype(np.int64)
            present = units_vote(votes, rule.at_least)
            mean = np.where(present < 0, np.nan, present)
        joined[task] = mean.astype(np.float32)
    return joined


def require_rules(rule: Rule, targets: Mapping[str, Sequence[str]]) -> None:
    """Raise UsageError if ``rule`` has nothing to say of these classes."""
    classes = tuple(targets.get("expr", ()))
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
    return certain(meta_classifier(said_classes(wide), wide, priority))[:, :classes]


def stacked_values(voters: Sequence[Values]) -> NDArray[np.float32]:
    """What the network of a stack reads of each frame.

    Args:
        voters: of M voters, over the same tasks with T targets in all.

    Returns:
        float32 [N, T * M]: of the first target what each voter says, then of the next one; for
        ``va`` the M valences and the M arousals (seed paper 003's F_j). Where a voter has no
        opinion it says what the others say on average; where nobody has one, the row is NaN.
    """
    columns = []
    for task in sorted(voters[0], key=TASKS.index):
        each = np.stack([one[task] for one in voters])  # [M, N, K]
        mean = average(each, np.ones(len(voters)))
        each = np.where(np.isnan(each), mean, each)
        voter, frames, target = each.shape
        columns.append(each.transpose(1, 2, 0).reshape(frames, target * voter))
    return np.concatenate(columns, axis=1).astype(np.float32)


def stacked_names(voters: Sequence[str], targets: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """What the columns of :func:`stacked_values` are called, e.g. ``valence stage1-0``."""
    tasks = sorted(targets, key=TASKS.index)
    return tuple(f"{name} {voter}" for task in tasks for name in targets[task] for voter in voters)


def mean_values(models: Sequence[Values]) -> dict[str, NDArray[np.float32]]:
    """What the models of several folds say on average, each where it has an opinion."""
    ones = np.ones(len(models))
    return {
        task: average(np.stack([one[task] for one in models]), ones).astype(np.float32)
        for task in models[0]
    }


@dataclass(frozen=True, eq=False, repr=False)
class OpinionFeatures(ArrayRecord):
    """A clip's :func:`stacked_values` as a ``datasets.clip.FeatureSource``.

    Attributes:
        values: float32 [N, K].
        times: float64 [N], seconds, None if nobody knows.
    """

    values: NDArray[np.float32]
    times: NDArray[np.float64] | None = None

    @property
    def frames(self) -> int:
        """N."""
        return len(self.values)

    @property
    def specs(self) -> dict[str, ArraySpec]:
        """``opinions`` and nothing else."""
        return {OPINIONS: ArraySpec((self.values.shape[1],), "float32")}

    def array(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows ``start`` to ``stop`` of ``opinions``."""
        if name != OPINIONS:
            raise UnknownNameError("array", name, [OPINIONS])
        return self.values[start:stop]


@dataclass(frozen=True)
class Joined:
    """What ``joined.json`` says.

    Attributes:
        name: of the ensemble.
        voters: by name, the checkpoints whose mean it says: path within the folder to the SHA-256
            of its weights.
        rule: how voters are joined; with a stack, how its input would be without it.
        weights: of the voters.
        stack: the checkpoint of the network on top, as in ``voters``; empty without one.
        metrics: on the validation clips.
        validation: how many clips these are.
    """

    name: str
    voters: Mapping[str, Mapping[str, str]]
    rule: Rule
    weights: tuple[float, ...]
    stack: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    validation: int = 0

    @property
    def fingerprint(self) -> str:
        """Changes whenever a model or the way they are joined does."""
        return fingerprint(TypeAdapter(Joined).dump_python(self, mode="json"))

    def save(self, folder: Path) -> None:
        """Write ``joined.json`` into ``folder``."""
        plain = TypeAdapter(Joined).dump_python(self, mode="json")
        write_json(folder / JOINED, {"version": _VERSION, **plain})

    @classmethod
    def load(cls, folder: Path) -> Joined:
        """Read what :meth:`save` wrote; bounds as in `outside.read_json`.

        Raises:
            CheckpointError: the ensemble is not finished, or the file is damaged, or names what is
                not in the folder.
        """
        path = folder / JOINED
        what = "is damaged or not written by avaffect"
        missing = CheckpointError(
            f"the ensemble in '{folder}' is not finished",
            "run the same `avaffect ensemble` again, it goes on",
        )
        tree = read_json(path, dict, CheckpointError, what, "train again", missing=missing)
        with reading(path, CheckpointError, what, "train again"):
            if tree.pop("version") != _VERSION:
                raise UsageError("version")
            found = TypeAdapter(cls).validate_python(tree)
        models = [model for some in found.voters.values() for model in some]
        whole = models and all(found.voters.values()) and len(found.stack) <= 1
        whole = whole and all(0 < one < float("inf") for one in found.weights)
        if not whole or len(found.weights) != len(found.voters):
            raise CheckpointError(f"'{path}' is damaged or not written by avaffect", "train again")
        for model in (*models, *found.stack):
            _require_inside(folder, model)
        return found


def is_ensemble(folder: Path) -> bool:
    """Whether ``avaffect ensemble`` has worked there, finished or not."""
    return (folder / JOINED).is_file() or (folder / SETTINGS).is_file()


def _require_inside(folder: Path, model: str) -> None:
    """Raise CheckpointError unless ``model`` is a path in ``folder``, links followed."""
    path = PurePosixPath(model)
    root = folder.resolve()
    try:
        inside = (root / path).resolve().is_relative_to(root) and ".." not in path.parts
    except (OSError, ValueError, RuntimeError):  # a NUL, or links in a circle
        inside = False
    if not inside or path.is_absolute():
        raise CheckpointError(
            f"'{folder / JOINED}' names a model outside its folder", "do not use it"
        )


class Ensemble:
    """The predictor of an ensemble: every model predicts, then they are joined as in training.

    All models are kept in memory.

    Args:
        place: the ensemble's folder.
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Attributes:
        clips: by the ways of ``files.known``, the names of the clips that any model knows.

    Raises:
        CheckpointError: it is not finished, or a model cannot be used.
    """

    optional: tuple[str, ...] = ()
    smooth: str = "off"

    def __init__(self, place: Path | str, device: str = "cpu") -> None:
        folder = Path(place)
        joined = Joined.load(folder)
        self._joined = joined
        self._voters = [
            [_model(folder, path, sha256, device) for path, sha256 in some.items()]
            for some in joined.voters.values()
        ]
        self._models = [one for some in self._voters for one in some]
        first = self._models[0]
        self._targets = first.checkpoint.targets
        if any(one.checkpoint.targets != self._targets for one in self._models):
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
        self.needs = tuple(dict.fromkeys(name for one in self._models for name in one.needs))
        self.notes: tuple[str, ...] = self._notes()
        every = [*self._models, *([self._stack] if self._stack else [])]
        self.clips = {
            way: tuple({name for one in every for name in one.clips.get(way, ())}) for way in WAYS
        }

    def require_settings(self, configuration: Mapping[str, Any]) -> None:
        """See :class:`avaffect.predictions.predictor.Predictor`."""
        for model in self._models:
            model.require_settings(configuration)

    def predict(self, subject: SubjectFeatures, tasks: Sequence[str]) -> Prediction:
        """See :class:`avaffect.predictions.predictor.Predictor`."""
        heard = np.zeros(subject.frames, bool)
        voters = []
        for models in self._voters:
            opinions = [model.opinion(subject) for model in models]
            for model, opinion in zip(models, opinions, strict=True):
                heard |= model.heard(opinion)
            voters.append(mean_values([opinion.values for opinion in opinions]))
        values = self.joined(subject.name, voters)
        coder = self._stack or self._models[0]
        coded: dict[str, Any] = {
            task: coder.coded(task, values[task]) for task in self.tasks if task in tasks
        }
        return prediction_of(
            subject,
            self.name,
            heard=heard,
            **coded,
        )

    def joined(self, name: str, voters: Sequence[Values]) -> Values:
        """What the voters say of the frames of the subject ``name``, made one."""
        if self._stack is None:
            return join_values(voters, self._joined.rule, self._joined.weights, self._targets)
        features = OpinionFeatures(stacked_values(voters))
        return self._stack.apply(Clip(name, name, features)).values

    def _require_stack(self, folder: Path, stack: Trained) -> None:
        """Raise CheckpointError if the network on top does not read what the voters say."""
        width = len(self._voters) * sum(map(len, self._targets.values()))
        targets = stack.checkpoint.targets.items()
        known = all(self._targets.get(task) == names for task, names in targets)
        if not known or set(stack.checkpoint.widths.values()) != {width}:
            raise CheckpointError(
                f"the second stage in '{folder}' does not fit its models", "train again"
            )

    def _notes(self) -> tuple[str, ...]:
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
        if any(one.checkpoint.data.get("synthetic") for one in self._models):
            notes.append("ARTIFICIAL training data: its predictions mean nothing on real people")
        return tuple(notes)


def _model(folder: Path, path: str, sha256: str, device: str) -> Trained:
    model = Trained(folder / path, device)
    if model.checkpoint.sha256 != sha256:
        raise CheckpointError(
            f"'{folder / path}' is not the model that '{JOINED}' means",
            "run `avaffect ensemble` again, or copy the whole folder anew",
        )
    return model
