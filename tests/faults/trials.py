"""Let every command that writes meet full disks, lost folders and the like, and see what it says.

    make faults
    cd tests && python -m faults.trials [--times 4] [--seed 0] [COMMAND ...]

What holds: a command ends well with all its files, or with exit code 1 and one line that says what
is wrong and what to do. There is no traceback, nothing half-written under a final name, and the
user's own files are as they were. When the fault is gone the same command gives the files of a run
that nobody disturbed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath

from faults.commands import COMMANDS, Inputs, Sandbox
from faults.files import broken, content, differences
from faults.forks import Fault, Forks
from faults.kills import refused, touched

_YEAR_S = 365 * 86400.0


def _errno(name: str, *, lasting: bool = True) -> Callable[[Sandbox, int], Fault]:
    return lambda sandbox, step: Fault(step, name, lasting)


# By name, the fault at a step.
FAULTS: dict[str, Callable[[Sandbox, int], Fault]] = {
    "disk full": _errno("ENOSPC"),
    "over quota": _errno("EDQUOT"),
    "read-only": _errno("EROFS"),
    "no permission": _errno("EACCES"),
    "I/O error": _errno("EIO", lasting=False),
    "stale folder": _errno("ESTALE", lasting=False),
    "out of file handles": _errno("EMFILE", lasting=False),
    "out of memory": _errno("memory", lasting=False),
    "file too large": lambda sandbox, step: Fault(
        # What is printed goes into a file too.
        file_bytes=4096 + max(map(len, sandbox.whole.values())) * step // sandbox.steps
    ),
    "clock goes back": lambda sandbox, step: Fault(step, "clock", jump_s=-_YEAR_S),
    "clock leaps": lambda sandbox, step: Fault(step, "clock", jump_s=_YEAR_S),
    "folder removed": lambda sandbox, step: Fault(step, "gone", target=str(sandbox.out)),
    "folder replaced by a file": lambda sandbox, step: Fault(
        step, "file", target=str(sandbox.out)
    ),
}
_LOSE_ALL = ("folder removed", "folder replaced by a file")


def meet(sandbox: Sandbox, name: str, step: int) -> tuple[str, list[str]]:
    """Let a command meet the fault ``name`` before ``step``, then run it again without.

    Returns:
        What it said, empty if it ended well, and what was wrong.
    """
    whole, fault = sandbox.whole, FAULTS[name](sandbox, step)
    sandbox.begin()
    before = content(sandbox.folder)
    met = sandbox.run(fault)
    lost = name in _LOSE_ALL
    if lost and sandbox.out.is_file():
        sandbox.out.unlink()
    wrong = [] if lost else touched(sandbox, before)
    wrong += broken(sandbox.folder, whole, before)
    wrong += faulty_end(met.code, met.err)
    # What the user had there went with it, and the folders that held nothing else.
    gone = {place for name in sandbox.command.foreign if lost for place in _places(name)}
    wanted = {path: data for path, data in whole.items() if path not in gone or _held(path, whole)}
    # Removed behind the last write it is not for the command to tell.
    if not met.code and (not lost or sandbox.out.exists()):
        # Predictions are done without their page; that it is missing is said.
        late = [f"out/{name} is missing" for name in ("report.html", "summary.csv")]
        told = late if " was written: " in met.err else []
        short = differences(content(sandbox.folder), wanted)
        wrong += [f"exit code 0: {text}" for text in short if text not in told]
    again = sandbox.run()
    # With the record went the knowledge that what was written since is avaffect's.
    nobodys = lost and again.code == 2 and len(again.said) == 1
    if not (nobodys or refused(again.code, sandbox, wanted)):
        if again.code:
            wrong.append(f"run again: exit code {again.code}: {again.err[-300:]}")
        wrong += [f"run again: {text}" for text in differences(content(sandbox.folder), wanted)]
    return (met.said or [""])[-1].removeprefix("avaffect: "), wrong


def _places(name: str) -> list[str]:
    """A file and the folders that it lies in, as `content` names them."""
    return [name, *(f"{folder}/" for folder in PurePath(name).parents if folder.name)]


def _held(path: str, whole: Mapping[str, bytes]) -> bool:
    """Whether a folder holds more than the user's own."""
    inside = [name for name in whole if name.startswith(path) and name != path]
    return path.endswith("/") and any("mine" not in name for name in inside)


def faulty_end(code: int, err: str) -> list[str]:
    """What is wrong with how a command ended that met a fault."""
    said = [line for line in err.splitlines() if line.startswith("avaffect: ")]
    wrong = []
    if code not in (0, 1):
        wrong.append(f"exit code {code}")
    if code and len(said) != 1:
        wrong.append(f"{len(said)} lines of failure: {err[-300:]}")
    if "Traceback" in err or "unexpected" in err:
        wrong.append(f"a traceback: {err[-600:]}")
    if code == 1 and said and ": " not in said[-1].removeprefix("avaffect: "):
        wrong.append(f"it does not say what to do: {said[-1]}")
    return wrong


def can_meet(sandbox: Sandbox, name: str) -> bool:
    """False where the fault would take away what the command reads."""
    command = sandbox.command
    return name not in _LOSE_ALL or (command.out == "out" and not command.settings)


def main() -> None:
    """Try all and print what each command said."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", choices=[*COMMANDS, []], metavar="COMMAND")
    parser.add_argument("--times", type=int, default=2, help="that a command meets each fault")
    parser.add_argument("--faults", default=",".join(FAULTS), help="names with commas")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tried = well = 0
    with tempfile.TemporaryDirectory(prefix="avaffect-faults-") as folder, Forks() as forks:
        inputs = Inputs(Path(folder) / "inputs", forks)
        for name in options.commands or COMMANDS:
            sandbox = Sandbox(Path(folder) / "work", COMMANDS[name], inputs, forks)
            chance = random.Random(f"{options.seed} {name}")
            if sandbox.whole and sandbox.command.children:
                continue  # its children's steps are not counted
            for fault in options.faults.split(","):
                for _ in range(options.times if can_meet(sandbox, fault) else 0):
                    step = chance.randrange(sandbox.steps)
                    said, wrong = meet(sandbox, fault, step)
                    tried, well = tried + 1, well + (not wrong)
                    said = said.replace(str(sandbox.folder), ".") or "done"
                    print(f"{name}, {fault} at step {step}: {said}", flush=True)
                    for text in wrong:
                        print(f"    WRONG: {text}", flush=True)
    print(f"{well} of {tried} faults met well")
    sys.exit(well < tried)


if __name__ == "__main__":
    main()
