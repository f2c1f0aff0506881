"""What a frame costs by the picture's size and the number of faces, and with several jobs.

    python benchmarks/sizes.py [--clip clip.mp4] [--seconds 3] [--heights 360 720 1080 2160]

One face in each size, then more of them in one size (``--faces-at``). Clips are made of one with a
face: it is tiled so often as there are to be faces (at most 4 by 2) and scaled. The kinds of
process take turns; decoding alone is among them. `CPU ms a frame` is of the whole process, less
that of the same command on one frame: the start does not count. Behind each stands its ratio to
`--every-frame`.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from processes import Cost, load, looped, predict, run, use_two_cores
from throughput import DEFAULT_CLIP

from avaffect.media.ffmpeg import ffmpeg_binary, file_url

HERE = Path(__file__).parent
GRIDS = {1: (1, 1), 2: (2, 1), 4: (2, 2), 8: (4, 2)}
LOOKS = ("--every-frame", "", "--fast")


def tiled(clip: Path, faces: int, height: int, target: Path, frames: int) -> Path:
    """``clip`` beside and above itself, 16:9 and ``height`` high."""
    across, down = GRIDS[faces]
    width, each = height * 16 // 9 // 2 * 2, height // down // 2 * 2
    box = f"{width // across // 2 * 2}:{each}"
    fit = f"scale={box}:force_original_aspect_ratio=decrease,pad={box}:(ow-iw)/2:(oh-ih)/2"
    # Each a few frames later than the one before, so that they do not all move at once.
    parts = "".join(
        f"[0:v]{fit},setsar=1,tpad=start={3 * at}:start_mode=clone[p{at}];" for at in range(faces)
    )
    rows = "".join(
        "".join(f"[p{row * across + at}]" for at in range(across))
        + (f"hstack={across}" if across > 1 else "null")
        + f"[r{row}];"
        for row in range(down)
    )
    whole = "".join(f"[r{row}]" for row in range(down)) + (
        f"vstack={down}" if down > 1 else "null"
    )
    command = [ffmpeg_binary(), "-y", "-loglevel", "error", "-i", file_url(clip)]
    command += ["-filter_complex", f"{parts}{rows}{whole},format=yuv420p", "-an"]
    command += ["-frames:v", str(frames), "-c:v", "libx264", "-preset", "fast", "-crf", "20"]
    done = subprocess.run(
        [*command, file_url(target)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"ffmpeg cannot tile '{clip}': {done.stderr.strip()[-500:]}")
    return target


def ms(cost: Cost, start: Cost, frames: int) -> float:
    """CPU milliseconds a frame without those of the start."""
    return 1e3 * (cost.cpu - start.cpu) / (frames - 1)


def jobs(clip: Path, work: Path, frames: int, copies: int) -> None:
    """Print what several inputs cost, one after the other and two at once."""
    folder = work / "copies"
    folder.mkdir()
    for number in range(copies):
        # The end of an MP4 may hold anything: no two are the same file.
        target = folder / f"{number}.mp4"
        shutil.copy(clip, target)
        with target.open("ab") as file:
            file.write(b"\0\0\0\x0cfree" + number.to_bytes(4, "big"))
    for number in (1, 2):
        cost, _ = run(predict(folder, work / f"jobs-{number}", "--jobs", str(number)))
        print(
            f"{copies} clips, --jobs {number}: {copies * frames / cost.wall:6.1f} frames/s, "
            f"{1e3 * cost.cpu / copies / frames:5.1f} CPU ms a frame, "
            f"{cost.peak_mb:4.0f} MB the largest process, others {cost.others:.1f} cores"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, default=DEFAULT_CLIP, help="a clip of one face")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--heights", type=int, nargs="+", default=[360, 720, 1080, 2160])
    parser.add_argument("--faces", type=int, nargs="+", default=list(GRIDS), choices=GRIDS)
    parser.add_argument("--faces-at", type=int, default=720, help="the height for more faces")
    parser.add_argument("--copies", type=int, default=4, help="inputs for the jobs; 0: no jobs")
    options = parser.parse_args()
    use_two_cores()
    print(f"{options.clip.name}; {load()}")
    frames = round(25 * options.seconds)
    heads = "".join(f"{each or 'default':>15}" for each in LOOKS)
    print(f"{'CPU ms a frame':16}{'decode':>9}{heads}{'peak MB':>9}{'others':>8}")
    with tempfile.TemporaryDirectory(prefix="avaffect-benchmark-") as folder:
        work = Path(folder)
        long = looped(options.clip, options.seconds + 2, work / "long.mp4")
        first = tiled(long, 1, 360, work / "first.mp4", 1)
        start, _ = run(predict(first, work / "out-first"))
        begin, _ = run([sys.executable, HERE / "peers.py", "decode", first])
        sizes = [(height, 1) for height in options.heights if 1 in options.faces]
        sizes += [(options.faces_at, faces) for faces in options.faces if faces > 1]
        for height, faces in sizes:
            clip = tiled(long, faces, height, work / f"{height}-{faces}.mp4", frames)
            cost, said = run([sys.executable, HERE / "peers.py", "decode", clip])
            assert int(said.split()[-2]) == frames, said
            cells, peak, others = [ms(cost, begin, frames)], 0.0, []
            for each in LOOKS:
                out = work / f"out-{height}-{faces}{each}"
                given = ["--subjects", "all", *filter(None, [each])]
                cost, _ = run(predict(clip, out, *given))
                cells.append(ms(cost, start, frames))
                peak, others = max(peak, cost.peak_mb), [*others, cost.others]
            name = f"{height}p, {faces} face{'s' if faces > 1 else ''}"
            shown = f"{cells[0]:9.1f}"
            shown += "".join(f"{cell:8.1f} x{cell / cells[1]:5.2f}" for cell in cells[1:])
            print(f"{name:16}{shown}{peak:9.0f}{sum(others) / len(others):8.1f}", flush=True)
        if options.copies:
            clip = tiled(long, 1, 360, work / "job.mp4", frames)
            jobs(clip, work, frames, options.copies)


if __name__ == "__main__":
    main()
