"""``predictions.txt``: one task of all subjects in one file, as ABAW5 and later take it.

One header line, then ``<subject>/00001.jpg,`` and the values a row: valence and arousal, the class
(one value, though the header names all classes), or the action units. The organisers' templates
have rows that end in a bare comma: no prediction yet. (Other templates hold dummy values, which
look like any others.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import edition_named
from avaffect.challenge.header import column_order
from avaffect.challenge.image_rows import read_rows
from avaffect.tasks.kinds import Values
from avaffect.tasks.registry import task_named


@dataclass(frozen=True, eq=False)
class SingleSubject:
    """The listed frames of one subject.

    Attributes:
        subject: the subject's name.
        frames: int64 [N], image numbers from 1 on, strictly increasing.
        labels: coded as in `challenge.text.labels_of`: va float64 [N, 2], rows of -5 where there
            is none; expr int64 [N], -1 for none; au int64 [N, K], -1 for none.
        repeated: how many rows of the file were dropped since they repeat another.
    """

    subject: str
    frames: NDArray[np.int64]
    labels: NDArray[np.float64] | NDArray[np.int64]
    repeated: int = 0


def read_single(path: Path, task: str, edition: str) -> dict[str, SingleSubject]:
    """Read a ``predictions.txt`` by position; known names in line 1 count, see `challenge.header`.

    Bounds: as in `image_rows.read_rows`.

    Args:
        path: the file.
        task: ``va``, ``expr`` or ``au``.
        edition: whose classes and action units it has, see ``challenge.editions``.

    Returns:
        by subject, in the order of their first rows.

    Raises:
        InputNotFoundError: there is no such file.
        FormatError: a line that does not fit, or two rows that contradict each other; the
            message names file and line.
    """
    ours, chosen = task_named(task), edition_named(edition)
    width = len(chosen.targets(task))
    none = (float(ours.invalid),) * chosen.columns(task)
    known: dict[str, Sequence[float]] = {}

    def parse(text: str) -> Sequence[float]:
        if not text.strip(", "):
            return none
        if isinstance(ours, Values):
            return ours.whole(ours.parse(text.split(","), width))
        # Few classes and patterns of action units in a million rows.
        if text not in known:
            known[text] = ours.parse(text.split(","), width)
        return known[text]

    hint = f"a predictions.txt of {edition} has the header 'image_location,{chosen.header(task)}'"
    result = {}
    found = read_rows(
        path,
        parse,
        f"{hint} and then one row an image",
        lambda header: column_order(header, task, chosen),
    )
    for subject, rows in found.items():
        labels = rows.values.astype(ours.row_dtype)
        labels = labels[:, 0] if ours.flat else labels
        result[subject] = SingleSubject(subject, rows.frames, labels, rows.repeated)
    return result
