"""Every command of the pages does what it says, or is at least one that the programs know.

Those of a page are run in their order in a folder of small stand-ins. What takes hours, data that
are not at hand, or the network stands in `NOT_RUN` with its reason, and is held against the
command line: the options are there, their values are right, recipes and their settings are known.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
from fixtures.pages import ROOT, Block, Command, blocks, commands, pages, prose, split
from fixtures.standins import SHORT, StandIns, run_avaffect
from packaging.requirements import Requirement

from avaffect.cli.main import avaffect
from avaffect.cli.train import _config
from avaffect.doctor import checks
from avaffect.predicting.settings import parse_tasks
from avaffect.predictions.smooth import parse_smoothing
from avaffect.recipes.ensemble_recipe import load_ensemble

# Page, beginning of the command, why it is not run.
NOT_RUN = (
    ("docs/papers.md", "avaffect", "networks on pictures, trained for hours"),
    ("docs/tables.md", "avaffect", "networks on pictures, trained for hours"),
    ("docs/howto/winning.md", "avaffect", "embeddings of large nets, trained for hours"),
    ("docs/training.md", "avaffect preprocess Aff", "run in docs/tutorials/challenge.md"),
    ("docs/training.md", "avaffect train --data", "run in docs/tutorials/challenge.md"),
    ("docs/training.md", "avaffect evaluate", "run in docs/tutorials/challenge.md"),
    ("docs/training.md", "avaffect", "data that are to be had elsewhere"),
    ("docs/real_sequences.md", "avaffect", "data that are to be had elsewhere"),
    ("README.md", "avaffect view", "a server, which runs until Ctrl-C"),
    ("docs/howto/view.md", "avaffect view", "a server, which runs until Ctrl-C"),
    ("README.md", "avaffect predict s3://", "run in tests/cli/test_cli_remote.py"),
    ("docs/howto/object_stores.md", "avaffect", "run in tests/cli/test_cli_remote.py"),
    (
        "docs/howto/cluster.md",
        "avaffect predict study/ -r",
        "run in tests/cli/test_cli_cluster.py",
    ),
    ("docs/howto/cluster.md", "avaffect preprocess conf", "run in tests/cli/test_jobs.py"),
    ("docs/public_sets.md", "avaffect data check", "data that are to be had elsewhere"),
    ("docs/public_sets.md", "avaffect data align", "data that are to be had elsewhere"),
    ("docs/public_sets.md", "avaffect preprocess", "data that are to be had elsewhere"),
    ("docs/public_sets.md", "avaffect train", "data that are to be had elsewhere"),
    ("docs/howto/weights.md", "avaffect models fetch centerface", "the network"),
    ("docs/tutorials/own_features.md", "avaffect features prepared/ --backbone", "the network"),
    ("docs/howto/speaking.md", "avaffect voice video.mp4 -o talk/ --opensmile", "its licence"),
)
# What a training of the pages is shortened by.
SHORTER = {"train": SHORT}
PARAMETERS = {"mine.yaml", "RECIPE"}


def console(page: str) -> list[Block]:
    return list(blocks(page, "console"))


WITH_COMMANDS = [page for page in pages() if console(page)]


def test_the_pages_are_found() -> None:
    assert {"README.md", "docs/howto/people.md", "benchmarks/README.md"} <= set(WITH_COMMANDS)


@pytest.mark.parametrize("page", pages())
def test_blocks_say_their_language(page: str) -> None:
    """A block without one would be looked at by no test."""
    allowed = {"console", "python", "yaml", "text"}
    found = [block for block in blocks(page) if block.language not in allowed]
    assert found == []
    for block in console(page):
        assert list(commands(block)), f"{page}:{block.line} has no line that begins with $"


@pytest.mark.parametrize("page", WITH_COMMANDS)
def test_commands_are_known(page: str) -> None:
    for block in console(page):
        for command in commands(block):
            program = command.words[0].rpartition("/")[2]
            assert program in PROGRAMS, f"{page}:{command.line}: {program}"
            try:
                PROGRAMS[program](command)
            except Exception as error:
                error.add_note(f"{page}:{command.line}: {command.text}")
                raise


@pytest.fixture
def doctor_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the doctor starts runs in this process, which need not import torch once more.

    That it does start them is tested in tests/doctor/test_checks.py.
    """
    start = checks._run

    def run_here(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        if command[:2] != [sys.executable, "-m"]:
            return start(command)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), monkeypatch.context() as patch:
            patch.setenv("AVAFFECT_OFFLINE", "1")
            patch.setattr(sys, "argv", command[2:])
            # A module of this name may be here already, which runpy would warn of.
            patch.delitem(sys.modules, command[2], raising=False)
            runpy.run_module(command[2], run_name="__main__")
        return subprocess.CompletedProcess(command, 0, printed.getvalue(), "")

    monkeypatch.setattr(checks, "_run", run_here)


@pytest.mark.usefixtures("doctor_stays")
@pytest.mark.parametrize("page", [page for page in WITH_COMMANDS if page.startswith("docs/")])
def test_commands_run(page: str, standins: StandIns, tmp_path: Path) -> None:
    ran = 0
    for block in console(page):
        printed = ""
        for command in commands(block):
            if command.words[0] == "cp":
                # Of a sample clip the first frames.
                standins.place([command.words[2]], tmp_path)
            elif command.words[0] == "avaffect" and runs(command):
                printed += run(command, standins, tmp_path)
                ran += 1
        if printed:
            assert_shown(block, printed)
    # A page none of whose commands are run says so in NOT_RUN.
    if not ran:
        pytest.skip("no command of this page is run, see NOT_RUN")


def runs(command: Command) -> bool:
    return not_run(command) is None


def not_run(command: Command) -> str | None:
    """Why the command is not run."""
    for page, start, reason in NOT_RUN:
        if page == command.page and command.text.startswith(start):
            return reason
    return None


def run(command: Command, standins: StandIns, folder: Path) -> str:
    """Run it in ``folder`` and give what it printed."""
    standins.place([*inputs(command), *command.settings.values()], folder)
    if "Aff-Wild2/videos" in command.words:
        # Was done once, so that this goes on where that ended.
        standins.place(["prepared"], folder)
    words = [
        str(found.relative_to(folder))
        for word in command.words[1:]
        for found in (sorted(folder.glob(word)) if "/*" in word else [folder / word])
    ]
    words = [*words, *SHORTER.get(words[0], ())]
    done = run_avaffect(words, folder, command.settings)
    assert done.code == 0, f"{command.page}:{command.line}: {command.text}\n{done.text}"
    if command.into:
        (folder / command.into).write_text(done.text)
    return done.text


def inputs(command: Command) -> Iterator[str]:
    """The words of a command but the place that it writes to."""
    before = ""
    for word in command.words[1:]:
        if before not in ("-o", "--out"):
            yield word
        before = word


def assert_shown(block: Block, printed: str) -> None:
    """What a page shows of the output is printed, but for numbers and the device."""
    shown = [line for line in block.text.splitlines() if not line.startswith(("$ ", "    "))]
    lines = {pattern(line) for line in printed.splitlines()}
    for line in shown:
        assert line.startswith("device:") or pattern(line) in lines, f"{line}\n{printed}"


def pattern(line: str) -> str:
    return " ".join(re.sub(r"\d+", "#", line).split())


def test_what_is_not_run_is_there() -> None:
    """No reason outlives its command."""
    every = [one for page in WITH_COMMANDS for block in console(page) for one in commands(block)]
    for entry in NOT_RUN:
        assert any(
            one.page == entry[0] and one.text.startswith(entry[1]) and not_run(one) == entry[2]
            for one in every
        ), entry


# The programs that pages name, and how their commands are checked.


def check_avaffect(command: Command) -> None:
    words = list(command.words[1:])
    found, context = resolve(words)
    with found.make_context(found.name, context) as made:
        check_values(found.name or "", made.params)


def resolve(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that ``words`` name, and what is left of them."""
    found: click.Command = avaffect
    context = click.Context(avaffect)
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        _, inner, words = found.resolve_command(context, words)
        assert inner is not None
        found, context = inner, click.Context(inner, parent=context)
    return found, words


def check_values(name: str, values: dict[str, Any]) -> None:
    """Check what click leaves to the library."""
    if values.get("task") and name in ("predict", "train"):
        parse_tasks(values["task"])
    if values.get("smooth"):
        parse_smoothing(values["smooth"])
    if values.get("recipe") in PARAMETERS:
        return
    if name == "train" and not values["resume"]:
        _config(values)
    if name == "ensemble":
        load_ensemble(values["recipe"], values["changes"], values["join_changes"])


def check_file(command: Command) -> None:
    """The file behind ``-f`` is in the repository; programs that are not here are not asked."""
    words = list(command.words)
    if "-f" in words:
        assert (ROOT / words[words.index("-f") + 1]).is_file()


def check_make(command: Command) -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    assert set(command.words[1:]) <= set(targets)


def check_pip(command: Command) -> None:
    action, *words = command.words[1:]
    assert action in ("install", "download", "wheel")
    before = ""
    for word in words:
        if before == "-c":
            assert (ROOT / word).is_file()
        elif before not in ("-d", "-w", "--find-links", "--index-url") and not word.startswith(
            ("-", ".")
        ):
            Requirement(word)
        before = word


def check_python(command: Command) -> None:
    """Options of our own scripts stand in their source."""
    first, *rest = command.words[1:]
    if first.startswith("-"):
        assert first == "-m" and rest[0] in ("venv", "build", "pytest")
        return
    source = (ROOT / first).read_text("utf-8")
    for word in rest:
        assert not word.startswith("--") or f'"{word}"' in source, word


def check_torchrun(command: Command) -> None:
    at = command.words.index("-m")
    check_avaffect(command._replace(words=command.words[at + 1 :]))


def check_copy(command: Command) -> None:
    assert (ROOT / command.words[1]).is_file()


PROGRAMS = {
    "avaffect": check_avaffect,
    "make": check_make,
    "pip": check_pip,
    "python": check_python,
    "python3": check_python,
    "torchrun": check_torchrun,
    "cp": check_copy,
    "conda": check_file,
    "docker": check_file,
    "apt-get": lambda command: None,  # Debian's own
}


# What stands in the text.


def code_spans(page: str) -> Iterator[str]:
    for found in re.finditer(r"`([^`]+)`", prose(page)):
        yield " ".join(found[1].split())


@pytest.mark.parametrize("page", pages())
def test_commands_and_options_in_the_text_are_there(page: str) -> None:
    known = every_option() | script_options(page)
    for span in code_spans(page):
        if span.startswith(("avaffect ", "torchrun ")):
            (command,) = split(span.split("avaffect ", 1)[1], page, 0)
            found, rest = resolve(list(command.words))
            mine = {option for parameter in found.params for option in parameter.opts}
            mine |= {option for parameter in found.params for option in parameter.secondary_opts}
            for word in rest:
                assert not word.startswith("-") or word in mine | EVERYWHERE, f"{page}: {span}"
        elif span.startswith("python "):
            check_python(next(split(span, page, 0)))
        elif span.startswith("--"):
            option = re.split(r"[ =|]", span)[0]
            assert option in known, f"{page}: {span}"


EVERYWHERE = {"--help", "--debug"}


@cache
def every_option() -> set[str]:
    found: set[str] = set()

    def collect(command: click.Command) -> None:
        for parameter in command.params:
            found.update((*parameter.opts, *parameter.secondary_opts))
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                collect(inner)

    collect(avaffect)
    return found | EVERYWHERE


def script_options(page: str) -> set[str]:
    """Options of the scripts that a page outside ``docs/`` is about."""
    folder = (ROOT / page).parent
    sources = [path.read_text("utf-8") for path in folder.glob("*.py")]
    return set(re.findall(r'"(--[a-z0-9-]+)"', "".join(sources)))
