"""What many tests share: the sample clips, their truth, and a tool to make media."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

# No test fails for being slow: the machine may be busy.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

SAMPLES = Path(__file__).parents[1] / "sample_media"


@pytest.fixture(scope="session")
def sample() -> Callable[[str], Path]:
    """The path of a sample clip by its file name."""
    return lambda name: SAMPLES / name


@pytest.fixture(scope="session")
def truth() -> dict[str, dict[str, Any]]:
    """What happens when, by the clips' file names."""
    clips = json.loads((SAMPLES / "truth.json").read_text("utf-8"))["clips"]
    return {clip["file"]: clip for clip in clips}


@pytest.fixture(scope="session")
def ffmpeg() -> Callable[..., None]:
    """Runs ffmpeg with the arguments given; raises if it fails."""
    from avaffect.media.ffmpeg import ffmpeg_binary

    def run(*arguments: object) -> None:
        command = [ffmpeg_binary(), "-hide_banner", "-v", "error", "-y", *map(str, arguments)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    return run
