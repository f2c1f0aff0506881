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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from avaffect.datasets.clip import Clip
from avaffect.ensemble.member_predictions import (
    ByClip,
    MemberPredictions,
    Scores,
    as_clip_predictions,
    predict_members,
    score,
    tuning_of,
)
from avaffect.ensemble.members import Model, places, train_models
from avaffect.ensemble.plan import Estimate, plan_of, split_of
from avaffect.ensemble.settings import SUMMARY, EnsembleConfig, begin, require_settings
from avaffect.ensemble.smoothing import keep_smoothing, smoothed_scores
from avaffect.ensemble.stacking import train_stack
from avaffect.errors import boundary
from avaffect.files.atomic import write_json
from avaffect.files.lock import alone_in
from avaffect.files.names import JOINED
from avaffect.metrics.by_video import Intervals, plain
from avaffect.networks.checkpoint import (
    Checkpoint,
    checkpoint_folder,
    finite,
    read_checkpoint,
)
from avaffect.networks.network import planned_shapes
from avaffect.predictions.smooth import parse_smoothing
from avaffect.predictors.ensemble import join_values, require_rules
from avaffect.predictors.joined import Joined, Rule, Tuning
from avaffect.progress import EventCallback, Notice, ignore_events
from avaffect.recipes.ensemble_recipe import Average, EnsembleRecipe, Stack
from avaffect.training.data import load_dataset
from avaffect.training.export import export_beside
from avaffect.training.setup import targets_of
from avaffect.training.validation import (
    intervals_of,
    scores_of,
    write_predictions,
    write_validation,
)

_LEAK = (
    "the network on top reads predictions of models that have learned from the very clip (as the "
    "paper does): it leaks, for comparison only"
)


@dataclass(frozen=True)
class EnsembleResult:
    """The scores of an ensemble, all on the same validation clips.

    Attributes:
        folder: to predict with.
        members: by name, the scores of each member (the mean of its folds' models).
        models: by name as ``stage1/fold-0``, the scores of each model of a member of several.
        average: scores of the mean of all members.
        joined: scores of the whole.
        intervals: by task, how sure ``joined`` is, see `metrics.by_video.Interval`.
        smoothed: scores of the whole with the smoothing that its recipe names; empty without.
        smoothed_intervals: the same of ``smoothed``.
        part_intervals: the same of each of ``members`` and of ``models``, by its name.
        average_intervals: the same of ``average``.
    """

    folder: Path
    members: dict[str, Scores]
    models: dict[str, Scores]
    average: Scores
    joined: Scores
    intervals: Intervals = field(default_factory=dict)
    smoothed: Scores = field(default_factory=dict)
    smoothed_intervals: Intervals = field(default_factory=dict)
    part_intervals: dict[str, Intervals] = field(default_factory=dict)
    average_intervals: Intervals = field(default_factory=dict)

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
    go_on: Callable[[Estimate], bool] | None = None,
    on_event: EventCallback = ignore_events,
    on_model: Callable[[Model, Checkpoint], None] = lambda model, checkpoint: None,
) -> EnsembleResult | None:
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
        go_on: called with what is to be trained before anything is written or thrown away, unless
            all is trained; the estimate of the time takes a few steps of each recipe. False ends
            it. None asks nobody.
        on_event: progress and notices.
        on_model: called with each model that gets trained.

    Returns:
        the scores; None if ``go_on`` says no.

    Raises:
        UsageError: ``out`` holds another ensemble, or settings do not fit the data.
        ForeignFileError: something is in the way that avaffect did not write.
        BusyError: another process works in ``out``.
        TrainingError: a model could not be trained.
        KeyboardInterrupt: after Ctrl-C, with everything saved.
    """
    recipe, out = config.recipe, Path(out)
    parse_smoothing(recipe.smooth)  # refuses what does not exist
    where = places(device, jobs)
    dataset = load_dataset(config.data, recipe.tasks, on_event)
    targets = targets_of(recipe.members[0].recipe, dataset)
    stacked = isinstance(recipe.join, Stack)
    leaking = isinstance(recipe.join, Stack) and recipe.join.leaking
    if leaking:
        on_event(Notice(_LEAK, warning=True))
    require_rules(_rule(recipe), targets)
    _require_networks(recipe, targets)
    split = split_of(config, dataset, on_event)
    with alone_in(out):
        plan = plan_of(config, split, where, out)
        models = plan.models
        left = sum(overwrite or not model.finished for model in models)
        require_settings(config, dataset, out, overwrite, rejoin)
        if go_on is not None and left:
            seconds = plan.seconds(dataset, on_event, anew=overwrite)
            if not go_on(Estimate(left, seconds, len(where.environments), where.device)):
                return None
        begin(config, dataset, out, overwrite, rejoin)
        plan.write()
        if not all(model.finished for model in models):
            (out / JOINED).unlink(missing_ok=True)
        on_event(
            Notice(
                f"{len(models)} models to train, {len(where.environments)} at a time on "
                f"{where.device}; the whole is validated on {len(split.val)} clips"
            )
        )
        train_models(models, where, on_event, on_model)
        members = plan.members
        predictions = predict_members(
            members,
            dataset,
            split.val,
            {clip.name: clip for clip in split.train if stacked},
            where.device,
            on_event,
            leaking=leaking,
        )
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
            export_beside(trained.folder, on_event)
            stack[trained.folder.relative_to(out).as_posix()] = trained.checkpoint.sha256
        else:
            values = _joined(recipe, recipe.join, predictions, split.val, targets)
            by_clip = as_clip_predictions(values, split.val)
            pairs = write_predictions(
                out, by_clip, recipe.name, targets, dataset, split.val, edition, on_event
            )
        smooths = recipe.smooth != "off" and not dataset.per_clip
        each = [*_by_model(members, predictions)]
        of_average, average_sure = score(average, split.val, dataset)
        result = EnsembleResult(
            out,
            {name: member.scores for name, member in predictions.items()},
            {name: scores for name, scores, _ in each},
            of_average,
            scores_of(pairs, targets),
            intervals_of(pairs, split.val, targets),
            *(smoothed_scores(out, recipe.smooth, targets) if smooths else ({}, {})),
            {name: member.intervals for name, member in predictions.items()}
            | {name: sure for name, _, sure in each},
            average_sure,
        )
        _finish(config, result, members, predictions, stack, len(split.val), out)
        return result


def _by_model(
    members: Mapping[str, Sequence[Model]], predictions: Mapping[str, MemberPredictions]
) -> Iterator[tuple[str, Scores, Intervals]]:
    """Name, scores and intervals of each model of a member of several."""
    for name, models in members.items():
        mine, names = predictions[name], (model.name for model in models)
        if len(models) > 1:
            yield from zip(names, mine.models, mine.model_intervals, strict=True)


def _apart(predictions: Mapping[str, MemberPredictions]) -> dict[str, MemberPredictions]:
    """By name, the predictions of each model alone."""
    return {
        f"{name}-fold-{i}": model
        for name, member in predictions.items()
        for i, model in enumerate(member.apart)
    }


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
    summaries, paths, tuned = {}, {}, {}
    for name, models in members.items():
        each, place = {}, {}
        mine = predictions[name]
        for model, scores, sure in zip(models, mine.models, mine.model_intervals, strict=True):
            folder = checkpoint_folder(model.folder)
            checkpoint = read_checkpoint(folder)
            path = folder.relative_to(out).as_posix()
            place[path] = checkpoint.sha256
            after = tuning_of(folder)
            if after.smooth != "off" or after.au_thresholds:
                tuned[path] = Tuning(after.smooth, after.au_thresholds)
            each[model.folder.name] = {
                # With folds, on clips of the training split: those that it chose its epoch on.
                "own": dict(checkpoint.metrics),
                "validation": finite(scores),
                "intervals": plain(sure),
            }
        paths[name] = place
        summaries[name] = {
            "models": each,
            "validation": finite(mine.scores),
            "intervals": plain(mine.intervals),
        }
    summary: dict[str, Any] = {
        "join": config.recipe.join.kind,
        "joined": finite(result.joined),
        "average": finite(result.average),
        "mean_of_members": finite(result.mean),
        "members": summaries,
    }
    if result.smoothed:
        summary["smoothed"] = finite(result.smoothed)
    wholes = {
        "joined": result.intervals,
        "average": result.average_intervals,
        "smoothed": result.smoothed_intervals,
    }
    summary["intervals"] = {name: plain(sure) for name, sure in wholes.items() if sure}
    write_json(out / SUMMARY, summary)
    recipe = config.recipe
    metrics, weights = finite(result.joined), recipe.weights
    if isinstance(recipe.join, Stack) and recipe.join.leaking:
        # Each model is a member of its own.
        alone = [(n, place) for n, some in paths.items() for place in enumerate(some.items())]
        paths = {f"{name}-fold-{i}": dict([model]) for name, (i, model) in alone}
        weights = (1.0,) * len(paths)
    whole = Joined(recipe.name, paths, _rule(recipe), weights, stack, metrics, validation, tuned)
    keep_smoothing(recipe, whole, out)
    whole.save(out)
