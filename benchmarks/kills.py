"""Kill `avaffect` at random moments, start it again, and compare what comes out byte by byte.

    python benchmarks/kills.py [--clip clip.mp4] [--kills 12] [--pairs 3] [--seconds 8]

A command is killed so often, each time at another moment of its run, by SIGKILL, SIGTERM, SIGHUP
and SIGINT in turn, and then left to end. Survived is a round whose files are those of a run that
nobody disturbed, with nothing left over. Then two runs at once, on one output: each must end well
or say that another one works there, and the files must be the same again.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from processes import load, looped
from throughput import DEFAULT_CLIP

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
COMMANDS = {
    "preprocess": ("preprocess", "--encoder", "starter-1-face"),
    "predict": ("predict",),
    "predict single": ("predict", "--format", "single"),
}
BUSY = "another avaffect is working on"


def start(command: Sequence[str], clip: Path, out: Path) -> subprocess.Popen[str]:
    """Start a command on ``clip``, in a session of its own."""
    program = [sys.executable, "-m", "avaffect", command[0], str(clip), "-o", str(out)]
    return subprocess.Popen(
        [*program, *command[1:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def content(root: Path) -> dict[str, bytes]:
    """The files below a folder, hidden ones too."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def killed(
    command: Sequence[str], clip: Path, out: Path, kills: int, within: float, chance: random.Random
) -> list[str]:
    """Kill a command ``kills`` times within so many seconds of its start, then let it end.

    Returns:
        what went wrong.
    """
    wrong = []
    for at in range(kills):
        number = SIGNALS[at % len(SIGNALS)]
        with start(command, clip, out) as process:
            time.sleep(chance.uniform(0, within))
            process.send_signal(number)
            said = process.communicate()[1]
            # It may have ended before; a signal in the first moments finds no handler.
            expected = {0, -number, 128 + number}
            if process.returncode not in expected:
                wrong.append(f"{number.name}: exit code {process.returncode}: {said[-200:]}")
            if "Traceback" in said and process.returncode > 0:
                wrong.append(f"{number.name}: a traceback: {said[-200:]}")
    with start(command, clip, out) as process:
        said = process.communicate()[1]
    if process.returncode:
        wrong.append(f"the last run: exit code {process.returncode}: {said[-200:]}")
    return wrong


def at_once(
    command: Sequence[str], clip: Path, out: Path, apart: float
) -> tuple[list[str], list[str]]:
    """Start a command twice, some seconds apart; what each got, and what went wrong."""
    first = start(command, clip, out)
    time.sleep(apart)
    second = start(command, clip, out)
    got, wrong = [], []
    for process in (first, second):
        said = process.communicate()[1]
        got.append("done" if process.returncode == 0 else "refused" if BUSY in said else "?")
        if got[-1] == "?":
            wrong.append(f"exit code {process.returncode}: {said[-200:]}")
    if "done" not in got:
        wrong.append("neither was done")
    return got, wrong


def main() -> None:
    """Kill, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, default=DEFAULT_CLIP, help="a clip of one face")
    parser.add_argument("--kills", type=int, default=12, help="of each command, in rounds of four")
    parser.add_argument("--pairs", type=int, default=3, help="of runs at once, of each command")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of the video")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    chance = random.Random(options.seed)  # noqa: S311
    print(f"{options.clip.name}, looped to {options.seconds:g} s; {load()}")
    failed = 0
    with tempfile.TemporaryDirectory(prefix="avaffect-benchmark-") as folder:
        work = Path(folder)
        clip = looped(options.clip, options.seconds, work / "clip.mp4")
        for name, command in COMMANDS.items():
            begun = time.monotonic()
            with start(command, clip, work / name / "whole") as process:
                process.communicate()
            took, wanted = time.monotonic() - begun, content(work / name / "whole")
            rounds = max(1, options.kills // len(SIGNALS))
            survived = 0
            for at in range(rounds):
                out = work / name / f"killed-{at}"
                wrong = killed(command, clip, out, len(SIGNALS), took, chance)
                if content(out) != wanted:
                    odd = sorted(content(out).items() ^ wanted.items())
                    wrong.append(f"other files: {sorted({one for one, _ in odd})[:5]}")
                survived += 0 if wrong else len(SIGNALS)
                failed += len(wrong)
                for one in wrong:
                    print(f"  {name}: {one}")
            print(f"{name}: {survived} of {rounds * len(SIGNALS)} kills survived")
            every = []
            for at in range(options.pairs):
                out = work / name / f"pair-{at}"
                got, wrong = at_once(command, clip, out, chance.uniform(0, took / 2))
                if content(out) != wanted:
                    wrong.append("other files")
                failed += len(wrong)
                for one in wrong:
                    print(f"  {name}: {one}")
                every.append("+".join(got))
            print(f"{name}: two at once: {', '.join(every)}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
