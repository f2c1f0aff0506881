"""Clips: features and labels of one subject, frame by frame, and datasets of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.errors import UsageError
from avaffect.files.npy import Array, ArraySpec
from avaffect.labels import SPLITS
from avaffect.tasks.registry import TASKS

INVALID_CLASS = -1


class FeatureSource(Protocol):
    """Features of one clip, read in slices; `store.subject.SubjectFeatures` is one.

    A frame whose row is NaN throughout has no features of that array (no face). The array
    ``audio`` has a companion ``has_sound`` (bool [N]) that is the same for the sound.
    """

    @property
    def frames(self) -> int:
        """N, the number of frames."""
        ...

    @property
    def specs(self) -> dict[str, ArraySpec]:
        """The arrays there are, by name."""
        ...

    def array(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows ``start`` to ``stop`` (0-based, as Python slices) of an array; read-only."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class Clip(ArrayRecord):
    """One subject in one video: its features and what it is labelled with.

    Attributes:
        name: the subject's name, e.g. ``video_left``; unique in a dataset.
        group: what folds must keep together, e.g. the source video, or the person.
        features: N frames of features.
        labels: by task, a row for each of the N frames: ``va`` float32 [N, V], NaN where invalid;
            ``expr`` int64 [N], -1 where invalid; ``au`` int8 [N, U] of 0, 1, and -1 where invalid.
            A task that the clip is not annotated with is absent.
        split: ``train``, ``val``, ``test``, or empty if the data has none.
        fold: the fold that the data puts the clip in, None if it has none.
        stimulus: what the person heard or saw, if folds must part that too; empty if not.

    Raises:
        UsageError: labels of a wrong shape, type or range.
    """

    name: str
    group: str
    features: FeatureSource
    labels: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    split: str = ""
    fold: int | None = None
    stimulus: str = ""

    def __post_init__(self) -> None:
        if self.split not in ("", *SPLITS):
            raise UsageError(f"split '{self.split}' is none of {', '.join(SPLITS)}")
        for task, labels in self.labels.items():
            if task not in TASKS:
                raise UsageError(f"'{task}' is none of {', '.join(TASKS)}")
            ours = TASKS[task]
            dims = len(ours.shape(0, 0))
            if labels.dtype != ours.dtype or labels.ndim != dims or len(labels) != self.frames:
                raise UsageError(
                    f"labels '{task}' of '{self.name}' are {labels.dtype} {labels.shape} for "
                    f"{self.frames} frames"
                )
            if fault := ours.fault(labels):
                raise UsageError(f"labels '{task}' of '{self.name}' {fault}")

    @property
    def frames(self) -> int:
        """N, the number of frames."""
        return self.features.frames

    def valid(self, task: str) -> NDArray[np.bool_]:
        """Where there is a label.

        Returns:
            bool, of the labels' shape; all False if the clip does not have the task.
        """
        return is_valid(task, self.labels[task])


def is_valid(task: str, labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Where labels, coded as in a :class:`Clip`, are valid: bool of their shape."""
    return TASKS[task].known(labels)


@dataclass(frozen=True)
class Dataset:
    """Clips and what their labels mean.

    Attributes:
        clips: in a fixed order.
        targets: by task, the names of what is predicted: of ``va`` the dimensions, of ``expr``
            the classes 0, 1, 2 ..., of ``au`` the units.
        per_clip: True if a clip as a whole is labelled (every frame then carries its label), and
            is scored as one.
        about: where all this comes from, JSON-able; saved beside each checkpoint.
        notes: what a user should know, a line each.

    Raises:
        UsageError: two clips of one name, or labels that do not fit ``targets``.
    """

    clips: tuple[Clip, ...]
    targets: Mapping[str, tuple[str, ...]]
    per_clip: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = [clip.name for clip in self.clips]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UsageError(f"two clips are called '{twice}'")
        for clip in self.clips:
            for task, labels in clip.labels.items():
                width = len(self.targets.get(task, ()))
                if not width or not TASKS[task].fits(labels, width):
                    raise UsageError(
                        f"labels '{task}' of '{clip.name}' do not fit {width} targets"
                    )

    def of(self, split: str) -> tuple[Clip, ...]:
        """The clips of a split."""
        return tuple(clip for clip in self.clips if clip.split == split)
