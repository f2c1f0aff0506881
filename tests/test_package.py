"""The package: what it offers, and that importing it costs nothing."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

import avaffect


def test_what_it_offers_is_there() -> None:
    for name in avaffect.__all__:
        assert getattr(avaffect, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_that"):
        _ = avaffect.nothing_like_that


def test_completion_shows_what_it_offers() -> None:
    assert {*avaffect.__all__} == {"__version__", *avaffect._HOMES} <= {*dir(avaffect)}


def test_importing_it_imports_nothing_heavy() -> None:
    code = "import sys, avaffect; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "torch", "cv2", "av", "pandas", "scipy", "pydantic"}
    assert not heavy & set(done.stdout.split())


def test_setup_lists_every_folder() -> None:
    root = Path(__file__).parents[1]
    settings = configparser.ConfigParser()
    settings.read(root / "setup.cfg", encoding="utf-8")
    packages = root.glob("avaffect/**/__init__.py")
    folders = {".".join(path.parent.relative_to(root).parts) for path in packages}
    listed = set(settings["options"]["packages"].split())
    assert listed == folders | {"avaffect.cli", "avaffect.models.cards"}
