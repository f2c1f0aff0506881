"""The values of a row as they are written in a submission: whether they fit."""

from __future__ import annotations

import re
from collections.abc import Callable

from avaffect.challenge.editions import edition_named
from avaffect.challenge.templates import MTL, columns
from avaffect.errors import UsageError
from avaffect.tasks.kinds import Values
from avaffect.tasks.registry import AU, EXPR, VA, task_named
from avaffect.tasks.task import Task

_NUMBER = r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
_PLAIN = re.compile(_NUMBER)


class BadValuesError(UsageError):
    """The values of a row do not fit.

    Attributes:
        kind: one of `faults.ADVICE`.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


ValueCheck = Callable[[str], bool]


def value_check(task: str, edition: str) -> ValueCheck:
    """A function that checks the values of a row, e.g. ``"0.5,-0.25"``.

    It returns whether the row holds a marker for "no prediction" (-5, -1), and raises
    `BadValuesError` unless the values are plain numbers, as many as wanted and in range.
    """
    width = columns(edition, task)
    chosen = edition_named(edition)
    # Few classes and patterns of action units in a million rows; only good ones are kept.
    known: dict[tuple[str, str], bool] = {}

    def check_part(part: Task, text: str) -> bool:
        targets = len(chosen.targets(part.name))
        if isinstance(part, Values):
            return _is_marked(text, part, targets)
        missing = known.get((part.name, text))
        if missing is None:
            missing = known[part.name, text] = _is_marked(text, part, targets)
        return missing

    def check_columns(text: str) -> None:
        if text.count(",") != width - 1 or not text.strip(", "):
            raise BadValuesError("columns", _why_columns(text, task, width))

    def check_single(text: str) -> bool:
        check_columns(text)
        return check_part(single, text)

    def check_mtl(text: str) -> bool:
        check_columns(text)
        valence, arousal, expression, units = text.split(",", 3)
        parts = {VA: f"{valence},{arousal}", EXPR: expression, AU: units}
        return any([check_part(part, values) for part, values in parts.items()])

    if task == MTL:
        return check_mtl
    single = task_named(task)
    return check_single


def _is_marked(text: str, task: Task, width: int) -> bool:
    """Whether one of a task's values is the marker for no prediction.

    Which values there are only the task knows; here is how they must be written.
    """
    fields = text.split(",")
    for number in fields:
        if not _PLAIN.fullmatch(number):
            raise _no_number(number)
    whole = not isinstance(task, Values)
    try:
        row = task.parse([_whole(number) for number in fields] if whole else fields, width)
    except UsageError as error:
        raise BadValuesError("range", error.problem) from None
    for number, value in zip(fields, row, strict=True) if whole else ():
        if number != str(value):
            raise BadValuesError("value", f"'{number[:40]}' is not written as a whole number")
    return task.invalid in row


def _whole(number: str) -> str:
    value = float(number)
    if not value.is_integer():
        raise UsageError(f"{number[:40]} is no whole number")
    return str(int(value))


def _no_number(text: str) -> BadValuesError:
    if not text.isprintable() and any("\udc80" <= char <= "\udcff" for char in text):
        return BadValuesError("encoding", f"{text[:40]!a} is not UTF-8 text")
    if not text.strip():
        return BadValuesError("value", "a value is missing between the commas")
    if text != text.strip() and _PLAIN.fullmatch(text.strip()):
        return BadValuesError("blanks", f"there are blanks beside the value {text.strip()[:40]}")
    return BadValuesError("value", f"'{text[:40]}' is no number")


def _why_columns(text: str, task: str, width: int) -> str:
    if not text.strip(", "):
        return "there is no value behind the image (a row of the template, not filled in)"
    given = text.count(",") + 1
    if task != MTL and task_named(task).flat:
        return (
            f"{given} values where one class number is wanted: the header names every class, but "
            "a row has one value (not one a class)"
        )
    return f"{given} values where {width} are wanted"


def are_numbers(line: str) -> bool:
    """Whether a line holds plain numbers and nothing else; blanks beside them do not count."""
    return all(_PLAIN.fullmatch(value.strip()) for value in line.split(","))
