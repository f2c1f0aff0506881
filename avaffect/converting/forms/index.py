"""``index``: a row a frame by file, start and end, as audinterface and audformat index segments.

``pandas.read_csv`` reads it, and `audformat.utils.read_csv` with its index. Start and end are on
the file's own clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.converting.form import Choices, Files, ending
from avaffect.converting.recording import Recording
from avaffect.converting.rows import Block, Rows
from avaffect.converting.spans import printable
from avaffect.files.csv_text import write_csv_blocks

INDEX = ("file", "start", "end")


def files(recording: Recording, choices: Choices) -> Files:
    """``<person>.index.csv`` each."""
    video = "/".join(printable(part) for part in recording.video.split("/"))
    return [
        (ending(rows.place, ".index.csv"), partial(_write, rows, video))
        for rows in recording.people
    ]


def _write(rows: Rows, video: str, path: Path) -> None:
    others = [name for name in rows.names if name not in (*INDEX, "time", "subject")]
    names = [*INDEX, "subject", *others]
    write_csv_blocks(path, names, _blocks(rows, video, others))


def _blocks(rows: Rows, video: str, others: list[str]) -> Iterator[Block]:
    starts = rows.media_times
    # No segment begins before its file.
    starts, ends = np.maximum(starts, 0), np.maximum(starts + rows.steps(), 0)
    at = 0
    subject = printable(rows.subject)
    for block in rows.blocks(others):
        count = len(block[others[0]])
        part = slice(at, at + count)
        index = {
            "file": np.full(count, video, object),
            "start": _durations(starts[part]),
            "end": _durations(ends[part]),
            "subject": np.full(count, subject, object),
        }
        yield {**index, **block}
        at += count


def _durations(seconds: NDArray[np.float64]) -> NDArray[np.object_]:
    """As pandas writes durations, ``0 days 00:00:00.040000``, to a microsecond."""
    found = []
    for us in np.round(seconds * 1e6).astype(np.int64).tolist():
        days, us = divmod(us, 86_400_000_000)
        hours, us = divmod(us, 3_600_000_000)
        minutes, us = divmod(us, 60_000_000)
        whole, us = divmod(us, 1_000_000)
        found.append(f"{days} days {hours:02}:{minutes:02}:{whole:02}.{us:06}")
    return np.array(found, object)
