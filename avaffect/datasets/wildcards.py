"""Columns by name and by wildcard."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from avaffect.errors import UnknownNameError, UsageError


def columns_like(
    patterns: Sequence[str], names: Sequence[str], free: Sequence[str], path: Path, hint: str
) -> tuple[str, ...]:
    """The columns of a table that are features, in the order of ``patterns``, then of ``free``.

    Args:
        patterns: names and wildcards (``*``, ``?``, ``[]``); none takes all that are free.
        names: all columns.
        free: those that a wildcard stands for.
        path: of the table, for messages.
        hint: what to do if there is none.

    Raises:
        UnknownNameError: a name or wildcard that stands for no column.
        UsageError: there is no column.
    """
    chosen: dict[str, None] = {}
    for pattern in patterns or ("*",):
        found = [name for name in free if fnmatchcase(name, pattern)]
        found = [pattern] if pattern in names else found
        if not found and patterns:
            raise UnknownNameError(f"column of '{path}'", pattern, names)
        chosen |= dict.fromkeys(found)
    if not chosen:
        raise UsageError(f"'{path}' has no column of numbers that could be a feature", hint)
    return tuple(chosen)
