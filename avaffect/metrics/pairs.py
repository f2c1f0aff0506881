"""Finding and pairing predictions with annotations on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avaffect.errors import InputNotFoundError, UsageError
from avaffect.files.challenge import read_annotations
from avaffect.files.editions import edition_named
from avaffect.metrics.evaluation import Pair


def label_files(path: Path, task: str, edition: str) -> dict[str, Path]:
    """The files of one task, by subject.

    Args:
        path: a file, a folder of ``<subject>.txt``, or a folder that holds the edition's folder of
            the task, such as one that ``predict`` wrote.
        task: ``va``, ``expr`` or ``au``.
        edition: an edition of ``files.editions``.

    Raises:
        InputNotFoundError: if there are none.
    """
    if path.is_file():
        return {path.stem: path}
    folder = edition_named(edition).folders[task]
    for place in (path / folder, path):
        found = {file.stem: file for file in sorted(place.glob("*.txt"))}
        found.pop("predictions", None)
        if found:
            return found
    raise InputNotFoundError(
        f"there are no files of task '{task}' in '{path}'",
        f"give a folder of <subject>.txt, or one that holds {folder}/",
    )


def read_pairs(
    predictions: Path, annotations: Path, task: str, edition: str, *, partial: bool = False
) -> tuple[list[Pair], list[str]]:
    """Read the predictions of every annotated subject.

    Args:
        predictions: see :func:`label_files`.
        annotations: likewise.
        task: ``va``, ``expr`` or ``au``.
        edition: an edition of ``files.editions``.
        partial: leave out annotated subjects without a prediction.

    Returns:
        The pairs, by subject, and the annotated subjects that were left out.

    Raises:
        UsageError: if subjects have no prediction and ``partial`` is not set.
        FormatError: for a file that is not what it should be, naming file and line.
    """
    ours = label_files(predictions, task, edition)
    theirs = label_files(annotations, task, edition)
    if predictions.is_file() and annotations.is_file():
        ours = {annotations.stem: predictions}
    left_out = sorted(theirs.keys() - ours.keys())
    if left_out and (not partial or len(left_out) == len(theirs)):
        raise UsageError(
            f"{len(left_out)} of {len(theirs)} annotated subjects have no prediction "
            f"({_some(left_out)})",
            "predict them too, or score the others with --partial",
        )
    pairs = [
        Pair(
            subject,
            read_annotations(ours[subject], task, edition),
            read_annotations(theirs[subject], task, edition),
        )
        for subject in sorted(theirs.keys() & ours.keys())
    ]
    return pairs, left_out


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
