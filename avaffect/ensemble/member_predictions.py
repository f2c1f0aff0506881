"""Predictions of trained models for clips, kept beside each model, and their scores.

<model>/opinions.safetensors   for the i-th clip and each task ``i/task``, float32 [N, K]
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save

from avaffect.datasets.clip import Clip, Dataset
from avaffect.ensemble.members import Model
from avaffect.errors import FormatError, InputNotFoundError
from avaffect.files.atomic import write_bytes
from avaffect.files.outside import reading
from avaffect.metrics.by_video import Intervals
from avaffect.networks.apply import ClipPrediction, computed
from avaffect.networks.checkpoint import (
    Checkpoint,
    checkpoint_folder,
    load_checkpoint,
    read_checkpoint,
)
from avaffect.networks.together import apply_together
from avaffect.predicting.read_back import ASSUMED_FPS
from avaffect.predictions.postprocess import Postprocess, load_postprocess
from avaffect.predictors.ensemble import mean_values, postprocessed
from avaffect.predictors.joined import Values
from avaffect.progress import EventCallback, Progress, ignore_events
from avaffect.training.score import pair_of
from avaffect.training.validation import Pairs, intervals_of, scores_of
from avaffect.windows.batch import Batch
from avaffect.windows.loader import read_ahead
from avaffect.windows.reader import WindowReader

FILE = "opinions.safetensors"
Scores = dict[str, float]
ByClip = dict[str, Values]


@dataclass(frozen=True)
class MemberPredictions:
    """The predictions of one member: of the models of its folds, or of its single model.

    Attributes:
        val: by name of a validation clip, the mean of the models' predictions.
        unseen: by name of a training clip, the prediction of the model that never saw it.
        scores: of ``val``.
        models: scores of each model on the same clips.
        intervals: by task, how sure ``scores`` is, see `metrics.by_video.Interval`.
        model_intervals: the same of each of ``models``.
        apart: where that was asked for, the same of each model alone, whose ``unseen`` holds all
            training clips, those that it learned from among them.
    """

    val: ByClip
    unseen: ByClip
    scores: Scores
    models: tuple[Scores, ...]
    intervals: Intervals = field(default_factory=dict)
    model_intervals: tuple[Intervals, ...] = ()
    apart: tuple[MemberPredictions, ...] = ()


def predict_members(
    members: Mapping[str, Sequence[Model]],
    dataset: Dataset,
    val: Sequence[Clip],
    train: Mapping[str, Clip],
    device: str,
    on_event: EventCallback = ignore_events,
    *,
    leaking: bool = False,
) -> dict[str, MemberPredictions]:
    """Apply the models of all members to clips; pictures are decoded once for all.

    Values are smoothed, and thresholds kept, as `avaffect tune` chose for a model.

    Args:
        members: by name, the models of each, which are trained.
        dataset: of the clips; it names the targets.
        val: clips that none of them has learned from.
        train: by name, clips that each model but one of a member has learned from; empty if the
            prediction of that one is not needed.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        on_event: progress in clips.
        leaking: apply every model to all training clips, for ``apart``.
    """
    wanted = {}
    for models in members.values():
        for model in models:
            held = train.values() if leaking else [train[n] for n in train if n in model.held]
            wanted[model.folder] = (*val, *held)
    found = network_predictions(wanted, device, on_event)
    every = {clip.name: clip for clips in wanted.values() for clip in clips}
    result = {}
    for name, models in members.items():
        unseen: ByClip = {}
        each: list[ByClip] = []
        apart: list[MemberPredictions] = []
        for model in models:
            after = tuning_of(model.folder)
            mine = {
                clip: postprocessed(values, after, dataset.targets, _times(every[clip]))
                for clip, values in found[model.folder].items()
                if clip in every
            }
            each.append({clip.name: mine[clip.name] for clip in val})
            unseen |= {clip: mine[clip] for clip in train if clip in model.held}
            if leaking:
                all_seen = {clip: mine[clip] for clip in train}
                apart.append(MemberPredictions(each[-1], all_seen, {}, ()))
        mean: ByClip = {
            clip.name: mean_values([by_clip[clip.name] for by_clip in each]) for clip in val
        }
        of_mean, sure = score(mean, val, dataset)
        scored = [score(by_clip, val, dataset) for by_clip in each]
        result[name] = MemberPredictions(
            mean,
            unseen,
            of_mean,
            tuple(scores for scores, _ in scored),
            sure,
            tuple(intervals for _, intervals in scored),
            tuple(apart),
        )
    return result


def tuning_of(model: Path) -> Postprocess:
    """What `avaffect tune` chose for the model in a folder, if it is still of these weights."""
    folder = checkpoint_folder(model)
    after = load_postprocess(folder) or Postprocess()
    return after if after.weights == read_checkpoint(folder).sha256 else Postprocess()


def _times(clip: Clip) -> NDArray[np.float64]:
    times = getattr(clip.features, "times", None)
    return np.arange(clip.frames) / ASSUMED_FPS if times is None else np.asarray(times)


def network_predictions(
    wanted: Mapping[Path, Sequence[Clip]], device: str, on_event: EventCallback = ignore_events
) -> dict[Path, ByClip]:
    """Networks' predictions for each frame of clips, by network and clip.

    They are kept in each network's folder; those that are there of the same network are read
    back, and only the others made. All networks are in memory.

    Args:
        wanted: by folder of a network, the clips.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        on_event: progress in clips.

    Raises:
        OutputError: the predictions cannot be written.
    """
    known: dict[Path, ByClip] = {}
    checkpoints = {}
    # Clips that the same networks have not seen yet go through them together.
    missing: dict[str, list[Path]] = {}
    clips: dict[str, Clip] = {}
    for folder, some in wanted.items():
        checkpoint = checkpoints[folder] = read_checkpoint(folder)
        tasks = checkpoint.recipe.task_names
        known[folder] = _read(folder / FILE, checkpoint.sha256, tasks)
        for clip in some:
            there = known[folder].get(clip.name)
            if there is None or len(there[tasks[0]]) != clip.frames:
                missing.setdefault(clip.name, []).append(folder)
                clips[clip.name] = clip
    together: dict[tuple[Path, ...], list[Clip]] = {}
    for name, lacking in missing.items():
        together.setdefault(tuple(lacking), []).append(clips[name])
    if not together:
        return known
    where = torch.device(device)
    networks = {
        folder: load_checkpoint(folder)[1].to(where).eval()
        for folder in {folder for folders in together for folder in folders}
    }
    done, total = 0, sum(map(len, missing.values()))
    try:
        for folders, some in together.items():
            given = [
                (checkpoints[folder].recipe, partial(computed, networks[folder], device=where))
                for folder in folders
            ]
            for number, predicted in apply_together(
                given, some, partial(_ahead, where), remember=where.type == "cpu"
            ):
                known[folders[number]][some[predicted.clip].name] = predicted.values
                done += 1
                last = done == total
                on_event(Progress("predictions", done, total, "clips", finished=last))
    finally:
        for folder in networks:
            _write(folder / FILE, checkpoints[folder], known[folder])
    return known


def _ahead(
    device: torch.device, reader: WindowReader, batches: list[list[int]]
) -> Iterable[Batch]:
    return read_ahead(reader, batches, device, None if reader.pictures else 0)


def _write(path: Path, checkpoint: Checkpoint, found: ByClip) -> None:
    tasks = checkpoint.recipe.task_names
    tensors = {
        # A view would be written as what it is a view of.
        f"{i}/{task}": np.ascontiguousarray(values[task])
        for i, values in enumerate(found.values())
        for task in tasks
    }
    frames = [len(values[tasks[0]]) for values in found.values()]
    about = {"sha256": checkpoint.sha256, "clips": json.dumps([list(found), frames])}
    write_bytes(path, save(tensors, about))


def _read(path: Path, sha256: str, tasks: Sequence[str]) -> ByClip:
    """By clip, the predictions of this network that are kept in ``path``; empty without any."""
    try:
        with reading(path), safe_open(path, "np") as file:
            about = file.metadata() or {}
            if about.get("sha256") != sha256:
                return {}
            names, _ = json.loads(about["clips"])
            return {
                str(name): {task: file.get_tensor(f"{i}/{task}") for task in tasks}
                for i, name in enumerate(names)
            }
    except (FormatError, InputNotFoundError):
        return {}


def as_clip_predictions(
    values: Mapping[str, Values], clips: Iterable[Clip]
) -> Iterator[ClipPrediction]:
    """Values by clip as predictions of the clips in their order."""
    for i, clip in enumerate(clips):
        mine = values[clip.name]
        known = np.any([~np.isnan(array).all(axis=1) for array in mine.values()], axis=0)
        yield ClipPrediction(i, dict(mine), {"members": known})


def score(
    values: Mapping[str, Values], clips: Sequence[Clip], dataset: Dataset
) -> tuple[Scores, Intervals]:
    """Scores as of a validation, without their sum, see ``training.score.validate``; and by task
    how sure they are."""
    pairs: Pairs = {task: [] for task in next(iter(values.values()))}
    for predicted, clip in zip(as_clip_predictions(values, clips), clips, strict=True):
        for task, some in pairs.items():
            if task in clip.labels:
                labels = clip.labels[task]
                some.append(pair_of(task, predicted, labels, per_clip=dataset.per_clip))
    return scores_of(pairs, dataset.targets), intervals_of(pairs, clips, dataset.targets)
