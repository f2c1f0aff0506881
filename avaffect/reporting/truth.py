"""Annotations beside predictions: the labels of each frame, and how well they agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.challenge.editions import DEFAULT_EDITION, MTL_EDITIONS
from avaffect.challenge.image_rows import is_image_list
from avaffect.datasets.columns import ColumnMap
from avaffect.datasets.own_files import label_files
from avaffect.datasets.table_labels import TableLabels
from avaffect.datasets.tables import Table as LabelTable
from avaffect.datasets.tables import read_any
from avaffect.drawing.subjects import Table
from avaffect.errors import FormatError, InputNotFoundError, UsageError
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.metrics.evaluation import Evaluation, Pair, score_pairs
from avaffect.metrics.pairs import read_truth
from avaffect.metrics.tallies import MTL, split_mtl
from avaffect.tasks.registry import AU, EXPR, TASKS, VA

_OWN = ("valence", "arousal", "expression")

Labels = NDArray[Any]
# By subject, what reads the labels of a table's frames, by task.
Annotations = Mapping[str, Callable[[Table], dict[str, Labels]]]


@dataclass(frozen=True, eq=False, repr=False)
class Truth(ArrayRecord):
    """What a person's frames are annotated with.

    Attributes:
        labels: by task, a row a frame of the table, as the challenge codes them: va float64
            [N, 2], -5 for none; expr int64 [N], au int64 [N, 12], -1 for none.
        scores: by task, agreement by name, such as ``CCC valence`` or ``F1 Fear``, and ``mean F1``
            of what the annotations can test; the rest is left out.
        frames: by task, how many frames were compared.
    """

    labels: Mapping[str, Labels]
    scores: Mapping[str, Mapping[str, float]]
    frames: Mapping[str, int]


def open_annotations(root: Path) -> Annotations:
    """The annotations in a folder or file, by subject.

    Either the challenge's files, in any split and edition's spelling; or tables (CSV, parquet) of
    one subject each, called as the subject is. Their columns are called as those of `predict`:
    ``valence``, ``arousal``, ``expression`` (a name), ``AU1`` ...; rows are matched by a column
    ``frame`` or ``time`` (seconds since the first frame), else one row is one frame.

    Raises:
        InputNotFoundError: there are none.
        UsageError: two files of one subject.
    """
    found: dict[str, dict[str, Callable[[], Any]]] = {}
    # A list of pictures may be of all tasks, or of one.
    if root.is_file() and is_image_list(root):
        with suppress(FormatError):
            for subject, read in read_truth(root, MTL, MTL_EDITIONS[-1]).items():
                found[subject] = {MTL: read}
    for task in (VA.name, EXPR.name, AU.name) if not found else ():
        with suppress(InputNotFoundError):
            for subject, read in read_truth(root, task, DEFAULT_EDITION).items():
                found.setdefault(subject, {})[task] = read
    if not found:
        with suppress(UsageError, FormatError):
            for subject, read in read_truth(root, MTL, MTL_EDITIONS[-1]).items():
                found[subject] = {MTL: read}
    if found:
        return {subject: _of_challenge(reads) for subject, reads in found.items()}
    single = {root.stem: root} if root.is_file() else {}
    tables = label_files(root) if root.is_dir() else single
    if not tables:
        raise InputNotFoundError(
            f"there are no annotations in '{root}'",
            "give the challenge's files, or tables with columns such as valence and AU12",
        )
    return {subject: _of_table(path) for subject, path in tables.items()}


def truth_of(table: Table, annotations: Annotations) -> Truth | None:
    """What is known of a table's subject; None if it is not annotated.

    Raises:
        FormatError: a file that is not what it should be, naming file and line.
    """
    read = annotations.get(table.subject)
    if read is None:
        return None
    labels = read(table)
    scores: dict[str, dict[str, float]] = {}
    frames: dict[str, int] = {}
    for task, truth in labels.items():
        mine = _predicted(table, task)
        if mine is None:
            continue
        # Without a frame that has both there is no score.
        with suppress(UsageError):
            scored = score_pairs([Pair(table.subject, mine, truth)], task, DEFAULT_EDITION)
            frames[task] = scored.frames
            scores[task] = _parts(scored)
    return Truth(labels, scores, frames)


def _parts(scored: Evaluation) -> dict[str, float]:
    known = {
        name: value
        for name, value in scored.parts.items()
        if name.startswith(("CCC ", "F1 ")) and name not in scored.absent and isfinite(value)
    }
    ones = [value for name, value in known.items() if name.startswith("F1 ")]
    return {"mean F1": float(np.mean(ones))} | known if ones else known


def _of_challenge(
    reads: Mapping[str, Callable[[], Any]],
) -> Callable[[Table], dict[str, Labels]]:
    def read(table: Table) -> dict[str, Labels]:
        numbers = table.columns["frame"].astype(np.int64)
        found: dict[str, Labels] = {}
        for task, source in reads.items():
            if task == MTL:
                rows = source()
                none = np.full(rows.labels.shape[1], -1.0)
                none[:2] = VA.invalid
                found |= split_mtl(rows.at(numbers, none))
            else:
                found[task] = source().at(numbers, np.array(TASKS[task].invalid))
        return found

    return read


def _of_table(path: Path) -> Callable[[Table], dict[str, Labels]]:
    def read(table: Table) -> dict[str, Labels]:
        labels = read_any(path)
        own: dict[str, Any] = {name: name for name in _OWN if name in labels.names}
        units = tuple((name, name) for name in ACTION_UNITS if name in labels.names)
        if not own and not units:
            raise FormatError(
                f"'{path}' has no column of annotations",
                "call the columns valence, arousal, expression, AU1, AU2 and so on",
            )
        columns = ColumnMap(**own, action_units=units, classes=EXPRESSIONS)
        rows = _rows(table, labels)
        classes = {EXPR.name: EXPRESSIONS} if columns.expression else {}
        found = TableLabels.read(labels, columns).at(rows, classes)
        whole: dict[str, Labels] = {}
        if VA.name in found:
            values = np.full((len(rows), 2), float(VA.invalid))
            for at, name in enumerate(columns.of(VA)):
                place = ("valence", "arousal").index(name)
                values[:, place] = np.nan_to_num(found[VA.name][:, at], nan=float(VA.invalid))
            whole[VA.name] = values
        if EXPR.name in found:
            whole[EXPR.name] = found[EXPR.name].astype(np.int64)
        if AU.name in found:
            active = np.full((len(rows), len(ACTION_UNITS)), -1, np.int64)
            for at, name in enumerate(columns.of(AU)):
                active[:, ACTION_UNITS.index(name)] = found[AU.name][:, at]
            whole[AU.name] = active
        return whole

    return read


def _rows(table: Table, labels: LabelTable) -> NDArray[np.int64]:
    """int64 [N], the row of labels of each frame, -1 for none."""
    frames = len(table.times)
    if "frame" in labels.names:
        have, wanted, reach = labels.numbers("frame"), table.columns["frame"].astype(float), 0.5
    elif "time" in labels.names:
        have, wanted = labels.numbers("time"), table.times
        reach = float(np.median(np.diff(have))) / 2 + 1e-6 if len(have) > 1 else 0.5
    else:
        rows = np.arange(frames)
        return np.where(rows < labels.rows, rows, -1)
    order = np.argsort(have)
    ranked = have[order]
    right = np.searchsorted(ranked, wanted).clip(0, len(ranked) - 1)
    left = np.maximum(right - 1, 0)
    near = np.where(np.abs(ranked[left] - wanted) <= np.abs(ranked[right] - wanted), left, right)
    within = np.abs(ranked[near] - wanted) <= reach
    return np.where(within, order[near], -1).astype(np.int64)


def _predicted(table: Table, task: str) -> Labels | None:
    """What the table predicts, as the challenge codes it; None if it does not."""
    if task == VA.name:
        values = table.numbers("valence", "arousal").astype(np.float64)
        known = np.asarray(np.isfinite(values).all(axis=1), bool)
        return np.where(known[:, None], values, float(VA.invalid)) if known.any() else None
    if task == EXPR.name:
        likeliest = table.likeliest()
        return likeliest if (likeliest >= 0).any() else None
    active = table.numbers(*ACTION_UNITS)
    known = np.isfinite(active)
    return np.where(known, np.nan_to_num(active), -1).astype(np.int64) if known.any() else None
