"""A table that grows while frames come: a row a person and frame, as CSV."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import ForeignFileError, UsageError, output_error
from avaffect.files.csv_text import csv_head, csv_lines
from avaffect.live.session import FramePrediction

# Rows come to the disk together.
_ROWS = 25
_ENDING = ".csv"
# What every table of ours begins with.
_START = "frame,time,person,"


class LiveTable:
    """Writes results as they come.

    Until the end the file is called ``NAME.csv.part``: others may read it, and it stays if the
    process is killed. At the end it takes its name. No rows: a file with the columns alone, or
    without any where nobody was seen.

    Args:
        path: the file, ``.csv``.
        overwrite: replace a table that a run before wrote.

    Raises:
        UsageError: another ending, or the file is there.
        ForeignFileError: a file is in the way that is no such table.
        OutputError: it cannot be written.
    """

    def __init__(self, path: Path, overwrite: bool = False) -> None:
        if path.suffix.lower() != _ENDING:
            raise UsageError(f"'{path}' is no name of a CSV file", "let it end in .csv")
        self.path, self.part = path, path.with_name(path.name + ".part")
        for there in (path, self.part):
            _require_free(there, overwrite or there is self.part)
        self._file: TextIO | None = None
        self._names: list[str] = []
        self._rows: list[dict[str, NDArray[Any]]] = []
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.part.open("w", encoding="utf-8", newline="")
        except OSError as error:
            raise output_error(path, error) from error

    def add(self, results: list[FramePrediction]) -> None:
        """Add rows."""
        for result in results:
            columns = result.prediction.columns()
            del columns["filled"]
            columns["frame"] = np.array([result.frame + 1])
            columns["time"] = np.array([result.time])
            head = {"frame": columns.pop("frame"), "time": columns.pop("time")}
            self._rows.append(head | {"person": np.array([result.track])} | columns)
        if len(self._rows) >= _ROWS:
            self.flush()

    def flush(self) -> None:
        """Bring what was added to the file."""
        if self._file is None or not self._rows:
            return
        try:
            if not self._names:
                self._names = list(self._rows[0])
                self._file.write(csv_head(self._names))
            block = {
                name: np.concatenate([row[name] for row in self._rows]) for name in self._names
            }
            self._file.write(csv_lines(self._names, block))
            self._file.flush()
        except OSError as error:
            raise output_error(self.path, error) from error
        self._rows.clear()

    def close(self) -> None:
        """Give the file its name."""
        if self._file is None:
            return
        try:
            self.flush()
            self._file.close()
            self._file = None
            if not self._names:
                self.part.write_text(f"{_START[:-1]}\n", encoding="utf-8")
            self.part.replace(self.path)
        except OSError as error:
            raise output_error(self.path, error) from error


def _require_free(path: Path, overwrite: bool) -> None:
    """Nothing of others' is in the way; nothing of ours that is not to be replaced."""
    start = ""
    if not path.exists():
        return
    with suppress(OSError, UnicodeDecodeError), path.open(encoding="utf-8") as file:
        start = file.read(len(_START))
    if start and start != _START and start.rstrip("\n") != _START[:-1]:
        raise ForeignFileError(f"'{path}' is no table of `avaffect live`", "choose another name")
    if not path.is_file():
        raise ForeignFileError(f"'{path}' is no file", "choose another name")
    if not overwrite:
        raise UsageError(f"'{path}' is there already", "use overwrite=True, or another name")
