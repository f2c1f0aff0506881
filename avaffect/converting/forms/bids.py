"""``bids``: continuous recordings of the Brain Imaging Data Structure, a person each.

``sub-<label>/beh/sub-<label>_task-video_recording-face_physio.tsv.gz`` has no header, ``n/a``
where a value is unknown, and a steady rate (see `steady`); the JSON beside it has
``SamplingFrequency``, ``StartTime`` and ``Columns`` (BIDS 1.8, "Physiological and other continuous
recordings").
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from avaffect.converting.form import Choices, Files, ending
from avaffect.converting.recording import Recording
from avaffect.converting.rows import Rows
from avaffect.converting.steady import Steady
from avaffect.errors import UsageError
from avaffect.files.atomic import atomic_path, write_json
from avaffect.files.table import arrow_array
from avaffect.labels import ACTION_UNITS, EXPRESSIONS

_UNKNOWN = "n/a"
_DEGREES = {"Units": "deg"}
_NO_UNIT = {"Units": "arbitrary"}
_DESCRIBED: dict[str, dict[str, Any]] = {
    "present": {"Description": "1 where the face is seen, else 0"},
    "confidence": {"Description": "Quality of the face, 0 to 1", **_NO_UNIT},
    "valence": {"Description": "-1 unpleasant to 1 pleasant", **_NO_UNIT},
    "arousal": {"Description": "-1 calm to 1 excited", **_NO_UNIT},
    **{
        f"p_{name}": {"Description": f"Probability of {name}, 0 to 1", **_NO_UNIT}
        for name in EXPRESSIONS
    },
    **{
        name: {"Description": f"Action unit {name}: 1 active, 0 not"}
        for name in (*ACTION_UNITS, "AU45")
    },
    **{
        f"{name}_intensity": {"Description": f"Intensity of {name}, 0 to 5", **_NO_UNIT}
        for name in (*ACTION_UNITS, "AU45")
    },
    "yaw": {"Description": "Head, positive to the picture's right", **_DEGREES},
    "pitch": {"Description": "Head, positive upwards", **_DEGREES},
    "roll": {"Description": "Head, positive leaning to the picture's right", **_DEGREES},
    **{
        f"gaze_{side}_{angle}": {
            "Description": f"Eye on the picture's {side} relative to the head, as {angle}",
            **_DEGREES,
        }
        for side in ("left", "right")
        for angle in ("yaw", "pitch")
    },
    "speech": {"Description": "How likely it is that somebody speaks, 0 to 1"},
    "speaking": {"Description": "How likely it is that this person speaks, 0 to 1"},
}


def files(recording: Recording, choices: Choices) -> Files:
    """Two files a person, as above; the label is the name's letters and digits.

    Raises:
        UsageError: a name without any.
    """
    found: list[tuple[PurePath, partial[None]]] = []
    for rows in recording.people:
        columns = [name for name in _DESCRIBED if name in rows.names]
        subject = f"sub-{_label(rows)}"
        place = PurePath(subject, "beh", f"{subject}_task-video_recording-face_physio")
        found += [
            (ending(place, ".tsv.gz"), partial(_write_values, rows, columns, choices)),
            (ending(place, ".json"), partial(_write_head, rows, columns, choices)),
        ]
    return found


def _label(rows: Rows) -> str:
    name = "".join(rows.place.parts)
    label = "".join(letter for letter in name if letter.isascii() and letter.isalnum())
    if not label:
        raise UsageError(
            f"'{rows.place}' has no letter of A to Z and no digit, as BIDS wants it",
            "rename the video, and predict it again",
        )
    return label


def _write_head(rows: Rows, columns: Sequence[str], choices: Choices, path: Path) -> None:
    steady = Steady.of(rows.times, choices.rate)
    described: Mapping[str, Any] = {name: _DESCRIBED[name] for name in columns}
    write_json(
        path,
        {
            "SamplingFrequency": steady.rate,
            "StartTime": steady.start,
            "Columns": list(columns),
            **described,
        },
    )


def _write_values(rows: Rows, columns: Sequence[str], choices: Choices, path: Path) -> None:
    steady = Steady.of(rows.times, choices.rate)
    with (
        atomic_path(path) as temporary,
        temporary.open("wb") as raw,
        # The same table gives the same bytes: no name, no time.
        gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="ascii", newline="\n") as file,
    ):
        for samples in steady.samples(rows, columns):
            file.write("\n".join([*_lines(samples), ""]))


def _lines(samples: NDArray[np.float64]) -> list[str]:
    """Cells of float32, with as many digits as give the same number back."""
    # For a text that is none of its own Arrow would import pandas (0.2 s).
    between = arrow_array(np.array(["\t"], object))[0]
    # The columns of `_DESCRIBED` are float32 or flags in the tables.
    columns = samples.astype(np.float32).T
    cells = [pc.cast(arrow_array(column), pa.string()) for column in columns]
    lines: list[str] = pc.binary_join_element_wise(
        *cells, between, null_handling="replace", null_replacement=_UNKNOWN
    ).to_pylist()
    return lines
