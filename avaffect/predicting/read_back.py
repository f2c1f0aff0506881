"""Folders of predictions, read back: what `predict` or a training run left, or challenge files.

Tables carry probabilities and times. Folders without tables, such as another team's, hold labels
alone: these count as certain (one-hot classes, units of 0 or 1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import TRACKS, Edition, edition_named
from avaffect.challenge.mtl import read_mtl
from avaffect.challenge.places import annotations_in, subject_files
from avaffect.challenge.single import read_single
from avaffect.challenge.text import read_annotations
from avaffect.errors import FormatError, InputNotFoundError, UsageError, boundary
from avaffect.files.names import TABLES
from avaffect.files.outside import reading
from avaffect.files.table import read_table
from avaffect.metrics.pairs import MTL_FILES, FrameLabels
from avaffect.predictions.prediction import Prediction
from avaffect.tasks.kinds import Units
from avaffect.tasks.registry import TASKS

_AGAIN = "predict again, or name another folder"
ASSUMED_FPS = 30.0
_VALIDATION = "validation"

Times = NDArray[np.float64]


class Predictions(Protocol):
    """The predictions of many subjects."""

    @property
    def root(self) -> Path:
        """The folder as it was named."""

    @property
    def subjects(self) -> frozenset[str]:
        """Their names."""

    def times(self, subject: str) -> Times | None:
        """float64 [N], seconds since a subject's first frame; None if the folder does not know."""

    def read(self, subject: str, times: Times | None = None) -> Prediction:
        """One subject's prediction.

        Args:
            subject: one of ``subjects``.
            times: float64 [N], for folders that know no times; None assumes 30 frames a second.

        Raises:
            FormatError: what is there is damaged, or has another number of frames.
        """


@boundary()
def open_predictions(root: Path, edition: str) -> Predictions:
    """The predictions in a folder.

    Args:
        root: a folder that `predict` or `blend` wrote; a training run's or its ``validation/``;
            or one with the challenge's files in the edition's folders.
        edition: whose files and folders, where there are no tables.

    Raises:
        InputNotFoundError: there are none.
        FormatError: a list of predictions that is not what it should be.
        UsageError: two tables of one subject.
    """
    chosen = edition_named(edition)
    if tables := table_files(root):
        return Tables(Path(root), tables)
    return Labels(Path(root), {task: _label_files(Path(root), task, chosen) for task in TASKS})


def table_files(root: Path) -> dict[str, Path]:
    """The tables in a folder of predictions or of a training run, all its folds' together.

    Returns:
        paths by subject, see `places.subject_files`; empty without any.

    Raises:
        UsageError: two tables of one subject.
    """
    root = Path(root)
    places = (root, root / _VALIDATION, *sorted(root.glob(f"fold-*/{_VALIDATION}")))
    found: dict[str, Path] = {}
    for place in places:
        for subject, path in subject_files(place / TABLES, ".parquet").items():
            if found.setdefault(subject, path) != path:
                raise UsageError(
                    f"'{found[subject]}' and '{path}' are of the same subject",
                    "name the folder of one of them",
                )
    return found


@dataclass(frozen=True)
class Tables:
    """Predictions in parquet tables, see `open_predictions`."""

    root: Path
    files: Mapping[str, Path]

    @property
    def subjects(self) -> frozenset[str]:
        """See `Predictions`."""
        return frozenset(self.files)

    def times(self, subject: str) -> Times | None:
        """See `Predictions`."""
        columns, _ = read_table(self.files[subject])
        times = columns.get("time")
        # Whatever clock the table has: from the first frame on.
        return None if times is None else times - times[:1]

    def read(self, subject: str, times: Times | None = None) -> Prediction:
        """See `Predictions`."""
        path = self.files[subject]
        columns, about = read_table(path)
        with reading(path, FormatError, "holds no predictions of avaffect's", _AGAIN):
            model = str(about["model"])
            if "present" in columns:
                limits = about.get("au_thresholds")
                return Prediction.from_columns(columns, subject, model, limits)
            return _validated(columns, subject, model, times)


@dataclass(frozen=True)
class Labels:
    """Predictions in challenge files alone, see `open_predictions`.

    Attributes:
        files: by task, by subject, what reads the labels.
    """

    root: Path
    files: Mapping[str, Mapping[str, Callable[[], FrameLabels]]]

    def __post_init__(self) -> None:
        if not self.subjects:
            raise InputNotFoundError(
                f"there are no predictions in '{self.root}'",
                "give a folder that `avaffect predict` wrote, a training run's, or one that holds "
                "the challenge's folders, such as VA_Estimation_Challenge/",
            )

    @property
    def subjects(self) -> frozenset[str]:
        """See `Predictions`."""
        return frozenset().union(*self.files.values())

    def times(self, subject: str) -> Times | None:
        """See `Predictions`."""
        return None

    def read(self, subject: str, times: Times | None = None) -> Prediction:
        """See `Predictions`."""
        found = {task: some[subject]() for task, some in self.files.items() if subject in some}
        frames = max(
            (int(labels.numbers[-1]) for labels in found.values() if len(labels.numbers)),
            default=0,
        )
        if times is None:
            times = np.arange(frames) / ASSUMED_FPS
        for task, labels in found.items():
            # A list may leave out frames; a subject's own file has a row for each.
            last = int(labels.numbers[-1]) if len(labels.numbers) else 0
            if last > len(times) or (labels.frames is None and last != len(times)):
                raise FormatError(
                    f"'{subject}' has {last} rows of task '{task}' in '{self.root}' for "
                    f"{len(times)} frames",
                    "the files are not of the same video, or rows are missing",
                )
        numbers = np.arange(1, len(times) + 1)
        values: dict[str, Any] = {
            task: TASKS[task].certain(labels.at(numbers, np.array(TASKS[task].invalid)))
            for task, labels in found.items()
        }
        known = np.any([~np.isnan(array).all(axis=1) for array in values.values()], axis=0)
        return Prediction(
            subject,
            f"files of {self.root.name}",
            times,
            known,
            np.full(len(times), np.nan, np.float32),
            **values,
        )


def _label_files(
    root: Path, task: str, edition: Edition
) -> Mapping[str, Callable[[], FrameLabels]]:
    """Readers of each subject's labels of a task, [N, 12] for units."""
    place = root / edition.folder(task)
    files = annotations_in(place)
    if files:
        return {name: partial(_read_file, path, task, edition) for name, path in files.items()}
    if (place / "predictions.txt").is_file():
        return {
            subject: partial(FrameLabels, _all_units(listed.labels, task, edition), listed.frames)
            for subject, listed in read_single(
                place / "predictions.txt", task, edition.name
            ).items()
        }
    for path in (root / name for name in MTL_FILES):
        if path.is_file() and task in TRACKS:
            return {
                subject: partial(FrameLabels, getattr(listed, task), listed.frames)
                for subject, listed in read_mtl(path).items()
            }
    return {}


def _read_file(path: Path, task: str, edition: Edition) -> FrameLabels:
    return FrameLabels(_all_units(read_annotations(path, task, edition.name), task, edition))


def _all_units(labels: NDArray[Any], task: str, edition: Edition) -> NDArray[Any]:
    """Labels of units in the columns of ``ACTION_UNITS``."""
    ours, targets = TASKS[task], edition.targets(task)
    if not isinstance(ours, Units):
        return labels
    known = [at for at, name in enumerate(targets) if name in ours.targets]
    out = np.full((len(labels), len(ours.targets)), ours.invalid)
    out[:, [ours.targets.index(targets[at]) for at in known]] = labels[:, known]
    return out


def _validated(
    columns: Mapping[str, NDArray[Any]], subject: str, model: str, times: Times | None
) -> Prediction:
    """A prediction from a table that `training.validation` wrote."""
    frames = len(columns["frame"])
    times = columns.get("time", times)
    seen = [values for name, values in columns.items() if name.startswith("seen_")]
    values: dict[str, Any] = {}
    for name, task in TASKS.items():
        if targets := task.targets_in(columns):
            found = np.stack([columns[task.value_column(target)] for target in targets], axis=1)
            values[name] = task.coded(targets, found)
    return Prediction(
        subject,
        model,
        np.arange(frames) / ASSUMED_FPS if times is None else times,
        np.any(seen, axis=0) if seen else np.ones(frames, bool),
        np.full(frames, np.nan, np.float32),
        **values,
    )
