"""How well a blend, and each of its folders, agrees with the labels of validation clips.

Labels lie in the tables that a training wrote of its validation clips, see `training.validation`;
folders without such tables are scored on the same clips.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.files.names import CLIPS
from avaffect.files.table import read_names
from avaffect.metrics.by_video import ClipFacts, Scored, clip_tally, scored
from avaffect.metrics.tallies import Tally
from avaffect.predicting.validated import read_validated
from avaffect.predictions.blend import blend
from avaffect.predictions.prediction import Prediction
from avaffect.tasks.registry import TASKS
from avaffect.training.score import decisions, mean_prediction


@dataclass(frozen=True, eq=False, repr=False)
class Labelled(ArrayRecord):
    """The labels of a clip.

    Attributes:
        clip: its name, group and frames.
        labels: by task that can be scored, coded as in ``datasets.clip.Clip``.
        targets: by task, the names of the labels' dimensions, classes or units.
        whole: whether the clip has one label, and counts as one.
    """

    clip: ClipFacts
    labels: dict[str, NDArray[Any]]
    targets: dict[str, tuple[str, ...]]
    whole: bool


def labels_of(subject: str, tables: Iterable[Path]) -> Labelled | None:
    """The labels of a subject in the first of its tables that has any; None if none has.

    Raises:
        FormatError: a table is damaged.
    """
    for path in tables:
        columns = read_names(path)
        if not any(name.startswith("label_") for name in columns):
            continue
        # Only what a `Prediction` has too; of classes the first ones, in its order.
        targets = {}
        for name, task in TASKS.items():
            found = tuple(task.targets_in(columns))
            if found and set(found) <= set(task.targets):
                targets[name] = found
        clip = read_validated(subject, path, targets)
        whole = (path.parents[1] / CLIPS).is_file()
        return Labelled(clip.facts, dict(clip.labels), targets, whole)
    return None


class BlendScores:
    """Collects predictions of labelled clips, of each folder and of their blend.

    Args:
        folders: how many there are.
    """

    def __init__(self, folders: int) -> None:
        self.folders = folders
        self._tallies: dict[tuple[int, str], list[Tally]] = {}
        self._clips: dict[tuple[int, str], list[ClipFacts]] = {}
        self._targets: dict[str, tuple[str, ...]] = {}

    def add(self, labelled: Labelled, each: Sequence[Prediction], blended: Prediction) -> None:
        """Count a clip.

        Args:
            labelled: its labels.
            each: its prediction in each folder, as it is there.
            blended: the blend, without values that stand in for missing ones.
        """
        for at, prediction in enumerate((*each, blended)):
            # Alone, a prediction is itself without what was filled in.
            own = blended if at == self.folders else blend([prediction])
            for task, labels in labelled.labels.items():
                targets = self._targets.setdefault(task, labelled.targets[task])
                if task not in own.tasks or targets != labelled.targets[task]:
                    continue
                pair = _pair(own, task, targets, labels, whole=labelled.whole)
                self._tallies.setdefault((at, task), []).append(clip_tally(task, pair, targets))
                self._clips.setdefault((at, task), []).append(labelled.clip)

    @property
    def parts(self) -> tuple[dict[str, Scored], ...]:
        """By task, the score of each folder in their order, and last that of the blend."""
        found: tuple[dict[str, Scored], ...] = tuple({} for _ in range(self.folders + 1))
        for (at, task), tallies in self._tallies.items():
            clips = self._clips[at, task]
            found[at][task] = scored(tallies, clips, task, self._targets[task])
        return found


def _pair(
    prediction: Prediction,
    task: str,
    targets: tuple[str, ...],
    labels: NDArray[Any],
    *,
    whole: bool,
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Decisions and labels; of a clip with one label one row, of the mean prediction."""
    if not whole:
        return prediction.labels(task, targets), labels
    columns = [TASKS[task].targets.index(name) for name in targets]
    mean = mean_prediction(prediction.values[task][:, columns])
    return decisions(task, mean, ~np.isnan(mean[:, 0])), labels[:1]
