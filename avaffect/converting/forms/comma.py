"""``csv``: the table as it is, a row a frame; see `files.csv_text.write_csv`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from avaffect.converting.form import Choices, Files, ending
from avaffect.converting.recording import Recording
from avaffect.converting.rows import Rows
from avaffect.files.csv_text import write_csv_blocks


def files(recording: Recording, choices: Choices) -> Files:
    """``<person>.csv`` each."""
    return [
        (ending(rows.place, ".csv"), partial(_write, rows, choices)) for rows in recording.people
    ]


def _write(rows: Rows, choices: Choices, path: Path) -> None:
    write_csv_blocks(path, rows.names, rows.blocks(), choices.decimal)
