"""Settings and recipes: pydantic dataclasses, whose errors become ours."""

from __future__ import annotations

from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar

from pydantic import ConfigDict, ValidationError

from avaffect.errors import UsageError

T = TypeVar("T")

STRICT = ConfigDict(extra="forbid")
"""A key that does not exist is an error."""
_UNKNOWN = "unexpected_keyword_argument"
# A value's text is cut behind so many characters.
_LONGEST = 60


def checked(kind: type[T]) -> type[T]:
    """A pydantic dataclass that raises a `UsageError` of one line where a value does not fit."""
    make = kind.__init__
    names = [each.name for each in fields(kind) if each.init]  # type: ignore[arg-type]

    @wraps(make)
    def checking(self: T, *args: Any, **values: Any) -> None:
        # By name: a message would call the first one "0".
        named = dict(zip(names, args, strict=False))
        try:
            make(self, *args[len(named) :], **named, **values)
        except ValidationError as error:
            raise UsageError(f"{kind.__name__}: {fault(error)}") from error

    kind.__init__ = checking  # type: ignore[assignment]
    return kind


def fault(error: ValidationError) -> str:
    """Where the first fault lies, as a dotted key, and what it is."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == _UNKNOWN:
        return f"there is no setting '{place}'"
    # The message of a validator of ours stands alone.
    if first["type"] == "value_error":
        reason = str(first["msg"]).removeprefix("Value error, ")
        return f"{place}: {reason}" if place else reason
    given = repr(first["input"])
    given = given if len(given) <= _LONGEST else f"{given[: _LONGEST - 3]}..."
    reason = str(first["msg"])
    return f"{place}: {reason[:1].lower()}{reason[1:]}, and is {given}"
