"""The process that forks, small inputs, and a sandbox a command; none but Linux has them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults.commands import COMMANDS, Inputs, Sandbox
from faults.forks import Forks


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    if sys.platform != "linux":
        pytest.skip("forks, their limits and /proc are those of Linux")
    with Forks() as process:
        yield process


@pytest.fixture(scope="session")
def sandboxes(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Sandbox]:
    """The sandbox of a command by its name; its undisturbed run is made once a session."""
    root, made = tmp_path_factory.mktemp("faults"), dict[str, Sandbox]()
    inputs = Inputs(root / "inputs", forks)

    def get(name: str) -> Sandbox:
        if name not in made:
            work: Path = root / name.replace(" ", "-")
            made[name] = Sandbox(work, COMMANDS[name], inputs, forks)
        return made[name]

    return get
