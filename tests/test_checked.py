"""Settings that do not fit: one line of ours."""

from dataclasses import dataclass
from typing import Annotated

import pytest
from annotated_types import Ge
from pydantic import TypeAdapter, ValidationError

from avaffect.checked import checked, fault
from avaffect.errors import UsageError


@checked
@dataclass(frozen=True)
class Inner:
    size: Annotated[int, Ge(1)] = 1


@checked
@dataclass(frozen=True)
class Outer:
    inner: Inner
    name: str = ""

    def __post_init__(self):
        if self.name == "odd":
            raise ValueError("name and size do not go together")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Inner(0), "Inner: size: input should be greater than or equal to 1, and is 0"),
        (lambda: Outer({"size": 0}), "Outer: inner.size: input should be .* 1, and is 0"),
        (lambda: Outer(Inner(), name="odd"), "Outer: name and size do not go together"),
        (lambda: Outer(), "Outer: inner: "),  # type: ignore[call-arg]
        (
            lambda: Inner(sise=3),  # type: ignore[call-arg]
            "Inner: there is no setting 'sise'",
        ),
        (lambda: Inner("a\nb" * 99), r"and is 'a\\nba\\nb.*\.\.\."),
    ],
)
def test_a_fault_is_one_line(make, says: str) -> None:
    with pytest.raises(UsageError, match=says) as raised:
        make()
    assert "\n" not in str(raised.value)


def test_what_fits_is_made_and_what_pydantic_reads_itself_stays_its_own() -> None:
    assert Outer(Inner(2), "a") == TypeAdapter(Outer).validate_python(
        {"inner": {"size": "2"}, "name": "a"}
    )
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(Outer).validate_python({"inner": {"size": 0}})
    assert fault(raised.value).startswith("inner.size: ")
