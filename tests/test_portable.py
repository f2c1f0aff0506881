"""What only some systems have: avaffect does without it.

It cannot be run on them here. Modules are imported, and what is nearest to the system is tried, as
if this were another system; the workflow runs all tests there.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fixtures.hidden import core_files, module_names, run_without

from avaffect import processors
from avaffect.processors import cores

ROOT = Path(__file__).parents[1]
# Python's modules that Windows lacks.
POSIX = ["fcntl", "grp", "posix", "pwd", "resource", "termios", "tty", "syslog", "pty"]
# Functions that Windows lacks, or macOS, and those that only look as if they did the same there.
ABSENT = r"os\.(fork|forkpty|getpgid|setsid|killpg|mkfifo|nice|uname|getloadavg|chown)\b"
FOLDERS = r"""["'](/tmp|/dev/(?!null)|/proc|/var|/usr|/etc)\b"""


def sources() -> list[Path]:
    return sorted([*ROOT.glob("avaffect/**/*.py"), *ROOT.glob("cli/**/*.py")])


@pytest.mark.parametrize("pattern", [ABSENT, FOLDERS, r"preexec_fn|/bin/|shell=True"])
def test_nothing_of_one_system_is_used(pattern: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in sources()
        for match in re.finditer(pattern, path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_what_the_system_may_lack_is_asked_for() -> None:
    """Used only where its absence is met: in these files."""
    known = {
        "sched_getaffinity": {"processors.py"},
        "SIGHUP": {"interrupts.py"},
        "getuid": {"temporaries.py", "stage.py"},
        "O_NOFOLLOW": {"temporaries.py"},
        "O_CLOEXEC": {"temporaries.py"},
        "import fcntl": {"temporaries.py", "apart.py"},
        "import resource": {"npy.py", "limits.py"},
    }
    for word, files in known.items():
        pattern = re.compile(rf"{word}\b")
        users = {path.name for path in sources() if pattern.search(path.read_text("utf-8"))}
        assert users == files, word


def test_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors.os, "sched_getaffinity", lambda process: {1, 4}, raising=False)
    assert cores() == 2
    monkeypatch.delattr(processors.os, "sched_getaffinity")
    monkeypatch.setattr(processors.os, "cpu_count", lambda: 7)
    assert cores() == 7
    monkeypatch.setattr(processors.os, "cpu_count", lambda: None)
    assert cores() == 1


# What others bring is loaded before, for the system that this is.
OTHERS = """
import os, signal, subprocess, sysconfig, tempfile
import av, cv2, numpy, onnxruntime, pyarrow.compute, pyarrow.parquet, soundfile, pydantic, yaml
import click, PIL.Image, ai_edge_litert.interpreter, filelock, jinja2, platformdirs, safetensors
import tqdm
"""
AS_ON_WINDOWS = """
for name in ("sched_getaffinity", "getuid", "O_CLOEXEC", "O_NOFOLLOW", "sync", "fork"):
    if hasattr(os, name):
        delattr(os, name)
del signal.SIGHUP
for name in {posix!r}:
    sys.modules.pop(name, None)
sys.platform = "win32"

from importlib import import_module
from pathlib import Path
for name in sys.argv[2:]:
    import_module(name)

from avaffect.files.atomic import atomic_path, write_json
from avaffect.files.temporaries import temporary_folder
from avaffect.interrupts import SIGNALS, raise_on_signals
from avaffect.media.frames import FrameReader
from avaffect.media.sound import extract_sound
from avaffect.config import MediaConfig
raise_on_signals()
out = Path(sys.argv[1])
write_json(out / "a.json", {{"name": "ok"}})
with temporary_folder(out, "label") as folder, atomic_path(folder / "b") as path:
    path.write_bytes(b"x")
video = Path({video!r})
print(len(SIGNALS), sum(1 for _ in FrameReader(video)))
print(extract_sound(video, MediaConfig(), out / "a.wav", first_time_s=0.0).samples)
print(sorted(path.name for path in out.iterdir()))
"""


def test_as_if_on_windows(tmp_path: Path) -> None:
    video = ROOT / "sample_media/vfr_rotated.mov"
    code = AS_ON_WINDOWS.format(posix=POSIX, video=str(video))
    lines = run_without(
        code, str(tmp_path), *module_names(core_files()), hidden=POSIX, before=OTHERS
    )
    signals, samples, files = lines.splitlines()
    assert signals.startswith("2 ")
    assert int(samples) > 16_000
    assert files == "['a.json', 'a.wav']"


def test_what_old_versions_of_pyav_lack_is_met_in_one_place() -> None:
    """setup.cfg allows 14.1, which has no `Discard`: importing it broke sound there."""
    users = {path.name for path in sources() if "Discard" in path.read_text("utf-8")}
    assert users == {"pyav.py"}


def test_click_8_2_will_do() -> None:
    """Its ParamType takes no type in brackets, which Choice does."""
    pattern = re.compile(r"click\.ParamType\[")
    assert [path for path in sources() if pattern.search(path.read_text("utf-8"))] == []
