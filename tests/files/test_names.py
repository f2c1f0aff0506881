"""The names of avaffect's files stand in one place."""

import ast
from functools import cache
from pathlib import Path

import pytest

from avaffect.files import names

ROOT = Path(__file__).parents[2]
# Words that other things are called by too: a column of a command, a key of a record.
COMMON = {names.FEATURES, names.PICTURES, names.SEGMENTS}
NAMES = {value for name, value in vars(names).items() if name.isupper()} - COMMON


@cache
def literals(path: Path) -> set[str]:
    """The strings of a file that are no docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


@pytest.mark.no_cover
@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_name_is_written_once(name: str) -> None:
    files = [*ROOT.glob("avaffect/**/*.py"), *ROOT.glob("cli/**/*.py")]
    found = [path.relative_to(ROOT).as_posix() for path in files if name in literals(path)]
    assert found == ["avaffect/files/names.py"]
