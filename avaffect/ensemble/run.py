"""``ensemble``: several models trained and joined, from a dataset on disk to one predictor.

<out>/ensemble.json        every setting, and a fingerprint of the data
<out>/members/<member>/   a run of ``train``; with folds, ``fold-N`` in it; see `members`
<out>/opinions/            what the network of a stack reads: a table a clip, training clips by
                           models that never saw them
<out>/stage2/              the run of that network
<out>/validation/          the predictions for the validation clips, see `validation`
<out>/summary.json         the scores of each part, on the same validation clips
<out>/joined.json          what ``predict`` reads as a ``checkpoint``; written last
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from avaffect.datasets.clip import Clip, Dataset
from avaffect.datasets.folds import Folds, make_folds
from avaffect.datasets.split import labelled_clips, own_split
from avaffect.ensemble.member_predictions import (
    ByClip,
    MemberPredictions,
    Scores,
    as_clip_predictions,
    predict_member,
    score,
)
from avaffect.ensemble.members import SAVING_S, Model, places, train_models
from avaffect.ensemble.stacking import train_stack
from avaffect.errors import AvaffectError, FeatureError, UsageError, boundary
from avaffect.files.atomic import write_json
from avaffect.files.lock import LOCK, alone, alone_in
from avaffect.files.names import JOINED, RUN
from avaffect.files.ours import require_ours
from avaffect.files.outside import read_kept
from avaffect.networks.checkpoint import (
    Checkpoint,
    checkpoint_folder,
    finite,
    read_checkpoint,
)
from avaffect.networks.network import planned_shapes
from avaffect.predictors.ensemble import join_values, require_rules
from avaffect.predictors.joined import SETTINGS, Joined, Rule
from avaffect.progress import EventCallback, Notice, ignore_events
from avaffect.recipes.ensemble_recipe import Average, EnsembleRecipe, Stack, parse_ensemble
from avaffect.training.facts import data_facts
from avaffect.training.run import FOLDS, DataConfig, RunConfig, is_run, load_dataset
from avaffect.training.setup import targets_of
from avaffect.training.validation import scores_of, write_predictions, write_validation

SUMMARY = "summary.json"
VERSION = 1
# What is made of the members' predictions, and is made again where they are joined anew.
_OF_A_JOIN = (JOINED, SUMMARY, "opinions", "stage2", "validation")
_LEAK = (
    "the network on top reads predictions of models that have learned from the very clip (as the "
    "paper does): it leaks, for comparison only"
)
_OURS = (SETTINGS, JOINED, SUMMARY, "members", "opinions", "stage2", "validation")


@dataclass(frozen=True)
class EnsembleConfig:
    """Everything that an ensemble depends on, saved as ``ensemble.json``.

    Attributes:
        recipe: the whole recipe.
        data: the data.
        seed: of the first repeat; each further one has the next number.
    """

    recipe: EnsembleRecipe
    data: DataConfig
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "version": VERSION,
            "recipe": self.recipe.to_dict(),
            "data": {**asdict(self.data), "columns": list(self.data.columns)},
            "seed": self.seed,
        }


@dataclass(frozen=True)
class EnsembleResult:
    """The scores of an ensemble, all on the same validation clips.

    Attributes:
        folder: to predict with.
        members: by name, the scores of each member (the mean of its folds' models).
        models: by name as ``stage1/fold-0``, the scores of each model of a member of several.
        average: scores of the mean of all members.
        joined: scores of the whole.
    """

    folder: Path
    members: dict[str, Scores]
    models: dict[str, Scores]
    average: Scores
    joined: Scores

    @property
    def mean(self) -> Scores:
        """The mean of the members' scores."""
        every = list(self.members.values())
        return {name: fmean(scores[name] for scores in every) for name in every[0]}


@boundary()
def run_ensemble(
    config: EnsembleConfig,
    out: Path | str,
    *,
    device: str = "auto",
    jobs: int | None = None,
    overwrite: bool = False,
    rejoin: bool = False,
    on_event: EventCallback = ignore_events,
    on_model: Callable[[Model, Checkpoint], None] = lambda model, checkpoint: None,
) -> EnsembleResult:
    """Train the members that ``config`` names, join them and score them on unseen clips.

    Unseen clips are the data's own validation split, or some groups that are held out. Folds are
    made of the training clips alone. As many models are trained as there are members times
    repeats times folds: 25 of ``abaw3-va``, and 5 with one repeat.

    What is in ``out`` already is not done again: models that are finished stay, one that was
    interrupted goes on.

    Args:
        config: the settings.
        out: the folder.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        jobs: models trained at a time, see `members.places`.
        overwrite: throw away an ensemble that is in ``out``.
        rejoin: join the members in ``out`` in the way of ``config``, which must have the same
            ones; what the join before left (stage 2, scores, predictions) is replaced.
        on_event: progress and notices.
        on_model: called with each model that gets trained.

    Raises:
        UsageError: ``out`` holds another ensemble, or settings do not fit the data.
        ForeignFileError: something is in the way that avaffect did not write.
        BusyError: another process works in ``out``.
        TrainingError: a model could not be trained.
        KeyboardInterrupt: after Ctrl-C, with everything saved.
    """
    recipe, out = config.recipe, Path(out)
    where = places(device, jobs)
    dataset = load_dataset(config.data, recipe.tasks, on_event)
    targets = targets_of(recipe.members[0].recipe, dataset)
    stacked = isinstance(recipe.join, Stack)
    leaking = isinstance(recipe.join, Stack) and recipe.join.leaking
    if leaking:
        on_event(Notice(_LEAK, warning=True))
    require_rules(_rule(recipe), targets)
    _require_networks(recipe, targets)
    split = _split(config, dataset, on_event)
    with alone_in(out):
        _begin(config, dataset, out, overwrite, rejoin)
        members = _set_up(config, split, out)
        models = [model for fold_models in members.values() for model in fold_models]
        if not all(model.finished for model in models):
            (out / JOINED).unlink(missing_ok=True)
        on_event(
            Notice(
                f"{len(models)} models to train, {len(where.environments)} at a time on "
                f"{where.device}; the whole is validated on {len(split.val)} clips"
            )
        )
        train_models(models, where, on_event, on_model)
        predictions = {
            name: predict_member(
                [model.folder for model in fold_models],
                dataset,
                split.val,
                {clip.name: clip for clip in split.train if stacked},
                where.device,
                on_event,
                leaking=leaking,
            )
            for name, fold_models in members.items()
        }
        average = _joined(recipe, Average(), predictions, split.val, targets)
        edition = config.data.edition
        stack = {}
        if isinstance(recipe.join, Stack):
            trained, val = train_stack(
                recipe.join.recipe,
                dataset,
                targets,
                _apart(predictions) if leaking else predictions,
                split.train,
                split.val,
                out,
                seed=config.seed,
                device=where.device,
                on_event=on_event,
            )
            pairs = write_validation(out, trained, dataset, val, edition, where.device, on_event)
            stack[trained.folder.relative_to(out).as_posix()] = trained.checkpoint.sha256
        else:
            values = _joined(recipe, recipe.join, predictions, split.val, targets)
            by_clip = as_clip_predictions(values, split.val)
            pairs = write_predictions(
                out, by_clip, recipe.name, targets, dataset, split.val, edition, on_event
            )
        result = EnsembleResult(
            out,
            {name: member.scores for name, member in predictions.items()},
            {
                model.name: scores
                for name, some in members.items()
                if len(some) > 1
                for model, scores in zip(some, predictions[name].models, strict=True)
            },
            score(average, split.val, dataset),
            scores_of(pairs, targets),
        )
        _finish(config, result, members, predictions, stack, len(split.val), out)
        return result


@dataclass(frozen=True)
class _Split:
    """Clips to train with and to validate on; ``held``: the folds of which the first are the
    latter, where the data has no split of its own; ``rest``: labelled clips in neither."""

    train: tuple[Clip, ...]
    val: tuple[Clip, ...]
    held: Folds | None
    rest: tuple[str, ...]


def _split(config: EnsembleConfig, dataset: Dataset, on_event: EventCallback) -> _Split:
    labelled = labelled_clips(dataset, config.recipe.tasks, on_event)
    own = config.data.root is None
    try:
        parts = own_split(dataset, labelled, config.seed, own=own, on_event=on_event)
    except FeatureError as error:
        raise FeatureError(error.problem, "preprocess its videos too") from error
    except UsageError as error:
        hint = "the whole is validated on clips apart: add a column for the split, or more groups"
        raise UsageError(error.problem, hint) from error
    used = {clip.name for part in parts[:2] for clip in part}
    return _Split(*parts, tuple(clip.name for clip in labelled if clip.name not in used))


def _apart(predictions: Mapping[str, MemberPredictions]) -> dict[str, MemberPredictions]:
    """By name, the predictions of each model alone."""
    return {
        f"{name}-fold-{i}": model
        for name, member in predictions.items()
        for i, model in enumerate(member.apart)
    }


def _begin(
    config: EnsembleConfig, dataset: Dataset, out: Path, overwrite: bool, rejoin: bool
) -> None:
    """Write the settings, unless others are there."""
    data = data_facts(dataset, (), ())["fingerprint"]
    # As JSON gives it back.
    wanted = json.loads(json.dumps({**config.to_dict(), "fingerprint": data}))
    path = out / SETTINGS
    if (out / RUN).is_file():
        raise UsageError(f"'{out}' holds a run of `avaffect train`", "choose another folder")
    found = _filled(read_kept(path))
    begun = (isinstance(found, dict) and wanted.keys() <= found.keys()) or (
        path.is_file() and any(is_run(run) for run in out.glob("members/*"))
    )
    require_ours(out, [out / name for name in _OURS], _OURS if begun else ())
    if rejoin and not begun:
        raise UsageError(f"there is no ensemble in '{out}' to join anew", "leave out rejoin=True")
    if rejoin and found != wanted:
        if what := _difference(_members(found), _members(wanted)):
            raise UsageError(
                f"the members in '{out}' were trained with other settings ({what})",
                "choose another folder: only the way they are joined can be changed",
            )
        for name in _OF_A_JOIN:
            shutil.rmtree(out / name) if (out / name).is_dir() else (out / name).unlink(True)
    elif begun and overwrite:
        # Trainings whose ensemble was killed may still be saving themselves.
        for lock in out.glob(f"members/**/{LOCK}"):
            with alone(lock, lock.parent, wait=SAVING_S):
                pass
        for name in _OURS:
            shutil.rmtree(out / name) if (out / name).is_dir() else (out / name).unlink(True)
    elif begun and found != wanted:
        what = _difference(found, wanted)
        raise UsageError(
            f"the ensemble in '{out}' has other settings ({what})",
            "choose another folder, or replace it with overwrite=True; rejoin=True joins the same "
            "members anew",
        )
    write_json(path, wanted)


def _filled(found: Any) -> Any:
    """Saved settings, with the recipe's as they are read now: later ones have their defaults."""
    try:
        recipe = parse_ensemble(found["recipe"], SETTINGS).to_dict()
    except (AvaffectError, TypeError, KeyError):
        return found
    return {**found, "recipe": json.loads(json.dumps(recipe))}


def _members(settings: Any) -> Any:
    """Settings without the way members are joined, and what the whole is called."""
    recipe = settings.get("recipe", {})
    kept = {name: recipe[name] for name in ("members", "folds", "repeats") if name in recipe}
    return {**settings, "recipe": kept}


def _difference(found: Any, wanted: Any, key: str = "") -> str:
    """The first key whose values differ; empty if none does."""
    if isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        found, wanted = dict(enumerate(found)), dict(enumerate(wanted))
    if not isinstance(found, dict) or not isinstance(wanted, dict):
        return key.lstrip(".") or "damaged"
    for name in dict.fromkeys((*wanted, *found)):
        if found.get(name) != wanted.get(name):
            return _difference(found.get(name), wanted.get(name), f"{key}.{name}")
    return key.lstrip(".")


def _set_up(config: EnsembleConfig, split: _Split, out: Path) -> dict[str, list[Model]]:
    """Write the runs of all members; by member, its models."""
    recipe = config.recipe
    models: dict[str, list[Model]] = {}
    for name, (member, repeat) in recipe.all_members.items():
        run, seed = out / "members" / name, config.seed + repeat
        folds = split.held
        numbers: tuple[int, ...] = (0,)
        if recipe.folds is not None:
            folds = make_folds(split.train, recipe.folds, seed=seed)
            numbers = folds.numbers
            apart = (*(clip.name for clip in split.val), *split.rest)
            folds = replace(folds, apart=apart)
        elif folds is not None:
            folds = replace(folds, apart=split.rest)
        settings = RunConfig(member.recipe, config.data, FOLDS if folds else "none", seed)
        write_json(run / RUN, settings.to_dict())
        if folds is not None:
            folds.save(run / FOLDS)
        models[name] = [Model(run, i) for i in numbers] if folds else [Model(run)]
    return models


def _require_networks(recipe: EnsembleRecipe, targets: Mapping[str, Sequence[str]]) -> None:
    """Build each member on pictures once: what fits no net is refused before any work."""
    outputs = {task: len(names) for task, names in targets.items()}
    for member in recipe.members:
        roots = member.recipe.roots
        if all(branch.encoder is not None for branch in roots.values()):
            planned_shapes(member.recipe, dict.fromkeys(roots, 0), outputs)


def _rule(recipe: EnsembleRecipe) -> Rule:
    """How members are joined without a network."""
    return Average() if isinstance(recipe.join, Stack) else recipe.join


def _joined(
    recipe: EnsembleRecipe,
    rule: Rule,
    predictions: Mapping[str, MemberPredictions],
    clips: Sequence[Clip],
    targets: Mapping[str, tuple[str, ...]],
) -> ByClip:
    """By validation clip, the predictions of all members, joined by ``rule``."""
    return {
        clip.name: join_values(
            [member.val[clip.name] for member in predictions.values()],
            rule,
            recipe.weights,
            targets,
        )
        for clip in clips
    }


def _finish(
    config: EnsembleConfig,
    result: EnsembleResult,
    members: Mapping[str, Sequence[Model]],
    predictions: Mapping[str, MemberPredictions],
    stack: Mapping[str, str],
    validation: int,
    out: Path,
) -> None:
    """Write the summary, and what `Ensemble` predicts with."""
    summaries, paths = {}, {}
    for name, models in members.items():
        each, place = {}, {}
        for model, scores in zip(models, predictions[name].models, strict=True):
            folder = checkpoint_folder(model.folder)
            checkpoint = read_checkpoint(folder)
            place[folder.relative_to(out).as_posix()] = checkpoint.sha256
            each[model.folder.name] = {
                # With folds, on clips that it did not see of the training split.
                "own": dict(checkpoint.metrics),
                "validation": finite(scores),
            }
        paths[name] = place
        summaries[name] = {"models": each, "validation": finite(predictions[name].scores)}
    summary = {
        "join": config.recipe.join.kind,
        "joined": finite(result.joined),
        "average": finite(result.average),
        "mean_of_members": finite(result.mean),
        "members": summaries,
    }
    write_json(out / SUMMARY, summary)
    recipe = config.recipe
    metrics, weights = finite(result.joined), recipe.weights
    if isinstance(recipe.join, Stack) and recipe.join.leaking:
        # Each model is a member of its own.
        alone = [(n, place) for n, some in paths.items() for place in enumerate(some.items())]
        paths = {f"{name}-fold-{i}": dict([model]) for name, (i, model) in alone}
        weights = (1.0,) * len(paths)
    Joined(recipe.name, paths, _rule(recipe), weights, stack, metrics, validation).save(out)
