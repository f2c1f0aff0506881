"""``files``: a text file a subject and task, laid out as the challenge's annotations."""

from __future__ import annotations

from pathlib import Path

from avaffect.challenge.editions import edition_named
from avaffect.challenge.text import subject_file_name, write_challenge
from avaffect.predicting.writers.writer import Ready, Writer


class SubjectText(Writer):
    """Writes ``<the edition's folder>/<subject>.txt`` for each task.

    Args:
        root: the output folder.
        edition: an edition of ``challenge.editions.EDITIONS``.
    """

    def __init__(self, root: Path, edition: str) -> None:
        self._root, self._edition = root, edition

    def files(self, subject: str) -> tuple[Path, ...]:
        name = subject_file_name(subject)
        folders = edition_named(self._edition).folders.values()
        return tuple(self._root / folder / name for folder in folders)

    def write(self, one: Ready) -> tuple[Path, ...]:
        return tuple(
            write_challenge(one.filled, task, self._root, self._edition)
            for task in one.filled.tasks
        )
