"""Validation clips as a training left them, predictions beside labels: `training.validation`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.challenge.layout import source_video
from avaffect.errors import FormatError
from avaffect.files.outside import reading
from avaffect.files.table import read_table
from avaffect.metrics.by_video import ClipFacts, Pair, clip_tally, kind_of
from avaffect.metrics.tallies import Tally
from avaffect.predicting.read_back import ASSUMED_FPS
from avaffect.predictions.smooth import Smoothing, smooth_task
from avaffect.tasks.registry import TASKS
from avaffect.training.score import decisions

Targets = Mapping[str, Sequence[str]]


@dataclass(frozen=True, eq=False, repr=False)
class ValidatedClip(ArrayRecord):
    """A validation clip.

    Attributes:
        name: of the subject.
        group: its video, or what else was kept together.
        times: float64 [N], seconds.
        assumed: whether the times are no more than a guess.
        values: by task, float32 [N, K], NaN where there is no prediction.
        labels: by task that it is labelled with, coded as in ``datasets.clip.Clip``.
        sha256: of its video; empty where nobody knows.
    """

    name: str
    group: str
    times: NDArray[np.float64]
    assumed: bool
    values: Mapping[str, NDArray[Any]]
    labels: Mapping[str, NDArray[Any]]
    sha256: str = ""

    @property
    def facts(self) -> ClipFacts:
        """Its name, group and frames."""
        return self.name, self.group, len(self.times)

    def smoothed(self, task: str, how: Smoothing) -> NDArray[np.float32]:
        """float32 [N, K], the values of ``task``, smoothed."""
        return smooth_task(task, self.values[task], self.times, how)

    def decided(self, task: str, how: Smoothing) -> Pair:
        """Decisions by the usual thresholds, and labels."""
        values = self.smoothed(task, how)
        return decisions(task, values, ~np.isnan(values[:, 0])), self.labels[task]

    def tally(self, task: str, targets: Sequence[str], how: Smoothing) -> Tally:
        """The sums that its score is made of, see `metrics.by_video`."""
        return clip_tally(task, self.decided(task, how), targets)


def kind_of_groups(clips: Sequence[ValidatedClip]) -> str:
    """What the groups of clips are, see `metrics.by_video.kind_of`."""
    return kind_of(clip.facts for clip in clips)


def read_validated(subject: str, path: Path, targets: Targets) -> ValidatedClip:
    """Read a validation table.

    Args:
        subject: whose it is.
        path: the table.
        targets: by task, the names of what is predicted.

    Raises:
        FormatError: the table is not what it should be.
    """
    columns, about = read_table(path)
    values: dict[str, NDArray[Any]] = {}
    labels: dict[str, NDArray[Any]] = {}
    hint = "give a run whose validation tables are whole"
    with reading(path, FormatError, "is no validation table", hint):
        for task, names in targets.items():
            ours = TASKS[task]
            values[task] = np.stack(
                [columns[ours.value_column(target)] for target in names], axis=1
            )
            if (found := ours.labels_in(columns, names)) is not None:
                labels[task] = found
        assumed = "time" not in columns
        frames = columns["frame"]
        times = (frames - 1) / ASSUMED_FPS if assumed else columns["time"]
    group = str(about.get("group", source_video(subject)))
    name = str(about.get("clip", subject))
    return ValidatedClip(name, group, times, assumed, values, labels, str(about.get("sha256", "")))
