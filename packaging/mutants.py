"""Change the code a little, many times, and see whether the tests notice (`make mutants`).

cosmic-ray makes the changes, in a copy of the checkout; of each module a sample is taken by a
seed, and only the tests that mirror it are run. What survives is printed, to be read: a change
that makes no difference is none, any other wants a test.

    python packaging/mutants.py [--each 40] [--seed 0] [MODULE ...]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
# By module, the tests that mirror it.
MODULES = {
    "avaffect/windows/cut.py": "tests/windows/test_cut.py",
    "avaffect/windows/merge.py": "tests/windows/test_merge.py",
    "avaffect/metrics/scores.py": "tests/metrics/test_scores.py",
    "avaffect/metrics/tallies.py": "tests/metrics/test_tallies.py",
    "avaffect/challenge/text.py": "tests/challenge/test_text.py",
    "avaffect/challenge/rows.py": "tests/challenge/test_rows.py",
    "avaffect/challenge/image_rows.py": "tests/challenge/test_rows.py tests/challenge/test_mtl.py",
}
CONFIG = """[cosmic-ray]
module-path = "{module}"
timeout = 120.0
excluded-modules = []
test-command = "{python} -m pytest -x -q -p no:cacheprovider -p no:randomly {tests}"
[cosmic-ray.distributor]
name = "local"
"""
# What changes no value: annotations, and bars between types.
_LEFT_OUT = ("BitOr", "remove-decorator", "RemoveDecorator")


def main() -> int:
    """Try the modules that are named, or all."""
    parser = argparse.ArgumentParser(description="Mutation testing.")
    parser.add_argument("--each", type=int, default=40, help="changes a module")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("modules", nargs="*", help="of those that have tests here")
    given = parser.parse_args()
    killed = tried = 0
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name) / "copy"
        copy.mkdir()
        files = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
        ).stdout
        subprocess.run(
            ["tar", "-cf", "../copy.tar", "-C", ROOT, "--null", "-T", "-"],
            cwd=copy, input=files, check=True,
        )  # fmt: skip
        subprocess.run(["tar", "-xf", "../copy.tar"], cwd=copy, check=True)
        for module in given.modules or MODULES:
            dead, all_ = one(copy, module, given.each, given.seed)
            killed, tried = killed + dead, tried + all_
            print(f"{module:40} {dead} of {all_} killed", flush=True)
    print(f"{'all':40} {killed} of {tried} killed: {100 * killed / max(tried, 1):.0f} %")
    return 0


def one(copy: Path, module: str, each: int, seed: int) -> tuple[int, int]:
    """How many of the changes of a module were noticed, and how many there were."""
    config, session = copy / "mutants.toml", copy / "mutants.sqlite"
    session.unlink(missing_ok=True)
    text = CONFIG.format(module=module, python=sys.executable, tests=MODULES[module])
    config.write_text(text, encoding="utf-8")
    variables = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    program = [sys.executable, "-m", "cosmic_ray.cli"]

    def run(*arguments: str) -> str:
        command = [*program, *arguments]
        done = subprocess.run(command, cwd=copy, env=variables, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr[-2000:])
        return done.stdout

    run("init", config.name, session.name)
    with sqlite3.connect(session) as table:
        names = dict(table.execute("select job_id, operator_name from mutation_specs"))
        jobs = sorted(job for job, name in names.items() if not any(w in name for w in _LEFT_OUT))
        jobs.sort(key=lambda job: list(names).index(job))
        taken = set(random.Random(seed).sample(jobs, min(each, len(jobs))))  # noqa: S311
        for job in names.keys() - taken:
            table.execute("delete from mutation_specs where job_id = ?", (job,))
            table.execute("delete from work_items where job_id = ?", (job,))
    run("exec", config.name, session.name)
    killed = 0
    for line in run("dump", session.name).splitlines():
        item, result = json.loads(line)
        if result and result["test_outcome"] == "survived":
            where = item["mutations"][0]
            print(f"  {module}:{where['start_pos'][0]} {where['operator_name']}")
            print("\n".join(f"    {part}" for part in (result["diff"] or "").splitlines()
                            if part[:1] in "+-" and part[:3] not in ("+++", "---")))  # fmt: skip
        else:
            killed += bool(result)
    return killed, len(taken)


if __name__ == "__main__":
    sys.exit(main())
