"""``csv``: the table of each subject as text, for spreadsheets and statistics programs."""

from __future__ import annotations

import csv
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.files.atomic import atomic_path
from avaffect.predicting.writers.writer import Ready, Writer

FOLDER = "csv"
# Rows that are text at a time.
_CHUNK = 8192


class CsvTable(Writer):
    """Writes ``csv/<subject>.csv``: a line of names, then a row a decoded frame.

    The columns are those of `Prediction.columns`. What is unknown is empty, yes is 1 and no is 0;
    numbers have a point and as many digits as give the same number back. UTF-8, commas, ``\\n``.

    Args:
        root: the output folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def files(self, place: PurePath) -> tuple[Path, ...]:
        return (self._root / FOLDER / f"{place}.csv",)

    def write(self, ready: Ready) -> tuple[Path, ...]:
        (path,) = self.files(ready.place)
        columns = ready.prediction.columns()
        with (
            atomic_path(path) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(columns)
            for start in range(0, len(ready.prediction), _CHUNK):
                part = slice(start, start + _CHUNK)
                texts = (_texts(values[part]) for values in columns.values())
                rows.writerows(zip(*texts, strict=True))
        return (path,)


def _texts(values: NDArray[Any]) -> list[str]:
    if values.dtype == object:
        return ["" if value is None else str(value) for value in values]
    if values.dtype == bool:
        values = values.astype(np.int8)
    texts = values.astype(str)
    if values.dtype.kind == "f":
        texts[np.isnan(values)] = ""
    return [str(text) for text in texts]
