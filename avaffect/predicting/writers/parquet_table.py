"""Parquet tables with everything, written beside every form."""

from __future__ import annotations

from pathlib import Path, PurePath

from avaffect.files.names import TABLES
from avaffect.files.table import write_table
from avaffect.predicting.writers.writer import Ready, Writer


class ParquetTable(Writer):
    """Writes ``tables/<subject>.parquet``.

    Args:
        root: the output folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, place: PurePath) -> Path:
        """The table of a subject, see `Ready.place`."""
        return self._root / TABLES / f"{place}.parquet"

    def files(self, place: PurePath) -> tuple[Path, ...]:
        return (self.path(place),)

    def write(self, ready: Ready) -> tuple[Path, ...]:
        path = self.path(ready.place)
        write_table(path, ready.prediction.columns(), ready.about)
        return (path,)
