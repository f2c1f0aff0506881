"""What was found in a data set in the layout of Aff-Wild2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from avaffect.datasets.inventory import CropCheck, FeatureCheck, VideoCheck

BINS = ("fewer", "-1", "0", "+1", "+2", "more")


@dataclass(frozen=True)
class Part:
    """The labels of one task in one split.

    Attributes:
        kind: ``va``, ``expr`` or ``au`` for files a subject, ``mtl`` for the multi-task file.
        task: ``va``, ``expr`` or ``au``.
        split: ``train``, ``val`` or ``test``.
        tracks: annotated subjects.
        videos: the videos they are in.
        labelled: frames with a label; of ``au`` those with one for any unit.
        invalid: frames without.
        values: by target. Of ``va`` its ``mean``, ``sd``, ``min`` and ``max``; of ``expr`` the
            ``count`` of frames and their ``share`` (0..1); of ``au`` the ``count`` of positive
            frames and their ``share``. None where there is no label.
    """

    kind: str
    task: str
    split: str
    tracks: int
    videos: int
    labelled: int
    invalid: int
    values: Mapping[str, Mapping[str, float | None]]


@dataclass(frozen=True)
class RowCheck:
    """Label rows against frames.

    Attributes:
        against: where the numbers of frames are from, ``features`` or ``video headers``.
        counts: label files by rows minus frames, see ``BINS``.
        worst: the files that are farthest off, by more than one row, and by how many.
    """

    against: str
    counts: Mapping[str, int]
    worst: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Report:
    """The contents of a data set, and its faults.

    Attributes:
        root: the data set.
        edition: what the label files were read as.
        parts: a row a task and split.
        rows: None if there is nothing to compare with. So with the next three.
        videos: None if ``root`` has no folder ``videos``.
        crops: None if ``root`` has no folder ``cropped_aligned``.
        features: None if no folder was given.
        errors: lines that cannot be read, with file and line; of a file at most 100.
        reasons: why training cannot start.
        warnings: what should be looked at.
        remarks: what is odd but usual.
    """

    root: str
    edition: str
    parts: tuple[Part, ...]
    rows: RowCheck | None
    videos: VideoCheck | None
    crops: CropCheck | None
    features: FeatureCheck | None
    errors: tuple[str, ...]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether training can start."""
        return not self.reasons
