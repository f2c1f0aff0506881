"""Kinds of values that recipes hold."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from avaffect.tasks.registry import TASKS

Fraction = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
# A recipe may come from a stranger: no size or number is near what would fill a memory.
Count = Annotated[int, Field(ge=1, le=1 << 16)]
Layers = Annotated[int, Field(ge=1, le=64)]
# Dots would part them in changes and in the names of weights.
BranchName = Annotated[str, Field(pattern=r"^\w[\w-]*$", max_length=100)]
Sizes = Annotated[tuple[Count, ...], Field(min_length=1, max_length=64)]
Activation = Literal["none", "relu", "prelu", "gelu", "tanh"]
Norm = Literal["none", "batch", "layer"]


def _task(name: str) -> str:
    if name not in TASKS:
        *names, last = (f"'{task}'" for task in TASKS)
        raise PydanticCustomError("unknown_task", f"Input should be {', '.join(names)} or {last}")
    return name


TaskName = Annotated[str, AfterValidator(_task)]
