"""The parts of a run that are made once, before its first step."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avaffect.config import fingerprint
from avaffect.datasets.clip import Clip, Dataset
from avaffect.errors import UsageError
from avaffect.labels import OTHER
from avaffect.networks.backbones import load_pretrained
from avaffect.networks.checkpoint import Checkpoint
from avaffect.networks.network import AffectNetwork, Statistics, planned_shapes
from avaffect.networks.start import start_from
from avaffect.progress import EventCallback, Notice, ignore_events
from avaffect.recipes.encoders import Backbone
from avaffect.recipes.recipe import Recipe
from avaffect.tasks.registry import EXPR, TASKS
from avaffect.training.balance import label_counts, label_weights, window_weights
from avaffect.training.facts import data_facts, feature_settings, versions
from avaffect.training.losses import build_loss
from avaffect.training.objective import Objective
from avaffect.training.precision import choose_precision
from avaffect.training.processes import Processes
from avaffect.windows.batch import Batch
from avaffect.windows.cut import cut
from avaffect.windows.loader import read_ahead
from avaffect.windows.order import batch_count, batches
from avaffect.windows.reader import WindowReader, branch_moments, labelled, whole_clips


class Setup:
    """Network, losses and windows of a run.

    Args:
        recipe: the recipe.
        dataset: of the clips; it names the targets.
        train_clips: to learn from.
        val_clips: to score; may be empty.
        seed: of the weights.
        group: the run's processes.
        on_event: notices.
        begun: whether the weights of an interrupted run will be put in, so that nothing is to be
            fetched to start from.
        init: a checkpoint that a run starts from, see ``networks.start``; not looked at where one
            has begun.
        amp: what an interrupted run computed in, ``none``, ``bf16`` or ``fp16``, which it goes on
            with where the recipe leaves it open; None chooses anew.

    Attributes:
        targets: by task, the names of its targets.
        data_key: changes whenever clips, frames, labels or the split do.
        reader: training windows.
        val_reader: validation windows, None without validation clips.
        network: not trained, with the statistics of the training features.
        objective: the network and its losses.
        chances: of each training window to be drawn, None if each is taken once.
        amp: the half precision to compute in, None for full.

    Raises:
        UsageError: tasks without labels, or nothing to train on.
        FeatureError: clips without the features that the recipe reads.
    """

    def __init__(
        self,
        recipe: Recipe,
        dataset: Dataset,
        train_clips: tuple[Clip, ...],
        val_clips: tuple[Clip, ...],
        seed: int,
        group: Processes,
        on_event: EventCallback,
        *,
        begun: bool = False,
        amp: str | None = None,
        init: Path | str | None = None,
    ) -> None:
        self.recipe = recipe
        self._on_event = on_event
        require_raw_voice(recipe)
        self.targets = targets_of(recipe, dataset)
        self._per_clip, self._group = dataset.per_clip, group
        self._data = data_facts(dataset, train_clips, val_clips)
        self.data_key = fingerprint([self._data["fingerprint"], self._data["clips"]])
        train_clips = learnable(train_clips, recipe)
        sizes = {task: len(names) for task, names in self.targets.items()}
        window = recipe.window
        windows = cut([clip.frames for clip in train_clips], window.length, window.overlap)
        windows = labelled(windows, train_clips, recipe.task_names)
        if not len(windows):
            raise UsageError(
                "there is no labelled frame to train on", "run `avaffect data check` on the data"
            )
        if not batch_count(len(windows), recipe.train.batch_size, group.world):
            raise UsageError(
                f"{len(windows)} windows in batches of {recipe.train.batch_size} are too few for "
                f"{group.world} processes",
                "start fewer processes, or raise train.batch_size",
            )
        self.reader = WindowReader(train_clips, recipe.roots, windows, sizes)
        self.val_reader = None
        if val_clips:
            self._tell_of_absent_classes(val_clips)
            self.val_reader = whole_clips(val_clips, recipe, sizes)
            if self.val_reader.widths != self.reader.widths:
                raise UsageError(
                    "training and validation clips have features of different widths",
                    "make all features with the same settings",
                )
        planned_shapes(recipe, self.reader.widths, sizes)  # refuses what would fill the memory
        # Weights are drawn the same in every process and on every device.
        torch.manual_seed(seed)
        self.network = AffectNetwork(recipe, self.reader.widths, sizes)
        self.network.set_statistics(
            {
                name: Statistics(*branch_moments(train_clips, branch))
                for name, branch in recipe.roots.items()
                if branch.normalise == "train" and branch.encoder is None
            }
        )
        if not begun:
            self._load_pretrained(on_event, self._start(init, val_clips))
        losses = {}
        for task, config in recipe.tasks.items():
            labels = (clip.labels[task] for clip in train_clips if task in clip.labels)
            weights = label_weights(task, config, labels, sizes[task])
            losses[str(task)] = build_loss(task, config, weights)
        self.objective = Objective(self.network, losses)
        self.chances = self._balanced(sizes) if recipe.train.sampling == "balanced" else None
        choice = amp if amp is not None and recipe.train.amp == "auto" else recipe.train.amp
        self.amp = choose_precision(choice, group.device, on_event)
        self._features = feature_settings((*train_clips, *val_clips), on_event, recipe.features)
        every = list(self.network.parameters())
        count = sum(parameter.numel() for parameter in every)
        frozen = sum(parameter.numel() for parameter in every if not parameter.requires_grad)
        on_event(
            Notice(
                f"device: {group.description}"
                + (f", {str(self.amp).removeprefix('torch.')}" if self.amp else "")
            )
        )
        on_event(
            Notice(
                f"{count:,} parameters"
                + (f", {frozen:,} of them frozen" if frozen else "")
                + f"; {len(windows):,} windows of {window.length} frames from "
                f"{len(train_clips)} clips, validation on {len(val_clips)}"
            )
        )

    def _tell_of_absent_classes(self, val_clips: tuple[Clip, ...]) -> None:
        """A class that nothing is labelled with counts 0 in the macro F1, as in the challenge."""
        for task, names in self.targets.items():
            mine = [clip.labels[task] for clip in val_clips if task in clip.labels]
            if not (TASKS[task].flat and mine):
                continue
            counts = np.sum([label_counts(task, labels, len(names)) for labels in mine], axis=0)
            if absent := [name for name, count in zip(names, counts, strict=True) if not count]:
                best = (len(names) - len(absent)) / len(names)
                self._on_event(
                    Notice(
                        f"no validation clip is labelled {' or '.join(absent)}: it counts as an "
                        f"F1 of 0, so that the score of '{task}' is at most {best:.3f}"
                    )
                )

    def _start(self, init: Path | str | None, val_clips: tuple[Clip, ...]) -> Collection[str]:
        """Take weights over; the branches that have some."""
        if init is None:
            return ()
        started = start_from(self.network, self.targets, init)
        self._on_event(Notice(f"started from '{init}': {started.text}"))
        self._data["started_from"] = started.checkpoint.sha256
        learnt = started.checkpoint.data.get("clips")
        learnt = learnt.get("train", ()) if isinstance(learnt, dict) else ()
        if seen := {clip.name for clip in val_clips} & {*map(str, learnt)}:
            text = (
                f"'{init}' was trained on {len(seen)} of the {len(val_clips)} validation clips, "
                f"such as '{min(seen)}': their scores are too good"
            )
            self._on_event(Notice(text, warning=True))
        return started.branches

    def _load_pretrained(self, on_event: EventCallback, started: Collection[str]) -> None:
        for name, branch in self.recipe.roots.items():
            if name in started:
                continue
            if isinstance(branch.encoder, Backbone) and branch.encoder.pretrained:
                encoder: Any = self.network.branches[name]
                found = load_pretrained(encoder.encoder.net, on_event)
                if not found and (frozen := branch.encoder.frozen):
                    on_event(
                        Notice(
                            f"of branch '{name}' {', '.join(frozen)} are frozen at random "
                            f'weights: changes=["branches.{name}.encoder.frozen=[]"] trains them',
                            warning=True,
                        )
                    )

    def _balanced(self, sizes: dict[str, int]) -> Any:
        windows, length = self.reader.windows, self.recipe.window.length
        rows = []
        for c, s in zip(windows.clip.tolist(), windows.start.tolist(), strict=True):
            labels = self.reader.clips[c].labels
            counts = [
                label_counts(task, labels[task][s : s + length], size).ravel()
                if task in labels
                else label_counts(task, TASKS[task].no_labels(0, size), size).ravel()
                for task, size in sizes.items()
            ]
            rows.append(np.concatenate(counts))
        return window_weights(np.stack(rows))

    def loader(self, order: Any, first: int, workers: int | None) -> Iterable[Batch]:
        """Batches of this process from the ``first`` on, read ahead where a GPU works."""
        share = batches(
            order,
            self.recipe.train.batch_size,
            first=first,
            rank=self._group.rank,
            world=self._group.world,
        )
        # It is said once, not in each epoch.
        on_event, self._on_event = self._on_event, ignore_events
        return read_ahead(self.reader, list(share), self._group.device, workers, on_event)

    def checkpoint(self, metrics: Mapping[str, float], epoch: int) -> Checkpoint:
        """The checkpoint of the network as it is now."""
        return Checkpoint(
            recipe=self.recipe,
            targets=self.targets,
            widths=self.reader.widths,
            per_clip=self._per_clip,
            features=self._features,
            data=self._data,
            metrics=metrics,
            epoch=epoch,
            versions=versions(),
        )


def learnable(clips: tuple[Clip, ...], recipe: Recipe) -> tuple[Clip, ...]:
    """Training clips with the labels that ``recipe`` learns from.

    With ``other_threshold`` frames of the class Other have no label: a window of nothing else is
    not trained on, nor do its frames come into batch statistics and weights of classes.
    """
    loss = recipe.tasks.get(EXPR.name)
    if loss is None or loss.other_threshold is None:
        return clips
    return tuple(
        replace(clip, labels={**clip.labels, EXPR.name: _without_other(clip.labels[EXPR.name])})
        if EXPR.name in clip.labels
        else clip
        for clip in clips
    )


def _without_other(labels: NDArray[Any]) -> NDArray[Any]:
    return np.where(labels == OTHER, EXPR.unknown, labels)


def require_raw_voice(recipe: Recipe) -> None:
    """Raise UsageError if augmentation wants decibels and a branch reads what is no longer any."""
    augment = recipe.train.augment
    for name, branch in recipe.branches.items():
        changed = branch.features == ("audio",) and (augment.vtlp or augment.gain_db)
        if changed and branch.normalise == "clip":
            raise UsageError(
                f"branch '{name}' normalises each clip, which vtlp and gain_db cannot follow",
                f"set branches.{name}.normalise=train, or both of them to 0",
            )


def targets_of(recipe: Recipe, dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """By task of the recipe, the names of its targets.

    Raises:
        UsageError: the dataset has no labels of a task.
    """
    for task in recipe.task_names:
        if task not in dataset.targets:
            have = list(dataset.targets)
            raise UsageError(
                f"recipe '{recipe.name}' trains '{task}', but the data is labelled with "
                f"{', '.join(have) or 'no task'}",
                f"choose tasks={json.dumps(have)}" if have else "give data with labels of it",
            )
    return {task: tuple(dataset.targets[task]) for task in recipe.task_names}
