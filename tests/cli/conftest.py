"""Running the command in this process, and short clips to run it on."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from avaffect.cli.main import main


@dataclass(frozen=True)
class Outcome:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str

    @property
    def table(self) -> str:
        """The output, blanks and line breaks folded: tables wrap at the terminal's edge."""
        return " ".join(self.out.split())

    @property
    def error(self) -> str:
        """The one line of failure; fails the test if there is not exactly one."""
        (line,) = [line for line in self.err.splitlines() if line.startswith("avaffect:")]
        assert "Traceback" not in self.err
        return line


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Runs ``avaffect`` with the arguments given."""
    # `--offline` sets it for the rest of the process.
    monkeypatch.setenv("AVAFFECT_OFFLINE", "")
    # Tables keep a line a row.
    monkeypatch.setenv("COLUMNS", "1000")

    def command(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["avaffect", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Outcome(int(ended.value.code or 0), printed.out, printed.err)

    return command


@pytest.fixture(scope="session")
def clip(
    sample: Callable[[str], Path],
    ffmpeg: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """``face.mp4``: 12 frames of a face, with sound."""
    path = tmp_path_factory.mktemp("clip") / "face.mp4"
    small = ["-vf", "scale=200:200", "-frames:v", 12, "-t", 12 / 25, "-crf", "16"]
    ffmpeg("-i", sample("one_person.mp4"), *small, path)
    return path


@pytest.fixture(scope="session")
def faceless(
    sample: Callable[[str], Path],
    ffmpeg: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """``nobody.mp4``: 8 frames without a face, without sound."""
    path = tmp_path_factory.mktemp("clip") / "nobody.mp4"
    ffmpeg("-i", sample("no_face.mp4"), "-frames:v", 8, path)
    return path


@pytest.fixture
def files() -> Callable[[Path], dict[str, bytes]]:
    """The content of all files in a folder, by path."""

    def read(root: Path) -> dict[str, bytes]:
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }

    return read
