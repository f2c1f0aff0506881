"""The examples in docstrings do what they show."""

import doctest
import importlib
from pathlib import Path

import pytest

import avaffect

ROOT = Path(avaffect.__file__).parent
MODULES = sorted(
    path.relative_to(ROOT.parent).with_suffix("").as_posix().replace("/", ".")
    for path in ROOT.rglob("*.py")
    if ">>> " in path.read_text(encoding="utf-8") and path.name != "__init__.py"
)


def test_there_are_examples() -> None:
    assert "avaffect.metrics.scores" in MODULES


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0
