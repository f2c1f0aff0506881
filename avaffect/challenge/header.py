"""The names above the columns of a text file: are they those that are read by position?

The challenge's files are read by position. A header whose names are known and stand elsewhere
means other columns than those: they are put in order where that is certain, else refused. Names
that nobody knows (``labels``, ``aus``) mean nothing, and the position counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from avaffect.challenge.editions import Edition
from avaffect.errors import UsageError
from avaffect.tasks.kinds import Classes
from avaffect.tasks.registry import AU, EXPR, VA, task_named

MTL = "mtl"


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
    if task != MTL and isinstance(ours := task_named(task), Classes):
        _check_classes(header, ours.targets)
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
        return (*VA.targets, EXPR.heading, *edition.action_units)
    return edition.targets(task)


def _known(name: str, task: str) -> str | None:
    """What a column is called here, None for a name that is not known."""
    for each in (VA, AU, EXPR) if task == MTL else (task_named(task),):
        if (target := each.target_named(name)) is not None:
            return target
    return None


def _check_classes(header: Sequence[str], classes: Sequence[str]) -> None:
    """Raise UsageError if the classes have other numbers than here."""
    # Three letters distinguish expressions: Happy, Happiness, Sad, Sadness, Angry, Anger.
    short = {name[:3].lower(): name for name in classes}
    letters = 3 if len(short) == len(classes) else None
    known = short if letters else {name.lower(): name for name in classes}
    for at, name in enumerate(header):
        found = known.get(name.strip().strip("\"'").lower()[:letters])
        if found is not None and (at >= len(classes) or found != classes[at]):
            right = f"'{classes[at]}' is" if at < len(classes) else "there is none"
            raise UsageError(
                f"the header says '{name.strip()[:40]}' for class {at}, which {right}: what the "
                "numbers mean is not certain"
            )
