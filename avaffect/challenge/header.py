"""The names above the columns of a text file: are they those that are read by position?

The challenge's files are read by position. A header whose names are known and stand elsewhere
means other columns than those: they are put in order where that is certain, else refused. Names
that nobody knows (``labels``, ``aus``) say nothing, and the position counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from avaffect.challenge.editions import Edition
from avaffect.errors import UsageError
from avaffect.labels import EXPRESSIONS

MTL = "mtl"
# Names that others write for ours.
_SPELLINGS = {
    "valence": "valence", "val": "valence", "v": "valence",
    "arousal": "arousal", "aro": "arousal", "a": "arousal",
}  # fmt: skip
_UNIT = re.compile(r"au[\s_-]*0*([0-9]{1,3})(?:_[a-z]+)?")
# Three letters tell the classes apart: Happy, Happiness, Sad, Sadness, Angry, Anger.
_CLASSES = {name[:3].lower(): name for name in EXPRESSIONS}
_CLASS_COLUMN = ("expression", "expr", "emotion")


def column_order(header: Sequence[str], task: str, edition: Edition) -> list[int] | None:
    """Where each column that is wanted stands.

    Args:
        header: the names in line 1, without that of the images.
        task: ``va``, ``expr``, ``au`` or ``mtl``.
        edition: whose columns are wanted.

    Returns:
        for each wanted column its place in the rows; None to read by position.

    Raises:
        UsageError: a known name stands where another is wanted, and the columns cannot be put in
            order.
    """
    if task == "expr":
        _check_classes(header)
        return None
    wanted = _wanted(task, edition)
    known = [_known(name, task) for name in header]
    if len(known) == len(wanted) and set(known) == set(wanted):
        order = [known.index(name) for name in wanted]
        return None if order == sorted(order) else order
    for at, name in enumerate(known):
        if name is not None and (at >= len(wanted) or name != wanted[at]):
            right = f"'{wanted[at]}' is wanted" if at < len(wanted) else "no column is wanted"
            raise UsageError(f"the header says '{header[at].strip()[:40]}' where {right}")
    return None


def in_order(text: str, order: Sequence[int]) -> str:
    """The values ``text`` of a row, with commas, in the order of `column_order`.

    Raises:
        UsageError: there are more or fewer than the header names.
    """
    fields = text.split(",")
    if len(fields) != len(order):
        raise UsageError(f"{len(fields)} values where the header has {len(order)}")
    return ",".join(fields[at] for at in order)


def _wanted(task: str, edition: Edition) -> tuple[str, ...]:
    if task == MTL:
        return ("valence", "arousal", "expression", *edition.action_units)
    return edition.targets(task)


def _known(name: str, task: str) -> str | None:
    """What a column is called here, None for a name that is not known."""
    plain = name.strip().strip("\"'").lower()
    found: dict[str, Callable[[], str | None]] = {
        "va": lambda: _SPELLINGS.get(plain),
        "au": lambda: f"AU{unit[1]}" if (unit := _UNIT.fullmatch(plain)) else None,
        "expr": lambda: "expression" if plain in _CLASS_COLUMN else None,
    }
    each = (found[one]() for one in (found if task == MTL else (task,)))
    return next((one for one in each if one is not None), None)


def _check_classes(header: Sequence[str]) -> None:
    """Raise UsageError if the classes have other numbers than here."""
    for at, name in enumerate(header):
        found = _CLASSES.get(name.strip().strip("\"'").lower()[:3])
        if found is not None and (at >= len(EXPRESSIONS) or found != EXPRESSIONS[at]):
            right = f"'{EXPRESSIONS[at]}' is" if at < len(EXPRESSIONS) else "there is none"
            raise UsageError(
                f"the header says '{name.strip()[:40]}' for class {at}, which {right}: what the "
                "numbers mean is not certain"
            )
