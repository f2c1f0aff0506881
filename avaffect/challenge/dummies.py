"""The dummy values of the organisers' samples: who submits them has predicted nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.faults import Faults
from avaffect.challenge.rows import Rows
from avaffect.challenge.templates import place_of, places_of
from avaffect.tasks.registry import AU, EXPR, VA

DUMMIES = {VA.name: "0.5,-0.5", EXPR.name: "0", AU.name: "1,0,1,1,1,0,0,1,0,0,0,1"}
"""Of the samples of ABAW6, by task, where no template says otherwise."""

# A few frames may happen to be so.
_ENOUGH = 10


def check_dummies(rows: Rows, task: str, dummy: str, faults: Faults) -> None:
    """Add faults for rows that still hold a template's dummy values.

    One fault if all rows do. Of tasks whose rows hold several values, also one for each track of
    which all rows do: a part of the template was not filled in. A single class, such as 0, is a
    prediction that a whole track may well have.

    Args:
        rows: what is submitted.
        task: ``va``, ``expr``, ``au`` or ``mtl``.
        dummy: the values of the template's first row; empty for those of `DUMMIES`.
        faults: where faults go.
    """
    dummy = dummy or DUMMIES.get(task, "")
    if not dummy or len(rows) < _ENOUGH:
        return
    same = _equal(rows, dummy)
    if same.all():
        place = place_of(rows.keys[0])
        text = f"all {len(rows):,} rows hold the dummy values of the organisers' sample ({dummy})"
        faults.add("template", rows.file(place), int(rows.lines[0]), text)
        return
    if "," not in dummy:
        return
    places = places_of(rows.keys)
    size = len(rows.subjects)
    every, dummies = np.bincount(places, minlength=size), np.bincount(places[same], minlength=size)
    for track in np.flatnonzero((every == dummies) & (every >= _ENOUGH)).tolist():
        first = int(np.flatnonzero(places == track)[0])
        text = (
            f"all {every[track]:,} rows of the track '{rows.subjects[track]}' hold the dummy "
            f"values of the organisers' sample ({dummy})"
        )
        faults.add("template", rows.file(track), int(rows.lines[first]), text)


def _equal(rows: Rows, dummy: str) -> NDArray[np.bool_]:
    """bool [N], which rows hold these values, however their numbers are written."""
    wanted = _numbers(dummy)
    known = {dummy: True}
    same = np.zeros(len(rows), bool)
    for at, text in enumerate(rows.texts(np.arange(len(rows)))):
        # Classes and units are few texts in many rows.
        if text not in known and len(known) < 10_000:
            known[text] = _numbers(text) == wanted
        same[at] = known[text] if text in known else _numbers(text) == wanted
    return same


def _numbers(text: str) -> list[float] | None:
    try:
        return [float(value) for value in text.split(",")]
    except ValueError:
        return None
