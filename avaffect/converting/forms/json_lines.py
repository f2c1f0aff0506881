"""``jsonl``: an object a frame, a line each. What is unknown is null."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from avaffect.converting.form import Choices, Files, ending
from avaffect.converting.recording import Recording
from avaffect.converting.rows import Block, Rows
from avaffect.files.atomic import atomic_path
from avaffect.files.table import arrow_array

_NULL, _TRUE, _FALSE = "null", "true", "false"


def files(recording: Recording, choices: Choices) -> Files:
    """``<person>.jsonl`` each: ``subject``, then the columns of the table."""
    return [(ending(rows.place, ".jsonl"), partial(_write, rows)) for rows in recording.people]


def _write(rows: Rows, path: Path) -> None:
    start = f'{{"subject":{_text(rows.subject)}'
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        for block in rows.blocks():
            file.writelines(f"{start}{line}}}\n" for line in _lines(block))


def _lines(block: Block) -> list[str]:
    """``,"name":value`` of all columns, by row."""
    # For a text that is none of its own Arrow would import pandas (0.2 s).
    *keys, nothing = arrow_array(np.array([*(f",{_text(name)}:" for name in block), ""], object))
    parts = [
        part
        for key, values in zip(keys, block.values(), strict=True)
        for part in (key, _values(values))
    ]
    joined: list[str] = pc.binary_join_element_wise(
        *parts, nothing, null_handling="replace", null_replacement=_NULL
    ).to_pylist()
    return joined


def _values(values: NDArray[Any]) -> pa.Array:
    """JSON of each value; null where it is unknown."""
    if values.dtype == bool:
        return arrow_array(np.where(values, _TRUE, _FALSE).astype(object))
    if values.dtype.kind in "iuf":
        known = np.isfinite(values)
        return pc.cast(arrow_array(np.where(known, values, 0), known), pa.string())
    found = [_text(value) if isinstance(value, str) else None for value in values]
    return arrow_array(np.array(found, object))


def _text(text: str) -> str:
    """JSON in plain ASCII, so that half a letter in a file's name does no harm."""
    return json.dumps(text, ensure_ascii=True)
