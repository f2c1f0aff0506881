"""What trained models say of clips, kept beside each, and how good it is.

<model>/opinions.safetensors   for the i-th clip and each task ``i/task``, float32 [N, K]
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save

from avaffect.datasets.clip import Clip, Dataset
from avaffect.errors import FormatError, InputNotFoundError
from avaffect.files.atomic import write_bytes
from avaffect.files.outside import reading
from avaffect.networks.apply import Opinion, apply_network
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
class Said:
    """What one voter, the models of several folds or a single one, says.

    Attributes:
        val: by name of a validation clip, the mean of the models.
        unseen: by name of a training clip, the model's that never saw it.
        scores: of ``val``.
        models: scores of each model on the same clips.
    """

    val: ByClip
    unseen: ByClip
    scores: Scores
    models: tuple[Scores, ...]


def said_by(
    models: Sequence[Path],
    dataset: Dataset,
    val: Sequence[Clip],
    train: Mapping[str, Clip],
    device: str,
    on_event: EventCallback = ignore_events,
) -> Said:
    """Let the models of a voter look at clips.

    Args:
        models: their folders.
        dataset: says what the labels mean.
        val: clips that none of them has seen.
        train: by name, clips that each but one of them has learned from; empty if what that one
            says does not matter.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        on_event: progress in clips.
    """
    unseen: ByClip = {}
    said: list[ByClip] = []
    for model in models:
        checkpoint, network = load_checkpoint(model)
        # What it was validated on is what it never saw.
        held = [train[name] for name in checkpoint.data["clips"]["val"] if name in train]
        found = opinions_of(checkpoint, network, [*val, *held], model / FILE, device, on_event)
        said.append({clip.name: found[clip.name] for clip in val})
        unseen |= {clip.name: found[clip.name] for clip in held}
    mean: ByClip = {clip.name: mean_values([one[clip.name] for one in said]) for clip in val}
    return Said(
        mean,
        unseen,
        score(mean, val, dataset),
        tuple(score(one, val, dataset) for one in said),
    )


def opinions_of(
    checkpoint: Checkpoint,
    network: AffectNetwork,
    clips: Sequence[Clip],
    path: Path,
    device: str,
    on_event: EventCallback = ignore_events,
) -> ByClip:
    """What a network says of each frame of ``clips``, by clip.

    Args:
        checkpoint: what is known of the network.
        network: the network.
        clips: the clips.
        path: where the answer is kept; an earlier one of the same network is read back.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        on_event: progress in clips.

    Raises:
        OutputError: the answer cannot be kept.
    """
    names = [clip.name for clip in clips]
    frames = [clip.frames for clip in clips]
    about = {"sha256": checkpoint.sha256, "clips": json.dumps([names, frames])}
    tasks = checkpoint.recipe.task_names
    if (kept := _read(path, about, names, tasks)) is not None:
        return kept
    where = torch.device(device)
    reader = whole_clips(clips, checkpoint.recipe, {})
    found: ByClip = {}
    tensors: dict[str, NDArray[np.float32]] = {}
    for done, opinion in enumerate(apply_network(network.to(where), reader, where), start=1):
        found[names[opinion.clip]] = opinion.values
        tensors |= {f"{opinion.clip}/{task}": opinion.values[task] for task in tasks}
        on_event(Progress("opinions", done, len(clips), "clips", finished=done == len(clips)))
    # A view would be written as what it is a view of.
    whole = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
    write_bytes(path, save(whole, about))
    return found


def _read(
    path: Path, about: Mapping[str, str], names: Sequence[str], tasks: Sequence[str]
) -> ByClip | None:
    """What was kept in ``path``; None unless it is of the same model and clips."""
    try:
        with reading(path), safe_open(path, "np") as file:
            if file.metadata() != dict(about):
                return None
            return {
                name: {task: file.get_tensor(f"{i}/{task}") for task in tasks}
                for i, name in enumerate(names)
            }
    except (FormatError, InputNotFoundError):
        return None


def as_opinions(values: Mapping[str, Values], clips: Iterable[Clip]) -> Iterator[Opinion]:
    """Values by clip as opinions of the clips in their order."""
    for i, clip in enumerate(clips):
        mine = values[clip.name]
        known = np.any([~np.isnan(one).all(axis=1) for one in mine.values()], axis=0)
        yield Opinion(i, dict(mine), {"members": known})


def score(values: Mapping[str, Values], clips: Sequence[Clip], dataset: Dataset) -> Scores:
    """Scores as of a validation, without their sum; see ``training.score.validate``."""
    pairs: Pairs = {task: [] for task in next(iter(values.values()))}
    for opinion, clip in zip(as_opinions(values, clips), clips, strict=True):
        for task, some in pairs.items():
            if task in clip.labels:
                labels = clip.labels[task]
                some.append(pair_of(task, opinion, labels, per_clip=dataset.per_clip))
    return scores_of(pairs, dataset.targets)
