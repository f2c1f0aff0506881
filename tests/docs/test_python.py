"""The Python of the pages runs; what trains for long has names and arguments that are there."""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.pages import Block, blocks, pages
from fixtures.standins import StandIns

BLOCKS = [block for page in pages() for block in blocks(page, "python")]
# A name that the block calls, and why the block is not run.
NOT_RUN = {"train": "a training of thirty epochs"}


def label(block: Block) -> str:
    return f"{block.page}:{block.line}"


def test_there_are_blocks() -> None:
    assert {"README.md", "docs/howto/python.md"} <= {block.page for block in BLOCKS}


@pytest.mark.parametrize("block", BLOCKS, ids=label)
def test_python_names_what_is_there(block: Block) -> None:
    tree = ast.parse(block.text, label(block))
    found = imported(tree)
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            function = found.get(call.func.id)
            if inspect.isroutine(function) or inspect.isclass(function):
                check_arguments(function, call)


def imported(tree: ast.AST) -> dict[str, Any]:
    """What the imports of a piece of code give."""
    found: dict[str, Any] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            for name in node.names:
                found[name.asname or name.name] = getattr(module, name.name)
        elif isinstance(node, ast.Import):
            for name in node.names:
                found[name.asname or name.name] = importlib.import_module(name.name)
    return found


def check_arguments(function: Any, call: ast.Call) -> None:
    """Raise a TypeError if the function does not take what it is called with."""
    keywords = {word.arg: None for word in call.keywords if word.arg}
    inspect.signature(function).bind(*call.args, **keywords)


@pytest.mark.parametrize("block", BLOCKS, ids=label)
def test_python_runs(
    block: Block,
    standins: StandIns,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tree = ast.parse(block.text, label(block))
    called = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for name, reason in NOT_RUN.items():
        if name in called:
            pytest.skip(reason)
    place(tree, standins, tmp_path)
    monkeypatch.chdir(tmp_path)
    with contextlib.redirect_stderr(None):
        exec(compile(tree, label(block), "exec"), {"__name__": "page"})  # noqa: S102 - our pages
    # The library prints nothing; a page does where it says so.
    assert bool(capsys.readouterr().out) == ("print" in called)


def place(tree: ast.AST, standins: StandIns, folder: Path) -> None:
    """Put there what the strings of the code name."""
    names = set(texts(tree))
    standins.place(names, folder)
    for name in names:
        # A table that was copied out of the folder of predictions.
        if name == "video.parquet":
            (folder / name).symlink_to(standins.get("out") / "tables" / name)


def texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
