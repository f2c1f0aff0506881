"""Try avaffect with other versions of what it stands on, and print a table (`make versions`).

An environment with the newest version of everything is made once. Into it goes one package in
another version at a time, then all of them at the oldest that setup.cfg allows: the sample clips
are predicted by each, and must give what `tests/golden` holds.

    python packaging/versions.py [--folder DIR] [av==14.1.0 onnxruntime==1.18.0 ...]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TypeAlias

from oldest import ROOT, oldest

# What reads, computes and stores; torch is not of the core.
PACKAGES = ("numpy", "av", "onnxruntime", "pyarrow", "opencv-python-headless", "ai-edge-litert")
# The oldest of these were built for NumPy 1 and the newest for NumPy 2: they go together.
NUMPY_1 = ("numpy", "onnxruntime", "pyarrow", "opencv-python-headless")
CLIPS = ("one_person.mp4", "two_people.mp4", "vfr_rotated.mov", "no_face.mp4")


def main() -> int:
    """Try all, or the versions that are named; 1 if one of them fails."""
    parser = argparse.ArgumentParser(description="Try avaffect with other versions.")
    parser.add_argument("--folder", type=Path, help="of the environments; kept if it is named")
    parser.add_argument("versions", nargs="*", help="NAME==VERSION, each tried alone")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = given.folder or Path(name)
        newest = environment(folder / "newest", [])
        failed = 0
        rows = [[each] for each in given.versions]
        if not rows:
            lowest = [line.replace(" ", "") for line in oldest()]
            known = [each for each in lowest if each.partition("==")[0] in PACKAGES]
            old = [each for each in known if each.partition("==")[0] in NUMPY_1]
            rows = [[], *([each] for each in known if each not in old), old]
        for row in rows:
            failed += tell(row, *tried(newest, folder, row))
        if not given.versions:
            whole = environment(folder / "oldest", lowest)
            failed += tell(["all of them"], *tried(whole, folder, []))
    return int(bool(failed))


def environment(folder: Path, constraints: list[str]) -> Path:
    """The Python of an environment with avaffect's core; made if it is not there."""
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        lines = folder / "constraints.txt"
        lines.write_text("\n".join(constraints), encoding="utf-8")
        pip = [python, "-m", "pip", "install", "--quiet", "--constraint", lines]
        subprocess.run([*pip, str(ROOT)], check=True)
        (folder / "ready").touch()
    return python


def tried(python: Path, folder: Path, row: list[str]) -> tuple[str, str]:
    """What came of it, and the versions that were in use."""
    place = folder / "-".join(["with", *row]).replace("*", "x")
    variables = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(place)}
    if row and not place.exists():
        target = ["--quiet", "--no-deps", "--only-binary=:all:", "--target", place]
        done = run([python, "-m", "pip", "install", *target, *row], variables)
        if done.returncode:
            return f"cannot be installed: {last(done)}", ""
    names = repr([*PACKAGES])
    code = f"import importlib.metadata as m; print(*(f'{{n}} {{m.version(n)}}' for n in {names}))"
    versions = run([python, "-c", code], variables).stdout.strip()
    with tempfile.TemporaryDirectory() as out:
        clips = [ROOT / "sample_media" / clip for clip in CLIPS]
        command = [python, "-m", "avaffect", "predict", *clips, "-o", out, "--missing", "invalid"]
        done = run([*command, "--no-report"], variables, cwd=out)
        # 1: a clip of these shows nobody.
        if done.returncode not in (0, 1) or not list(Path(out, "tables").glob("no_face.parquet")):
            return f"predict fails: {last(done)}", versions
        variables["PYTHONPATH"] += os.pathsep + str(ROOT / "tests")
        done = run([python, "-m", "golden.figures", out], variables, cwd=out)
    if done.returncode:
        lines = done.stdout.strip().splitlines() or [last(done)]
        return f"{len(lines)} figures differ, such as {lines[0]}", versions
    return "as it was", versions


Done: TypeAlias = "subprocess.CompletedProcess[str]"


def run(command: list[object], variables: dict[str, str], cwd: str | None = None) -> Done:
    return subprocess.run(
        [str(part) for part in command], env=variables, cwd=cwd, capture_output=True, text=True
    )


def last(done: Done) -> str:
    return (done.stderr.strip().splitlines() or ["?"])[-1][:200]


def tell(row: list[str], outcome: str, versions: str) -> bool:
    """Print a row of the table; whether it failed."""
    print(f"| {', '.join(row) or 'the newest'} | {outcome} | {versions} |", flush=True)
    return outcome != "as it was"


if __name__ == "__main__":
    sys.exit(main())
