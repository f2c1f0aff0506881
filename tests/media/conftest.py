"""Media for the tests, made with ffmpeg in the test's own folder."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from avaffect.media.ffmpeg import ffmpeg_binary, file_url

CLICK_S = 0.002


class Maker:
    """Runs ffmpeg in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ffmpeg(self, *arguments: str, stdin: bytes | None = None) -> None:
        command = [ffmpeg_binary(), "-v", "error", "-y", *arguments]
        done = subprocess.run(command, cwd=self.folder, input=stdin, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()

    def test_card(
        self, name: str, *arguments: str, size: str = "160x120", seconds: float = 1
    ) -> Path:
        """A moving test picture, 25 frames a second."""
        source = f"testsrc2=s={size}:r=25:d={seconds}"
        self.ffmpeg("-f", "lavfi", "-i", source, *arguments, name)
        return self.folder / name

    def levels(self, name: str, count: int, *arguments: str) -> Path:
        """Frame i is grey with level 20 + 10 i: its place can be told from its picture."""
        pictures = np.repeat(np.arange(count, dtype=np.uint8) * 10 + 20, 64 * 48).tobytes()
        raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", "64x48", "-r", "25", "-i", "-"]
        self.ffmpeg(*raw, "-pix_fmt", "yuv420p", *arguments, name, stdin=pictures)
        return self.folder / name

    def still(self, name: str, image: np.ndarray) -> Path:
        """A picture file with exactly these pixels."""
        height, width = image.shape[:2]
        raw = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -i -".split()
        self.ffmpeg(*raw, name, stdin=image.tobytes())
        return self.folder / name

    def clicks(
        self, name: str, times: list[float], seconds: float, rate: int, channels: int
    ) -> Path:
        """A WAV with a short 1 kHz burst centred on each of ``times``."""
        clock = np.arange(round(seconds * rate)) / rate
        sound = np.zeros_like(clock)
        for time in times:
            away = clock - time
            sound += 0.8 * np.exp(-((away / CLICK_S) ** 2) / 2) * np.cos(2000 * np.pi * away)
        soundfile.write(self.folder / name, np.repeat(sound[:, None], channels, 1), rate)
        return self.folder / name


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    return Maker(tmp_path)


@pytest.fixture
def independent_count() -> Callable[[Path], int]:
    """Counts the frames that the ffmpeg program decodes."""

    def count(path: Path) -> int:
        arguments = ["-map", "0:v:0", "-fps_mode", "passthrough", "-f", "null", "-"]
        done = subprocess.run(
            [ffmpeg_binary(), "-hide_banner", "-nostdin", "-i", file_url(path), *arguments],
            capture_output=True,
        )
        return int(re.findall(r"frame=\s*(\d+)", done.stderr.decode(errors="replace"))[-1])

    return count
