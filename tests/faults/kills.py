"""Kill every command that writes, run it again, and compare what comes out byte by byte.

    make faults
    cd tests && python -m faults.kills [--kills 6] [--seed 0] [COMMAND ...]

A command is killed before steps of its run (see `faults.forks`) and at moments by chance, in
mid-write, and twice in a row. Survived is a kill at whose moment nothing half-written stands under
a final name, and behind which the same command ends well, with the files of a run that nobody
disturbed, nothing left over, and the user's own files as they were.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from faults.commands import COMMANDS, Inputs, Sandbox
from faults.files import broken, content, differences
from faults.forks import Fault, Forks


@dataclass(frozen=True)
class Kill:
    """One kill, or two in a row, and what came of it.

    Attributes:
        faults: what was planted.
        kills: how many of them killed; a run may have ended before.
        wrong: what was wrong behind it.
    """

    faults: tuple[Fault, ...]
    kills: int
    wrong: tuple[str, ...]


def moments(sandbox: Sandbox, kills: int, chance: random.Random) -> Iterator[tuple[Fault, ...]]:
    """Where to kill: evenly over the steps, at times by chance, in mid-write, twice in a row."""
    whole = sandbox.whole
    sizes = sorted(len(data) for data in whole.values() if len(data) > 1)
    for at in range(kills):
        part = (at + chance.random()) / kills
        step = Fault(step=min(sandbox.steps - 1, int(part * sandbox.steps)))
        if at % 6 == 2:
            yield (Fault(after_s=chance.uniform(0, sandbox.seconds)),)
        elif at % 6 == 4 and not sandbox.command.children:
            yield (Fault(bytes=chance.choice(sizes) // 2),)
        elif at % 6 == 5:
            yield step, Fault(step=chance.randrange(sandbox.steps))
        else:
            yield (step,)


def kill(sandbox: Sandbox, faults: tuple[Fault, ...]) -> Kill:
    """Run the command from the beginning, with these faults one after the other, then let it end.

    Args:
        sandbox: with the command.
        faults: kills.
    """
    whole = sandbox.whole
    sandbox.begin()
    before = content(sandbox.folder)
    kills, wrong = 0, []
    for fault in faults:
        died = sandbox.run(fault)
        if not died.killed:
            if died.code and not refused(died.code, sandbox, whole):
                wrong.append(f"exit code {died.code}: {died.err[-300:]}")
            continue
        kills += 1
        where = f"killed before step {died.steps} ({died.last}): "
        wrong += [where + text for text in broken(sandbox.folder, whole, before)]
        wrong += [where + text for text in touched(sandbox, before)]
    again = sandbox.run()
    if not refused(again.code, sandbox, whole):
        if again.code:
            wrong.append(f"run again: exit code {again.code}: {again.err[-300:]}")
        wrong += [f"run again: {text}" for text in differences(content(sandbox.folder), whole)]
    if wrong:
        wrong.insert(0, f"{faults}; the last kill before {died.last}")
    return Kill(faults, kills, tuple(wrong))


def touched(sandbox: Sandbox, before: dict[str, bytes]) -> list[str]:
    """Files of the user's own, inputs and foreign ones, that are not as they were."""
    now, out = content(sandbox.folder), sandbox.command.out
    own = {
        name: data
        for name, data in before.items()
        if name in sandbox.command.foreign or not f"{name}/".startswith(f"{out}/")
    }
    return [f"{name} was touched" for name, data in own.items() if now.get(name) != data]


def refused(code: int, sandbox: Sandbox, whole: dict[str, bytes]) -> bool:
    """Whether a command refused to do again what is done: all was there when it was killed."""
    return code == 2 and not differences(content(sandbox.folder, hidden=False), whole)


def main() -> None:
    """Kill, compare and print a line a command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("commands", nargs="*", choices=[*COMMANDS, []], metavar="COMMAND")
    parser.add_argument("--kills", type=int, default=6, help="of each command")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tried = survived = 0
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="avaffect-kills-") as folder, Forks() as forks:
        inputs = Inputs(Path(folder) / "inputs", forks)
        print(f"{'command':18} {'kills':>6} {'survived':>9} {'steps':>6}")
        for name in options.commands or COMMANDS:
            chance = random.Random(f"{options.seed} {name}")
            sandbox = Sandbox(Path(folder) / "work", COMMANDS[name], inputs, forks)
            ends = [kill(sandbox, faults) for faults in moments(sandbox, options.kills, chance)]
            kills = sum(end.kills for end in ends)
            well = sum(end.kills for end in ends if not end.wrong)
            tried, survived = tried + kills, survived + well
            print(f"{name:18} {kills:6} {well:9} {sandbox.steps:6}", flush=True)
            for end in ends:
                for text in end.wrong:
                    print(f"    {text}", flush=True)
    print(f"{survived} of {tried} kills survived, in {time.monotonic() - begun:.0f} s")
    sys.exit(survived < tried)


if __name__ == "__main__":
    main()
