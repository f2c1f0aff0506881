"""Frames a second of the whole `avaffect predict`, beside decoding alone and beside `fer`.

    python benchmarks/throughput.py [--clip clip.mp4] [--fer-python PATH] [--json figures.json]

The clip is looped to 20 s of 640 x 360. Every figure is of a whole process, from its start to its
exit, on two cores; the kinds of process take turns, so that whatever else the machine does meets
all of them. A last run of each kind of `predict` has timers in it and says where the time goes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from processes import Cost, load, looped, predict, run, use_two_cores

from avaffect.files.atomic import write_json

HERE = Path(__file__).parent
DEFAULT_CLIP = HERE.parent / "sample_media" / "one_person.mp4"
SIZE = (640, 360)
LIGHT, FULL = "predict --features light", "predict --features full"
EVERY, FAST = "predict --every-frame", "predict --fast"
DECODE, FER, FER_LOOP = "decode only", "fer", "fer, its loop only"
KINDS = (EVERY, LIGHT, FAST, FULL)
AIMS = {LIGHT: 160, FAST: 250}


def measure(
    clip: Path, work: Path, repeats: int, fer_python: Path | None
) -> tuple[int, dict[str, list[Cost]], list[float]]:
    """Frames of the clip, the costs of each kind of process, and the seconds of fer's loops."""
    costs: dict[str, list[Cost]] = {kind: [] for kind in (DECODE, *KINDS)}
    peers = {DECODE: Path(sys.executable)}
    if fer_python is not None:
        costs[FER] = []
        peers[FER] = fer_python
    frames, loops = set(), []
    for repeat in range(repeats):
        for kind, done in costs.items():
            if kind in peers:
                name = "fer" if kind == FER else "decode"
                cost, said = run([peers[kind], HERE / "peers.py", name, clip])
                count, seconds = said.split()[-2:]
                frames.add(int(count))
                if kind == FER:
                    loops.append(float(seconds))
            else:
                out = work / f"out-{kind.split()[-1]}-{repeat}"
                cost, _ = run(predict(clip, out, *kind.split()[1:]))
                frames.add(json.loads((out / f"records/{clip.stem}.json").read_text())["frames"])
            done.append(cost)
    assert len(frames) == 1, f"not the same number of frames everywhere: {frames}"
    return frames.pop(), costs, loops


def stages(clip: Path, work: Path, kind: str) -> dict[str, Any]:
    """What ``stages.py`` measures in one run."""
    result = work / "stages.json"
    command = predict(clip, work / f"stages-{kind.split()[-1]}", *kind.split()[1:])
    # Behind `python -m avaffect.cli.main` come the arguments.
    run([sys.executable, HERE / "stages.py", result, *command[3:]])
    return dict(json.loads(result.read_text()))


def summary(frames: int, costs: dict[str, list[Cost]], loops: list[float]) -> list[dict[str, Any]]:
    """A row a kind of process: frames a second, ratios of the best runs, costs."""
    rows = []
    for kind, runs in costs.items():
        walls = [cost.wall for cost in runs]
        rows.append(
            {
                "kind": kind,
                "best_fps": frames / min(walls),
                "median_fps": frames / statistics.median(walls),
                "cpu_ms_a_frame": 1e3 * min(cost.cpu for cost in runs) / frames,
                "peak_mb": max(cost.peak_mb for cost in runs),
                "others_cores": statistics.median(cost.others for cost in runs),
            }
        )
    if loops:
        best, median = frames / min(loops), frames / statistics.median(loops)
        rows.append({"kind": FER_LOOP, "best_fps": best, "median_fps": median})
    best_fps = {row["kind"]: row["best_fps"] for row in rows}
    for row in rows:
        for other in (DECODE, FER, FER_LOOP):
            if other in best_fps:
                row[f"times {other}"] = row["best_fps"] / best_fps[other]
    return rows


def print_summary(rows: list[dict[str, Any]]) -> None:
    """The table of :func:`summary`, and the aims."""
    others = [name for name in (DECODE, FER, FER_LOOP) if f"times {name}" in rows[0]]
    print(f"\n{'':26}{'best':>8}{'median':>8}{'CPU ms':>9}{'peak':>7}{'others':>8}")
    header = "".join(f"{'x ' + name:>{len(name) + 5}}" for name in others)
    print(f"{'whole process':26}{'fps':>8}{'fps':>8}{'a frame':>9}{'MB':>7}{'cores':>8}{header}")
    for row in rows:
        ratios = "".join(f"{row['times ' + name]:{len(name) + 5}.2f}" for name in others)
        costs = f"{'':24}"
        if "cpu_ms_a_frame" in row:
            costs = f"{row['cpu_ms_a_frame']:9.1f}{row['peak_mb']:7.0f}{row['others_cores']:8.1f}"
        print(f"{row['kind']:26}{row['best_fps']:8.1f}{row['median_fps']:8.1f}{costs}{ratios}")
    for row in rows:
        if aim := AIMS.get(row["kind"]):
            met = "met" if row["best_fps"] >= aim else "NOT met"
            print(f"{row['kind']}: aim of {aim} fps {met} ({row['best_fps']:.1f})")


def print_stages(kind: str, frames: int, found: dict[str, Any]) -> None:
    """Where the time of one run goes, a block a thread."""
    whole = found["wall"]
    print(f"\n{kind}, with timers: {whole:.2f} s from the interpreter's first line to the last")
    print(f"{'thread':8}{'part':34}{'wall s':>8}{'CPU s':>8}{'calls':>8}{'ms a frame':>12}")
    parts = sorted(found["parts"], key=lambda part: (part["thread"], -part["wall"]))
    for part in parts:
        print(
            f"{part['thread']:8}{part['part']:34}{part['wall']:8.2f}{part['cpu']:8.2f}"
            f"{part['calls']:8d}{1e3 * part['wall'] / frames:12.3f}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, default=DEFAULT_CLIP, help="a clip of one face")
    parser.add_argument("--seconds", type=float, default=20, help="length it is looped to")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--fer-python", type=Path, help="an interpreter that has fer==25.10.3")
    parser.add_argument("--json", type=Path, help="write all figures here too")
    options = parser.parse_args()

    cores, before = use_two_cores(), load()
    with tempfile.TemporaryDirectory(prefix="avaffect-benchmark-") as folder:
        work = Path(folder)
        clip = looped(options.clip, options.seconds, work / "clip.mp4", SIZE)
        # Also the warm-up: weights are in the page cache and derived files made from here on.
        where = {kind: stages(clip, work, kind) for kind in KINDS}
        frames, costs, loops = measure(clip, work, options.repeats, options.fer_python)
    rows = summary(frames, costs, loops)
    print(f"{options.clip.name} looped to {frames} frames of {SIZE[0]} x {SIZE[1]}")
    print(f"{cores} cores, {options.repeats} runs of each; before: {before}; after: {load()}")
    print_summary(rows)
    for kind, found in where.items():
        print_stages(kind, frames, found)
    if options.json:
        write_json(
            options.json,
            {
                "clip": options.clip.name,
                "frames": frames,
                "cores": cores,
                "load_before": before,
                "load_after": load(),
                "summary": rows,
                "runs": {kind: [asdict(cost) for cost in runs] for kind, runs in costs.items()},
                "fer_loop_seconds": loops,
                "stages": where,
            },
        )


if __name__ == "__main__":
    main()
