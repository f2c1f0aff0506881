"""``predictions.txt``: one task of all subjects in one file, as ABAW5 and later take it.

One header line, then ``<subject>/00001.jpg,`` and the values a row: valence and arousal, the class
(one value, though the header names all classes), or the action units. The organisers' templates
have rows that end in a bare comma: no prediction yet. (Other templates hold dummy values, which
look like any others.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import edition_named
from avaffect.challenge.header import column_order
from avaffect.challenge.image_rows import parse_au, parse_expr, parse_va, read_rows
from avaffect.errors import UnknownNameError, UsageError
from avaffect.labels import INVALID, TASKS


@dataclass(frozen=True, eq=False)
class SingleSubject:
    """The listed frames of one subject.

    Attributes:
        subject: the subject's name.
        frames: int64 [N], image numbers from 1 on, strictly increasing.
        labels: coded as in `challenge.text.labels_of`: va float64 [N, 2], rows of -5 where there
            is none; expr int64 [N], -1 for none; au int64 [N, K], -1 for none.
        repeated: how many rows of the file were dropped since they said the same as another.
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
    if task not in TASKS:
        raise UnknownNameError("task", task, TASKS)
    chosen = edition_named(edition)
    width = chosen.columns(task)
    none = (float(INVALID[task]),) * width
    classes = len(chosen.expressions)
    parsers: dict[str, Callable[[list[str]], Sequence[float]]] = {
        "va": parse_va,
        "expr": lambda texts: (parse_expr(_only(texts), classes),),
        "au": lambda texts: parse_au(texts, width),
    }
    known: dict[str, Sequence[float]] = {}

    def parse(text: str) -> Sequence[float]:
        if not text.strip(", "):
            return none
        if task == "va":
            return parsers[task](text.split(","))
        # Few classes and patterns of action units in a million rows.
        if text not in known:
            known[text] = parsers[task](text.split(","))
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
        labels: NDArray[np.float64] | NDArray[np.int64] = rows.values
        if task != "va":
            labels = rows.values.astype(np.int64)
        labels = labels[:, 0] if task == "expr" else labels
        result[subject] = SingleSubject(subject, rows.frames, labels, rows.repeated)
    return result


def _only(texts: list[str]) -> str:
    if len(texts) != 1:
        raise UsageError(f"{len(texts)} values where one class is expected")
    return texts[0]
