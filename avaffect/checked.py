"""Settings: dataclasses whose values are checked when they are made, by pydantic."""

from __future__ import annotations

from dataclasses import MISSING, fields
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, TypeVar

from avaffect.errors import UsageError

# Where only defaults are made, as for `--help`, pydantic is not loaded: it takes longer than
# everything else there.
if TYPE_CHECKING:
    from pydantic import ConfigDict, TypeAdapter, ValidationError

T = TypeVar("T")

STRICT: ConfigDict = {"extra": "forbid"}
"""A key that does not exist is an error."""
_UNKNOWN = "unexpected_keyword_argument"
# A value's text is cut behind so many characters.
_LONGEST = 60


def checked(kind: type[T]) -> type[T]:
    """A dataclass that raises a `UsageError` of one line where a value does not fit.

    Its annotations say what fits, as pydantic reads them, and its ``__post_init__`` may raise a
    ValueError. Defaults are trusted where no value is given.
    """
    make = kind.__init__
    each_field = [each for each in fields(kind) if each.init]  # type: ignore[arg-type]
    names = [each.name for each in each_field]
    complete = not any(each.default is each.default_factory is MISSING for each in each_field)
    kind.__pydantic_config__ = STRICT  # type: ignore[attr-defined]

    @wraps(make)
    def checking(self: T, *args: Any, **values: Any) -> None:
        if len(args) > len(names) or (complete and not args and not values):
            return make(self, *args, **values)
        from pydantic import ValidationError

        # By name: a message would call the first one "0".
        given = dict(**dict(zip(names, args, strict=False)), **values)
        try:
            # Read as pydantic reads them: a list for a tuple, a mapping for settings in settings.
            made = _reader(kind).validate_python(given)  # type: ignore[arg-type]
            vars(self).update(vars(made))
        except ValidationError as error:
            raise UsageError(f"{kind.__name__}: {fault(error)}") from error

    kind.__init__ = checking  # type: ignore[assignment]
    return kind


@cache
def _reader(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


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
