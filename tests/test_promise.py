"""The promise that every error is an AvaffectError: what the source may raise by hand."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.no_cover
BARE = {"ValueError", "TypeError", "KeyError", "IndexError", "RuntimeError", "Exception",
        "NotImplementedError", "AssertionError", "ArithmeticError"}  # fmt: skip
# Where pydantic checks values it wants a ValueError, which `checked` and `recipes.library` turn
# into ours.
ALLOWED = {"avaffect/config.py", "avaffect/recipes/recipe.py", "avaffect/recipes/blocks.py",
           "avaffect/recipes/training.py", "avaffect/recipes/ensemble_recipe.py"}  # fmt: skip


def bare_raises(path: Path) -> list[int]:
    """Lines that raise one of Python's own errors."""
    lines = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if isinstance(raised, ast.Name) and raised.id in BARE:
                lines.append(node.lineno)
    return lines


def test_nothing_but_our_own_errors_is_raised() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for folder in ("avaffect", "cli")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (lines := bare_raises(path))
    }
    assert found.keys() == ALLOWED, "raise UsageError (a ValueError too) or another AvaffectError"


def test_a_planted_one_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("def f():\n    raise ValueError('x')\n\n\ndef g():\n    raise KeyError\n")
    assert bare_raises(path) == [2, 6]
