"""Records that hold arrays: equal where their arrays are, and short to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import UsageError

# A value's text is cut behind so many characters.
_LONGEST = 60


class ArrayRecord:
    """Base of dataclasses that hold arrays.

    A dataclass's own ``==`` raises where it meets an array, and its ``repr`` prints the array's
    values. To be used with ``@dataclass(frozen=True, eq=False, repr=False)``.

    Two are equal if they are of one class and all their fields are equal; NaN equals NaN. They
    cannot be hashed. ``repr`` shows an array by its type and shape.
    """

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(
            _same(getattr(self, field.name), getattr(other, field.name))
            for field in fields(self)  # type: ignore[arg-type]
            if field.compare
        )

    def __repr__(self) -> str:
        shown = (
            f"{field.name}={_text(getattr(self, field.name))}"
            for field in fields(self)  # type: ignore[arg-type]
            if field.repr
        )
        return f"{type(self).__name__}({', '.join(shown)})"


def _is_array(value: Any) -> bool:
    """Whether it is an array of numpy or torch."""
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _same(first: Any, second: Any) -> bool:
    if _is_array(first) or _is_array(second):
        if (
            type(first) is not type(second)
            or first.shape != second.shape
            or first.dtype != second.dtype
        ):
            return False
        return bool(((first == second) | ((first != first) & (second != second))).all())
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(
            _same(first[key], second[key]) for key in first
        )
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        if type(first) is not type(second) or len(first) != len(second):
            return False
        return all(map(_same, first, second))
    return bool(first == second) or (first != first and second != second)


def _text(value: Any) -> str:
    if _is_array(value):
        size = ", ".join(map(str, value.shape))
        return f"{str(value.dtype).removeprefix('torch.')}[{size}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple) and any(map(_is_array, value)):
        return f"{len(value)} arrays"
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def require_shape(name: str, array: NDArray[np.generic], shape: tuple[int | None, ...]) -> None:
    """Raise UsageError unless ``array`` has ``shape`` (None stands for any length)."""
    if array.ndim != len(shape) or any(
        want is not None and have != want for have, want in zip(array.shape, shape, strict=True)
    ):
        raise UsageError(f"{name} has shape {array.shape}, expected {shape}")


def softmax(logits: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """float64 [N, K], rows that sum to one, of logits [N, K] divided by ``temperature``.

    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    scaled = np.asarray(logits, np.float64) / temperature
    odds = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)
