"""What the benchmarks share: clips of a wanted length, and processes with what they cost."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from avaffect.media.ffmpeg import ffmpeg_binary, file_url

CORES = 2
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What a process cost, from its start to its exit, its children included.

    Attributes:
        wall: seconds.
        cpu: seconds on a core, in user and system mode.
        peak_mb: peak resident memory of the largest process in 10^6 bytes.
        others: cores that all other processes of the machine kept busy meanwhile.
    """

    wall: float
    cpu: float
    peak_mb: float
    others: float


def use_two_cores() -> int:
    """Bind this process and its children to two cores; how many it got."""
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)
    return len(cores)


def load() -> str:
    """The machine's load, for the record."""
    one, five, fifteen = os.getloadavg()
    return f"load {one:.1f} {five:.1f} {fifteen:.1f} on {os.cpu_count()} cores"


def run(command: list[str | Path]) -> tuple[Cost, str]:
    """Run ``command`` to its end.

    Returns:
        Its cost, and what it printed to stdout.

    Raises:
        SystemExit: it failed; with its last words.
    """
    busy, start = _busy(), time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_surroundings(),
    )
    # A few lines at most come out of each: they fit into the pipes.
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    output, errors = process.communicate()
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command[:4]))} ... failed:\n{errors[-2000:]}")
    cpu = usage.ru_utime + usage.ru_stime
    others = max(0.0, (_busy() - busy - cpu) / wall)
    return Cost(wall, cpu, usage.ru_maxrss * 1024 / 1e6, others), output


def _surroundings() -> dict[str, str]:
    """This process's own, with compiled modules as of an installed package: the first run of a
    benchmark makes them, in a folder apart."""
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "avaffect-benchmark-compiled")
    return env


def predict(clip: Path, out: Path, *options: str) -> list[str | Path]:
    """The command ``avaffect predict --task all`` of this interpreter's avaffect."""
    fixed = ["--task", "all", "--device", "cpu", "--offline", "--quiet"]
    return [
        sys.executable,
        "-m",
        "avaffect.cli.main",
        "predict",
        clip,
        "-o",
        out,
        *fixed,
        *options,
    ]


def looped(clip: Path, seconds: float, target: Path, size: tuple[int, int] | None = None) -> Path:
    """Write ``clip`` to ``target``, over and over until it is ``seconds`` long.

    Args:
        clip: a video.
        seconds: length of the result.
        target: an .mp4 file.
        size: width and height to scale to and pad with black; None copies the streams as they are.
    """
    if size is None:
        how = ["-c", "copy"]
    else:
        box = f"{size[0]}:{size[1]}"
        fit = f"scale={box}:force_original_aspect_ratio=decrease,pad={box}:(ow-iw)/2:(oh-ih)/2"
        how = ["-vf", f"{fit},setsar=1", "-pix_fmt", "yuv420p"]
        how += ["-c:v", "libx264", "-crf", "20", "-c:a", "aac"]
    command = [
        ffmpeg_binary(),
        "-y",
        "-loglevel",
        "error",
        "-stream_loop",
        "-1",
        "-i",
        file_url(clip),
    ]
    command += ["-t", f"{seconds:g}", *how, file_url(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"ffmpeg cannot loop '{clip}': {done.stderr.strip()[-500:]}")
    return target


def _busy() -> float:
    """Seconds that the machine's cores were busy since it started."""
    numbers = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:8]
    user, nice, system, _idle, _waiting, hard, soft = (int(number) for number in numbers)
    return (user + nice + system + hard + soft) / _TICK
