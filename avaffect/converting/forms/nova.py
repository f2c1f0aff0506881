"""``nova``: streams of NOVA and DISCOVER (the Social Signal Interpretation framework's files).

A stream is a small XML file, ``ROLE.NAME.stream``, and its values, float32 in
``ROLE.NAME.stream~``. It has a steady rate and begins at 0 of the video's clock, see `steady`.
What is unknown is NaN.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path, PurePath

import numpy as np

from avaffect.converting.elements import HEAD, empty, opened
from avaffect.converting.form import Choices, Files
from avaffect.converting.recording import Recording
from avaffect.converting.rows import Rows
from avaffect.converting.steady import Steady
from avaffect.files.atomic import atomic_path, write_text
from avaffect.labels import ACTION_UNITS, EXPRESSIONS

STREAMS: dict[str, tuple[str, ...]] = {
    "valence_arousal": ("valence", "arousal"),
    "expression": tuple(f"p_{name}" for name in EXPRESSIONS),
    "units": tuple(f"{name}_p" for name in ACTION_UNITS),
    "head": ("yaw", "pitch", "roll"),
    "gaze": ("gaze_left_yaw", "gaze_left_pitch", "gaze_right_yaw", "gaze_right_pitch"),
    "blink": ("AU45_intensity",),
    "speaking": ("speech", "speaking"),
    "face": ("confidence",),
}
"""The columns of each stream; one of which the table has none is left out."""


def files(recording: Recording, choices: Choices) -> Files:
    """``<video>/<person>.<stream>.stream`` and ``.stream~`` each."""
    found: list[tuple[PurePath, partial[None]]] = []
    for rows in recording.people:
        # NOVA takes what stands before the first dot for the role.
        role = rows.place.name.replace(".", "_")
        for stream, columns in STREAMS.items():
            if any(name in rows.names for name in columns):
                head = recording.name / f"{role}.{stream}.stream"
                values = head.with_name(f"{head.name}~")
                found += [
                    (head, partial(_write_head, rows, columns, choices)),
                    (values, partial(_write_values, rows, columns, choices)),
                ]
    return found


def _steady(rows: Rows, choices: Choices) -> Steady:
    return Steady.of(rows.media_times, choices.rate, start=0.0)


def _write_head(rows: Rows, columns: tuple[str, ...], choices: Choices, path: Path) -> None:
    steady = _steady(rows, choices)
    rate, count = float(steady.rate), len(steady)
    info = {"ftype": "BINARY", "sr": repr(rate), "dim": len(columns), "byte": 4, "type": "FLOAT"}
    chunk = {"from": "0.0", "to": f"{count / rate:.6f}", "byte": 0, "num": count}
    lines = (
        opened("stream", {"ssi-v": "2"}),
        empty("info", {**info, "delim": ""}),
        empty("meta", {"type": "feature", "columns": " ".join(columns)}),
        empty("chunk", chunk),
        "</stream>\n",
    )
    write_text(path, HEAD + "\n".join(lines))


def _write_values(rows: Rows, columns: tuple[str, ...], choices: Choices, path: Path) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        for samples in _steady(rows, choices).samples(rows, columns):
            file.write(samples.astype(np.dtype("<f4")).tobytes())
