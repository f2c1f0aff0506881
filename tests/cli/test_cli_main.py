import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from avaffect.cli import commands
from avaffect.cli.commands import COMMANDS
from avaffect.errors import UsageError

HELPS = [
    [],
    ["preprocess"],
    ["predict"],
    ["train"],
    ["evaluate"],
    ["data"],
    ["recipes"],
    ["export"],
    ["models"],
]
HEAVY = ["torch", "cv2", "av", "pandas", "scipy", "onnxruntime", "ai_edge_litert", "librosa",
         "pyarrow", "numpy", "pydantic"]  # fmt: skip


@pytest.mark.parametrize("command", HELPS)
def test_help_has_examples_and_the_options_defaults(command, run) -> None:
    for flag in ("--help", "-h"):
        done = run(*command, flag)
        assert (done.code, done.err) == (0, "")
        assert "Examples:" in done.out
        assert f"  avaffect {' '.join(command)}".rstrip() in done.out
    if command in (["preprocess"], ["predict"]):
        assert "[default: avaffect_out]" in done.out
        assert "[default: 15; x>=1]" in done.out
        # A line that click broke off inside an example would not be one.
        examples = [line for line in done.out.splitlines() if line.startswith("    avaffect")]
        assert len(examples) >= 3


def test_help_of_the_command_names_every_subcommand(run) -> None:
    text = run("--help").out
    assert all(f"  {name} " in text for name in COMMANDS)


def test_help_imports_nothing_heavy() -> None:
    script = f"""
import json, sys
from avaffect.cli.main import avaffect
for command in {HELPS!r}:
    avaffect.main([*command, "--help"], "avaffect", standalone_mode=False)
print(json.dumps(sorted(set({HEAVY!r}) & set(sys.modules))))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_version(run) -> None:
    from avaffect import __version__

    assert run("--version").out == f"avaffect, version {__version__}\n"


def test_without_arguments_the_help_is_shown(run) -> None:
    done = run()
    assert done.code == 2
    assert "Commands:" in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["predct", "x.mp4"], "did you mean 'predict'?"),
        (["--bogus"], "see `avaffect --help`"),
        (["predict", "--bogus", "x.mp4"], "see `avaffect predict --help`"),
        (["preprocess"], "Missing argument"),
        (["predict", "--detect-every", "0", "x.mp4"], "not in the range"),
        (["predict", "--out"], "requires an argument"),
        (["models", "lst"], "see `avaffect models --help`"),
    ],
)
def test_wrong_use_is_one_line(arguments, says: str, run) -> None:
    done = run(*arguments)
    assert done.code == 2
    assert says in done.error
    assert len(done.err.splitlines()) == 1


def failing(monkeypatch, error):
    """A subcommand ``fail`` that raises ``error``."""

    @click.command()
    def fail():
        raise error

    monkeypatch.setitem(COMMANDS, "fail", "tests.fail:fail")
    monkeypatch.setattr(commands, "import_module", lambda name: type("Module", (), {"fail": fail}))


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UsageError("wrong", "do it right"), 2, "avaffect: wrong: do it right"),
        (KeyError("x"), 1, "avaffect: unexpected KeyError: 'x': run again with --debug for the "
                           "traceback, and report it"),
        (OSError(errno.ENOSPC, "full", "f.bin"), 1,
         "avaffect: the disk is full while writing 'f.bin': free some space and run the same "
         "command again; what was finished is kept"),
        (ImportError("libGL.so.1: cannot open shared object file"), 1,
         "avaffect: OpenCV cannot be loaded (libGL.so.1: cannot open shared object file): run "
         "`pip install --force-reinstall --no-deps opencv-python-headless`"),
        (UsageError("a\x1b[2Jb\nc"), 2, "avaffect: a?[2Jb c"),
        (KeyboardInterrupt(), 130, "avaffect: interrupted; what was finished is kept, the same "
                                   "command goes on from there"),
    ],
)  # fmt: skip
def test_errors_become_one_line_and_an_exit_code(
    error, code: int, line: str, monkeypatch: pytest.MonkeyPatch, run
) -> None:
    failing(monkeypatch, error)
    done = run("fail")
    # After Ctrl-C the terminal's own ^C comes first, and a line break behind it.
    assert (done.code, done.err.lstrip("\n")) == (code, f"{line}\n")


@pytest.mark.parametrize("arguments", [["fail", "--debug"], ["--debug", "fail"]])
def test_debug_shows_the_traceback(arguments, monkeypatch: pytest.MonkeyPatch, run) -> None:
    failing(monkeypatch, RuntimeError("broken"))
    done = run(*arguments)
    assert done.code == 1
    assert "Traceback" in done.err
    assert done.err.splitlines()[-1].startswith("avaffect: unexpected RuntimeError: broken")


def test_debug_reaches_the_commands_and_ends_at_the_first_failure(run, tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_text("no video")
    done = run("predict", tmp_path, "-o", tmp_path / "out", "--debug")
    assert done.code == 1
    assert "NotMediaError" in done.err
    assert "b.mp4" not in done.err.split("Traceback")[1]


def test_debug_behind_two_dashes_is_a_name(run) -> None:
    done = run("predict", "--", "--debug")
    assert done.error == "avaffect: '--debug' does not exist: check the name"


def test_reader_that_goes_away_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "avaffect.cli.main", "models", "list"],
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")
