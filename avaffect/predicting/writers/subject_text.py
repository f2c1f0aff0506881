"""``files``: a text file a subject and task, laid out as the challenge's annotations."""

from __future__ import annotations

from pathlib import Path, PurePath

from avaffect.challenge.editions import edition_named
from avaffect.challenge.text import labels_of, write_annotations
from avaffect.predicting.writers.writer import Ready, Writer
from avaffect.tasks.registry import TASKS


class SubjectText(Writer):
    """Writes ``<the edition's folder>/<subject>.txt`` for each task.

    Args:
        root: the output folder.
        edition: an edition of ``challenge.editions.EDITIONS``.
    """

    def __init__(self, root: Path, edition: str) -> None:
        self._root, self._edition = root, edition

    def files(self, place: PurePath) -> tuple[Path, ...]:
        return tuple(self._path(place, task) for task in TASKS)

    def write(self, ready: Ready) -> tuple[Path, ...]:
        tasks = ready.filled.tasks
        for task in tasks:
            labels = labels_of(ready.filled, task, self._edition)
            write_annotations(self._path(ready.place, task), labels, task, self._edition)
        return tuple(self._path(ready.place, task) for task in tasks)

    def _path(self, place: PurePath, task: str) -> Path:
        return self._root / edition_named(self._edition).folder(task) / f"{place}.txt"
