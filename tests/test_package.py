"""The package: what it offers, and that importing it costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import avaffect


def test_what_it_offers_is_there():
    for name in avaffect.__all__:
        assert getattr(avaffect, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_that"):
        _ = avaffect.nothing_like_that


def test_completion_shows_what_it_offers():
    assert {*avaffect.__all__} == {"__version__", *avaffect._HOMES} <= {*dir(avaffect)}


def test_importing_it_imports_nothing_heavy():
    code = "import sys, avaffect; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "cv2", "av", "pandas", "scipy"} & set(done.stdout.split())
