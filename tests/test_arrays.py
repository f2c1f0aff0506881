"""Records with arrays: comparing them never raises, and they are short to look at."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from avaffect.arrays import ArrayRecord
from avaffect.predictions.prediction import Prediction

PACKAGE = Path(__file__).parents[1] / "avaffect"


@dataclass(frozen=True, eq=False, repr=False)
class Record(ArrayRecord):
    name: str
    values: np.ndarray[Any, Any] | None = None
    more: Mapping[str, Any] | tuple[Any, ...] = ()


def test_equal_where_the_arrays_are() -> None:
    values = np.array([[1.0, np.nan]], np.float32)
    record = Record("a", values, {"x": values, "y": (values, 2)})
    assert record == replace(
        record, values=values.copy(), more={"x": values.copy(), "y": (values, 2)}
    )
    for other in (
        replace(record, name="b"),
        replace(record, values=None),
        replace(record, values=values[0]),
        replace(record, values=values.astype(np.float64)),
        replace(record, values=np.array([[1.0, 2.0]], np.float32)),
        replace(record, more={"x": values}),
        replace(record, more={"x": values, "y": [values, 2]}),
        replace(record, more={"x": values, "y": (values, 3)}),
    ):
        assert record != other
        assert other != record
    assert record != "a"
    assert Record("a", more=(float("nan"),)) == Record("a", more=(float("nan"),))
    with pytest.raises(TypeError, match="unhashable"):
        hash(record)


def test_tensors_too() -> None:
    record = Record("a", more=(torch.ones(2),))
    assert record == Record("a", more=(torch.ones(2),))
    assert record != Record("a", more=(torch.zeros(2),))
    assert record != Record("a", more=(np.ones(2, np.float32),))


def test_arrays_are_shown_by_type_and_shape() -> None:
    many = np.zeros((1000, 2), np.float32)
    record = Record("x" * 500, many, {"a": many, "b": torch.zeros(3)})
    assert repr(record) == (
        f"Record(name='{'x' * 56}..., values=float32[1000, 2], "
        "more={'a': float32[1000, 2], 'b': float32[3]})"
    )
    assert repr(Record("a", more=(many, many))).endswith("more=2 arrays)")


def test_a_prediction_is_a_line() -> None:
    frames = 10_000
    prediction = Prediction(
        "video_left",
        "starter-1",
        np.arange(frames) / 25,
        np.arange(frames) % 2 == 0,
        np.ones(frames, np.float32),
        va=np.zeros((frames, 2), np.float32),
    )
    assert repr(prediction) == (
        "Prediction('video_left', va by 'starter-1', 10000 frames, 5000 with a face)"
    )
    assert prediction == replace(prediction)
    other = {"va": np.full((frames, 2), 0.5, np.float32)}
    assert prediction != replace(prediction, **other)


def is_array(annotation: ast.expr) -> bool:
    """Whether a field is an array, or a mapping or tuple of arrays."""
    names = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
    return bool(names & {"NDArray", "Tensor"}) and "Callable" not in names


@pytest.mark.no_cover
def test_every_record_with_arrays_can_be_compared() -> None:
    """A dataclass with an array and the comparison that Python makes for it raises ValueError."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            made = [
                decorator
                for decorator in getattr(node, "decorator_list", [])
                if ast.unparse(decorator).startswith("dataclass")
            ]
            if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
                continue  # what is private is nobody's result
            if made and "eq=False" not in ast.unparse(made[0]):
                found += [
                    f"{path.name}: {node.name}.{ast.unparse(field.target)}"
                    for field in node.body
                    if isinstance(field, ast.AnnAssign) and is_array(field.annotation)
                ]
    assert found == []
