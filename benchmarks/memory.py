"""Peak memory of `avaffect predict` on a long video beside a short one.

    python benchmarks/memory.py [--clip clip.mp4] [--minutes 1 5] [--features light full]

The videos are the clip over and over, not encoded again. The peak is that of the largest process:
Python's, since the ffmpeg that decodes sound is smaller.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from processes import load, looped, predict, run, use_two_cores
from throughput import DEFAULT_CLIP, SIZE

MOST_RATIO = 1.1
MOST_MB = 350


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", type=Path, default=DEFAULT_CLIP, help="a clip of one face")
    parser.add_argument("--minutes", type=float, nargs=2, default=[1, 5])
    parser.add_argument("--features", choices=["light", "full"], nargs="+", default=["light"])
    options = parser.parse_args()

    use_two_cores()
    print(f"{options.clip.name}, looped; {load()}")
    with tempfile.TemporaryDirectory(prefix="avaffect-benchmark-") as folder:
        work = Path(folder)
        scaled = looped(options.clip, 20, work / "scaled.mp4", SIZE)
        for features in options.features:
            peaks = []
            for minutes in options.minutes:
                clip = looped(scaled, 60 * minutes, work / f"{minutes:g}-minutes.mp4")
                out = work / f"out-{features}-{minutes:g}"
                cost, _ = run(predict(clip, out, "--features", features))
                peaks.append(cost.peak_mb)
                print(f"{features}, {minutes:g} min: {cost.peak_mb:.0f} MB, {cost.wall:.0f} s")
            ratio = peaks[1] / peaks[0]
            within = ratio <= MOST_RATIO and max(peaks) <= MOST_MB
            print(
                f"{features}: ratio {ratio:.3f} (at most {MOST_RATIO}), "
                f"most {max(peaks):.0f} MB (at most {MOST_MB}): {'within' if within else 'OVER'}"
            )


if __name__ == "__main__":
    main()
