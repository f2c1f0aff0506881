"""Thresholds of action units, tuned for F1 when asked.

The challenge's score takes 0.5 for every unit. A threshold a unit that maximises F1 on the
validation set scores higher there, and on that set only: published validation figures are often
inflated like this. Thresholds that predictions follow are those of ``predicting.tune``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import Edition, edition_named
from avaffect.challenge.places import subject_files
from avaffect.errors import FormatError
from avaffect.files.gaps import fill_gaps, policy_of
from avaffect.files.names import TABLES
from avaffect.files.outside import reading
from avaffect.files.table import read_table
from avaffect.metrics.evaluation import Pair

UNTUNED = 0.5


def apply(limits: Mapping[str, float], pairs: Sequence[Pair], edition: str) -> list[Pair]:
    """``pairs`` of probabilities (see `with_probabilities`) with presence 0, 1, -1 instead.

    Args:
        limits: by the unit's name, the score (``AU1_p`` ...) from which on it is present, 0..1.
        pairs: of the subjects.
        edition: whose units.
    """
    row = np.array([limits[name] for name in edition_named(edition).action_units])
    return [
        replace(
            pair,
            predicted=np.where(
                np.isnan(pair.predicted), -1, (pair.predicted >= row).astype(np.int64)
            ),
        )
        for pair in pairs
    ]


def with_probabilities(predictions: Path, pairs: Sequence[Pair], edition: str) -> list[Pair]:
    """``pairs`` of task au with probabilities (of starter models scores) instead of decisions.

    They are read from ``tables/<subject>.parquet`` beside the predictions, as ``predict`` writes
    them; rows without a value are filled by the policy of the text files.

    Args:
        predictions: the folder or file of predictions.
        pairs: of the subjects.
        edition: whose units.

    Returns:
        pairs whose ``predicted`` is float64 [N, K] in 0..1, NaN for none.

    Raises:
        InputNotFoundError: a table is missing.
        FormatError: a table without probabilities.
    """
    chosen = edition_named(edition)
    folder = tables_beside(predictions, chosen)
    tables = subject_files(folder, ".parquet")
    return [
        replace(
            pair,
            predicted=_probabilities(
                tables.get(pair.subject, folder / f"{pair.subject}.parquet"), chosen
            ),
        )
        for pair in pairs
    ]


def tables_beside(predictions: Path, edition: Edition) -> Path:
    """The folder of tables that belongs to a folder or file of predictions; it may be missing."""
    folder = predictions if predictions.is_dir() else predictions.parent
    # Given the folder of a task's files, the tables stand beside it.
    if not (folder / TABLES).is_dir() and folder.name in edition.every_folder:
        folder = folder.parent
    return folder / TABLES


def tune(pairs: Sequence[Pair], edition: str) -> dict[str, float]:
    """The threshold of each unit that has the highest F1 over all valid frames of all videos.

    Exact: every way to cut the sorted probabilities is tried. Of equally good ones it is the one
    next to 0.5; a unit that is never annotated as present keeps 0.5.

    Args:
        pairs: see `with_probabilities`.
        edition: whose units.
    """
    names = edition_named(edition).action_units
    scores, labels = [np.empty((0, len(names)))], [np.empty((0, len(names)), np.int64)]
    for pair in pairs:
        rows = min(len(pair.predicted), len(pair.annotated))
        predicted, annotated = pair.predicted[:rows], pair.annotated[:rows]
        use = ~np.isnan(predicted).any(axis=1) & (annotated != -1).all(axis=1)
        scores.append(predicted[use].astype(np.float64))
        labels.append(annotated[use].astype(np.int64))
    x, y = np.concatenate(scores), np.concatenate(labels)
    return {name: best_threshold(x[:, at], y[:, at]) for at, name in enumerate(names)}


def best_threshold(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The threshold with the highest F1, see `tune`.

    Args:
        scores: float64 [N] in 0..1.
        labels: int64 [N] of 0 and 1.
    """
    order = np.argsort(-scores, kind="stable")
    return best_of_sorted(scores[order], labels[order])


def best_of_sorted(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """As `best_threshold`, of scores that fall."""
    if not labels.any():
        return UNTUNED
    hits = labels.cumsum()
    # Cuts are behind the last of equal scores; the threshold lies between the two neighbours.
    cuts = np.flatnonzero(np.append(scores[1:] != scores[:-1], True))
    limits = np.append((scores[cuts[:-1]] + scores[cuts[:-1] + 1]) / 2, scores[-1])
    f1 = 2 * hits[cuts] / (cuts + 1 + hits[-1])
    called = int((scores >= UNTUNED).sum())
    limits = np.append(limits, UNTUNED)
    f1 = np.append(f1, 2 * (hits[called - 1] if called else 0) / (called + hits[-1]))
    best = limits[f1 == f1.max()]
    return float(best[np.abs(best - UNTUNED).argmin()])


def _probabilities(path: Path, edition: Edition) -> NDArray[np.float64]:
    columns, about = read_table(path)
    wanted = [f"{unit}_p" for unit in edition.action_units]
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise FormatError(
            f"'{path}' has no column {missing[0]}",
            'thresholds are tuned on probabilities of action units: predict them with task="au"',
        )
    with reading(path, FormatError, "holds no probabilities", 'predict again with task="au"'):
        values: NDArray[Any] = np.column_stack([columns[name] for name in wanted])
        # As in the text files, which the decisions that are scored elsewhere come from.
        times = columns.get("time", np.arange(len(values), dtype=np.float64))
        return fill_gaps(values, times, policy_of(about)).astype(np.float64)
