"""Finding and pairing predictions with annotations on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial as bound
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.challenge.editions import TRACKS, Edition, edition_for, edition_named
from avaffect.challenge.image_rows import is_image_list
from avaffect.challenge.layout import annotation_files, mtl_files
from avaffect.challenge.mtl import read_mtl
from avaffect.challenge.places import annotations_in
from avaffect.challenge.single import read_single
from avaffect.challenge.text import read_annotations
from avaffect.errors import InputNotFoundError, UsageError, setting
from avaffect.labels import SPLITS
from avaffect.metrics.bootstrap import RESAMPLES
from avaffect.metrics.evaluation import Evaluation, Pair, score_pairs
from avaffect.metrics.tallies import MTL, MTL_COLUMNS, Labels, join_mtl
from avaffect.tasks.registry import EXPR, VA, task_named

ALL = "all"
MTL_FILES = ("MTL_Challenge/MTL_predictions.txt", "MTL_predictions.txt")


@dataclass(frozen=True, eq=False, repr=False)
class FrameLabels(ArrayRecord):
    """Labels of one subject.

    Attributes:
        labels: [N] or [N, K], coded as in `evaluation.Pair`.
        frames: int64 [N], the rows' image numbers from 1 on, rising; None if row i is frame i + 1.
    """

    labels: Labels
    frames: NDArray[np.int64] | None = None

    @property
    def numbers(self) -> NDArray[np.int64]:
        """int64 [N], the rows' image numbers."""
        return np.arange(1, len(self.labels) + 1) if self.frames is None else self.frames

    def at(self, frames: NDArray[np.int64], none: Labels) -> Labels:
        """The rows of ``frames``, ``none`` (one row) where there is none."""
        mine = self.numbers
        places = np.searchsorted(mine, frames)
        there = places < len(mine)
        there[there] = mine[places[there]] == frames[there]
        found: Labels = np.empty((len(frames), *self.labels.shape[1:]), self.labels.dtype)
        found[:] = none
        found[there] = self.labels[places[there]]
        return found


# By subject, what reads the labels: only what is scored is read.
Source = Mapping[str, Callable[[], FrameLabels]]


@dataclass(frozen=True)
class Pairs:
    """Predictions and annotations that belong together.

    Attributes:
        pairs: by subject.
        left_out: annotated subjects without a prediction.
        split: of the annotations that were taken: ``train``, ``val``, ``test``, ``all``, or empty
            if the annotations have no splits.
    """

    pairs: tuple[Pair, ...]
    left_out: tuple[str, ...]
    split: str = ""


def read_pairs(
    predictions: Path,
    annotations: Path,
    task: str,
    edition: str,
    *,
    split: str | None = None,
    partial: bool = False,
) -> Pairs:
    """Read the predictions of every annotated subject.

    Args:
        predictions: a file of one subject; a list of many (``predictions.txt``, for mtl
            ``MTL_predictions.txt``); or a folder of either, or one that holds the edition's folder
            of the task, as ``predict`` writes it. For mtl also a folder with the files of all
            three tasks.
        annotations: likewise; or a dataset's root or its annotations in any edition's spelling.
            For mtl a multi-task file, or a folder with ``train_set.txt`` and so on.
        task: ``va``, ``expr``, ``au`` or ``mtl``.
        edition: an edition of ``challenge.editions``.
        split: which of the annotations' splits, or ``all``; None for ``val`` if there are splits.
        partial: leave out annotated subjects without a prediction.

    Raises:
        InputNotFoundError: if there are no files.
        UsageError: if subjects have no prediction and ``partial`` is not set, or there is no such
            split.
        FormatError: for a file that is not what it should be, naming file and line.
    """
    chosen = edition_named(edition)
    theirs, taken = _annotations(Path(annotations), task, chosen, split)
    ours = _predictions(Path(predictions), task, chosen)
    if _is_one_subject(predictions, ours) and _is_one_subject(annotations, theirs):
        ours = {next(iter(theirs)): next(iter(ours.values()))}
    left_out = sorted(theirs.keys() - ours.keys())
    if left_out and (not partial or len(left_out) == len(theirs)):
        raise UsageError(
            f"{len(left_out)} of {len(theirs)} annotated subjects have no prediction "
            f"({first_few(left_out)})",
            "predict them too, or score the others with partial=True",
        )
    pairs = [
        _pair(subject, ours[subject](), theirs[subject](), task)
        for subject in sorted(theirs.keys() & ours.keys())
    ]
    return Pairs(tuple(pairs), tuple(left_out), taken)


def read_truth(annotations: Path, task: str, edition: str) -> Source:
    """The annotations of all splits, by subject; each is read when it is called.

    Args:
        annotations, task, edition: see :func:`read_pairs`.

    Raises:
        InputNotFoundError: there are none of this task.
        UsageError: a subject is in two splits.
    """
    return _annotations(annotations, task, edition_named(edition), None, ALL)[0]


def evaluate(
    predictions: Path | str,
    annotations: Path | str,
    task: str,
    edition: str | None = None,
    *,
    split: str | None = None,
    partial: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Score files or folders of predictions with the challenge's official metric.

    >>> from avaffect import evaluate
    >>> evaluate("out", "annotations", "va").score  # doctest: +SKIP

    Args:
        predictions: a folder that ``predict`` wrote, a folder of ``<subject>.txt``, one such
            file, or a list of many; see :func:`read_pairs`.
        annotations: likewise, or a dataset's root in any edition's spelling.
        task: ``va``, ``expr``, ``au`` or ``mtl``.
        edition: an edition of ``challenge.editions``; None for the newest that has the task.
        split: which of the annotations' splits, or ``all``; None for ``val`` if there are splits.
        partial: leave out annotated subjects without a prediction.
        resamples: bootstrap resamples over videos.
        seed: of the bootstrap.

    Raises:
        UsageError: the edition does not have the task; otherwise as :func:`read_pairs`.
    """
    edition = edition_for(task, edition)
    found = read_pairs(
        Path(predictions), Path(annotations), task, edition, split=split, partial=partial
    )
    return score_pairs(found.pairs, task, edition, resamples=resamples, seed=seed)


def _pair(subject: str, mine: FrameLabels, truth: FrameLabels, task: str) -> Pair:
    if mine.frames is None and truth.frames is None:
        return Pair(subject, mine.labels, truth.labels)
    return Pair(subject, mine.at(truth.numbers, _none(task)), truth.labels)


def _predictions(path: Path, task: str, edition: Edition) -> Source:
    if task == MTL:
        for file in (path, *(path / name for name in MTL_FILES)):
            if file.is_file():
                return _mtl(file)
        return _three_tasks(path, edition)
    if path.is_file():
        return _file(path, task, edition)
    folder = edition.folder(task)
    for place in (path / folder, path):
        # Of any other folder, what lies deeper may be anything.
        files = annotations_in(place, deep=place.absolute().name == folder)
        if files:
            return _subject_files(files, task, edition)
        if (place / "predictions.txt").is_file():
            return _file(place / "predictions.txt", task, edition)
    raise InputNotFoundError(
        f"there are no files of task '{task}' in '{path}'",
        f"give a folder of <subject>.txt, or one that holds {folder}/",
    )


def _annotations(
    path: Path, task: str, edition: Edition, split: str | None, default: str = "val"
) -> tuple[Source, str]:
    """What reads the annotations, and the split they are of (empty if there are none)."""
    by_split: Mapping[str, Source] = {}
    if path.is_dir():
        try:
            if task == MTL:
                by_split = {name: _mtl(file) for name, file in mtl_files(path).items()}
            else:
                by_split = {
                    name: _subject_files(files, task, edition)
                    for name, files in annotation_files(path, task, edition.name).items()
                }
        except InputNotFoundError:
            if task == MTL:
                raise
    if not by_split:
        if split is not None:
            raise UsageError(
                f"'{path}' has no splits",
                "leave out split=..., or give the folder that holds them",
            )
        if task == MTL and not path.is_file():
            raise InputNotFoundError(f"there is no file '{path}'", "check the path")
        return _predictions(path, task, edition), ""
    wanted = split or default
    if wanted != ALL and wanted not in by_split:
        raise UsageError(
            f"'{path}' has no split '{wanted}' of task '{task}'",
            "choose " + setting("split", [*by_split, ALL]),
        )
    names = list(by_split) if wanted == ALL else [wanted]
    sources: dict[str, Callable[[], FrameLabels]] = {}
    for name in names:
        twice = sources.keys() & by_split[name].keys()
        if twice:
            raise UsageError(
                f"'{min(twice)}' is in two splits of '{path}'",
                f"choose one of {first_few(SPLITS)}",
            )
        sources |= by_split[name]
    return sources, wanted


def _file(path: Path, task: str, edition: Edition) -> Source:
    """A file of one subject, or a list of many."""
    if not is_image_list(path):
        return _subject_files({path.stem: path}, task, edition)
    return {
        subject: bound(FrameLabels, rows.labels, rows.frames)
        for subject, rows in read_single(path, task, edition.name).items()
    }


def _subject_files(files: Mapping[str, Path], task: str, edition: Edition) -> Source:
    def read(path: Path) -> FrameLabels:
        return FrameLabels(read_annotations(path, task, edition.name))

    return {subject: bound(read, path) for subject, path in files.items()}


def _mtl(path: Path) -> Source:
    return {
        subject: bound(FrameLabels, join_mtl(rows.va, rows.expr, rows.au), rows.frames)
        for subject, rows in read_mtl(path).items()
    }


def _three_tasks(path: Path, edition: Edition) -> Source:
    """The subjects that all three tasks have predictions of."""
    sources = {task: _predictions(path, task, edition) for task in TRACKS}

    def read(subject: str) -> FrameLabels:
        each = {task: sources[task][subject]() for task in TRACKS}
        frames = np.unique(np.concatenate([labels.numbers for labels in each.values()]))
        return FrameLabels(
            join_mtl(*(each[task].at(frames, _none(task)) for task in TRACKS)), frames
        )

    subjects = set.intersection(*(set(source) for source in sources.values()))
    return {subject: bound(read, subject) for subject in sorted(subjects)}


def _none(task: str) -> Labels:
    """What stands for a row without labels."""
    if task == MTL:
        none = np.full(MTL_COLUMNS, EXPR.invalid, np.float64)
        none[:2] = VA.invalid
        return none
    return np.array(task_named(task).invalid)


def _is_one_subject(path: Path, source: Source) -> bool:
    return len(source) == 1 and path.is_file() and not is_image_list(path)


def first_few(names: Sequence[str]) -> str:
    """The first three of many names, in quotes."""
    return ", ".join(f"'{name}'" for name in names[:3]) + (", ..." if len(names) > 3 else "")
