"""``avaffect view``, started and ended."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import build_opener

import pytest


def test_it_prints_its_address_and_ends_when_asked(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "avaffect", "view", str(tmp_path)], stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        first = process.stderr.readline().decode()
        assert re.fullmatch(r"results: http://127\.0\.0\.1:\d+/\?token=[\w-]{32}\n", first)
        process.stderr.readline()
        with pytest.raises(HTTPError, match="403"):
            build_opener().open(first.split()[1].partition("?")[0], timeout=60)
        # As Ctrl-C, but heard as well where that is ignored: in the background of a script.
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr.read() == b"ended\n"
    finally:
        process.kill()


def test_wrong_use_is_one_line(run: Callable[..., Any], tmp_path: Path) -> None:
    done = run("view", tmp_path / "none")
    assert done.code == 2
    assert "there is no folder" in done.error
