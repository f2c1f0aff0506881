"""The values of a row as they are written in a submission: whether they fit."""

from __future__ import annotations

import re
from collections.abc import Callable

from avaffect.challenge.editions import edition_named
from avaffect.challenge.templates import MTL, columns
from avaffect.errors import UsageError
from avaffect.tasks.kinds import Values
from avaffect.tasks.registry import AU, EXPR, TASKS, VA, task_named
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
    ranges = {
        name: range(len(chosen.targets(name)) if each.flat else 2)
        for name, each in TASKS.items()
        if not isinstance(each, Values)
    }
    # Few classes and patterns of action units in a million rows; only good ones are kept.
    known: dict[tuple[str, str], bool] = {}

    def check_whole(name: str, text: str) -> bool:
        missing = known.get((name, text))
        if missing is None:
            missing = known[name, text] = _check_whole(text, ranges[name])
        return missing

    def check_columns(text: str) -> None:
        if text.count(",") != width - 1 or not text.strip(", "):
            raise BadValuesError("columns", _why_columns(text, task, width))

    def check_single(text: str) -> bool:
        missing = known.get((task, text))
        if missing is None:
            check_columns(text)
            missing = check_whole(task, text)
        return missing

    def check_values(text: str) -> bool:
        check_columns(text)
        return _check_values(text, values)

    def check_mtl(text: str) -> bool:
        check_columns(text)
        valence, arousal, expression, units = text.split(",", 3)
        missing = _check_values(f"{valence},{arousal}", VA)
        return missing | check_whole(EXPR.name, expression) | check_whole(AU.name, units)

    if task == MTL:
        return check_mtl
    values = task_named(task)
    return check_values if isinstance(values, Values) else check_single


def _check_values(text: str, task: Task) -> bool:
    """Whether one of the numbers is the marker for no prediction."""
    fields = text.split(",")
    for number in fields:
        if not _PLAIN.fullmatch(number):
            raise _no_number(number)
    missing = False
    for value in map(float, fields):
        if not task.low <= value <= task.high:
            if value != task.invalid:
                raise BadValuesError(
                    "range", f"{value:g} lies outside [{task.low:g}, {task.high:g}]"
                )
            missing = True
    return missing


def _check_whole(text: str, allowed: range) -> bool:
    """Whether one of the numbers is -1."""
    missing = False
    for number in text.split(","):
        if number == "-1":
            missing = True
        elif not _PLAIN.fullmatch(number):
            raise _no_number(number)
        elif float(number) not in allowed:
            what = "neither 0 nor 1" if len(allowed) == 2 else f"no class from 0 to {allowed[-1]}"
            raise BadValuesError("range", f"{number[:40]} is {what}")
        elif number != str(int(float(number))):
            raise BadValuesError("value", f"'{number[:40]}' is not written as a whole number")
    return missing


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
