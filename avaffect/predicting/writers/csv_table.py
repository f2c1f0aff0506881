"""The table of each subject as text, for spreadsheets and statistics programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from numpy.typing import NDArray

from avaffect.files.csv_text import write_csv
from avaffect.files.names import TABLES
from avaffect.predicting.writers.writer import Ready, Writer


@dataclass(frozen=True)
class CsvTable(Writer):
    """Writes ``tables/<subject>.csv``: the columns of `Prediction.columns`, see `write_csv`.

    Attributes:
        root: the output folder.
        decimal: one of ``files.csv_text.DECIMALS``.
    """

    root: Path
    decimal: str = "point"

    def path(self, place: PurePath) -> Path:
        """The table of a subject, see `Ready.place`."""
        return self.root / TABLES / f"{place}.csv"

    def files(self, place: PurePath) -> tuple[Path, ...]:
        return (self.path(place),)

    def write(self, ready: Ready) -> tuple[Path, ...]:
        return self.write_columns(ready.place, ready.prediction.columns())

    def write_columns(
        self, place: PurePath, columns: Mapping[str, NDArray[Any]]
    ) -> tuple[Path, ...]:
        """As `write`, of a table that was read back."""
        path = self.path(place)
        write_csv(path, columns, self.decimal)
        return (path,)
