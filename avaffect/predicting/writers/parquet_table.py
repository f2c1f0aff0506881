"""Parquet tables with everything, written beside every form."""

from __future__ import annotations

from pathlib import Path

from avaffect.challenge.text import subject_file_name
from avaffect.files.table import write_table
from avaffect.predicting.writers.writer import Ready, Writer

TABLES = "tables"


class ParquetTable(Writer):
    """Writes ``tables/<subject>.parquet``.

    Args:
        root: the output folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, subject: str) -> Path:
        """Where the table of a subject lies."""
        name = subject_file_name(subject).removesuffix(".txt")
        return self._root / TABLES / f"{name}.parquet"

    def files(self, subject: str) -> tuple[Path, ...]:
        return (self.path(subject),)

    def write(self, one: Ready) -> tuple[Path, ...]:
        path = self.path(one.subject)
        write_table(path, one.prediction.columns(), one.about)
        return (path,)
