"""Predictions of trained models for clips, kept beside each model, and their scores.

<model>/opinions.safetensors   for the i-th clip and each task ``i/task``, float32 [N, K]
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save

from avaffect.datasets.clip import Clip, Dataset
from avaffect.errors import FormatError, InputNotFoundError
from avaffect.files.atomic import write_bytes
from avaffect.files.outside import reading
from avaffect.networks.apply import ClipPrediction, apply_network
from avaffect.networks.checkpoint import Checkpoint, load_checkpoint
from avaffect.networks.network import AffectNetwork
from avaffect.predictors.ensemble import mean_values
from avaffect.predictors.joined import Values
from avaffect.progress import EventCallback, Progress, ignore_events
from avaffect.training.score import pair_of
from avaffect.training.validation import Pairs, scores_of
from avaffect.windows.reader import whole_clips

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
        apart: where that was asked for, the same of each model alone, whose ``unseen`` holds all
            training clips, those that it learned from among them.
    """

    val: ByClip
    unseen: ByClip
    scores: Scores
    models: tuple[Scores, ...]
    apart: tuple[MemberPredictions, ...] = ()


def predict_member(
    models: Sequence[Path],
    dataset: Dataset,
    val: Sequence[Clip],
    train: Mapping[str, Clip],
    device: str,
    on_event: EventCallback = ignore_events,
    *,
    leaking: bool = False,
) -> MemberPredictions:
    """Apply the models of a member to clips.

    Args:
        models: their folders.
        dataset: of the clips; it names the targets.
        val: clips that none of them has seen.
        train: by name, clips that each model but one has learned from; empty if the prediction
            of that one is not needed.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        on_event: progress in clips.
        leaking: apply every model to all training clips, for ``apart``.
    """
    unseen: ByClip = {}
    each: list[ByClip] = []
    apart: list[MemberPredictions] = []
    for model in models:
        checkpoint, network = load_checkpoint(model)
        # What it was validated on is what it never saw.
        held = [train[name] for name in checkpoint.data["clips"]["val"] if name in train]
        wanted = [*val, *(train.values() if leaking else held)]
        found = network_predictions(checkpoint, network, wanted, model / FILE, device, on_event)
        each.append({clip.name: found[clip.name] for clip in val})
        unseen |= {clip.name: found[clip.name] for clip in held}
        if leaking:
            all_seen = {name: found[name] for name in train}
            apart.append(MemberPredictions(each[-1], all_seen, {}, ()))
    mean: ByClip = {
        clip.name: mean_values([by_clip[clip.name] for by_clip in each]) for clip in val
    }
    return MemberPredictions(
        mean,
        unseen,
        score(mean, val, dataset),
        tuple(score(by_clip, val, dataset) for by_clip in each),
        tuple(apart),
    )


def network_predictions(
    checkpoint: Checkpoint,
    network: AffectNetwork,
    clips: Sequence[Clip],
    path: Path,
    device: str,
    on_event: EventCallback = ignore_events,
) -> ByClip:
    """A network's predictions for each frame of ``clips``, by clip.

    Args:
        checkpoint: what is known of the network.
        network: the network.
        clips: the clips.
        path: where the predictions are kept; those that are there of the same network are read
            back, and only the others made.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        on_event: progress in clips.

    Raises:
        OutputError: the predictions cannot be written.
    """
    tasks = checkpoint.recipe.task_names
    found = _read(path, checkpoint.sha256, tasks)
    missing = [
        clip
        for clip in clips
        if clip.name not in found or len(found[clip.name][tasks[0]]) != clip.frames
    ]
    if not missing:
        return found
    where = torch.device(device)
    reader = whole_clips(missing, checkpoint.recipe, {})
    for done, predicted in enumerate(apply_network(network.to(where), reader, where), start=1):
        found[missing[predicted.clip].name] = predicted.values
        whole = done == len(missing)
        on_event(Progress("predictions", done, len(missing), "clips", finished=whole))
    tensors = {
        # A view would be written as what it is a view of.
        f"{i}/{task}": np.ascontiguousarray(values[task])
        for i, values in enumerate(found.values())
        for task in tasks
    }
    frames = [len(values[tasks[0]]) for values in found.values()]
    about = {"sha256": checkpoint.sha256, "clips": json.dumps([list(found), frames])}
    write_bytes(path, save(tensors, about))
    return found


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


def score(values: Mapping[str, Values], clips: Sequence[Clip], dataset: Dataset) -> Scores:
    """Scores as of a validation, without their sum; see ``training.score.validate``."""
    pairs: Pairs = {task: [] for task in next(iter(values.values()))}
    for predicted, clip in zip(as_clip_predictions(values, clips), clips, strict=True):
        for task, some in pairs.items():
            if task in clip.labels:
                labels = clip.labels[task]
                some.append(pair_of(task, predicted, labels, per_clip=dataset.per_clip))
    return scores_of(pairs, dataset.targets)
