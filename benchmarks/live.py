"""Delay and dropped frames of `avaffect live`, and what a frame costs beside `predict`.

A busy machine tells nothing of delays. So time is counted that this process computed, all its
threads together, and time that it slept: as if one quiet core did everything. The real clock's
figures stand beside it.

    python benchmarks/live.py clip.mp4 [more.mp4 ...]
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from avaffect import Session, predict
from avaffect.live.run import Lived, watch
from avaffect.live.sources import Clock, FilePlayer, RealClock


class ComputingClock:
    """Seconds computed and slept."""

    def __init__(self) -> None:
        self._slept = 0.0

    def now(self) -> float:
        return time.process_time() + self._slept

    def sleep(self, seconds: float) -> None:
        self._slept += seconds


class Hurried:
    """No time passes but by sleeping: every frame is worked on."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


def played(path: Path, clock: Clock, delay: float) -> Lived:
    """A file at its own speed, with its sound."""
    with Session(delay=delay) as session:
        player = FilePlayer(path, clock, sound=True)
        try:
            return watch(player, session, clock)
        finally:
            player.close()


def main() -> None:
    """Measure each clip that is named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", help="videos with a face")
    for name in parser.parse_args().clips:
        path = Path(name)
        began = time.process_time()
        frames = predict(path, subjects="all").frames
        file = (time.process_time() - began) / frames
        began = time.process_time()
        played(path, Hurried(), 0.0)
        live = (time.process_time() - began) / frames
        print(f"{path.name}: {frames} frames, load {os.getloadavg()[0]:.1f}")
        print(f"  CPU a frame: predict {1000 * file:.1f} ms, live {1000 * live:.1f} ms, "
              f"ratio {live / file:.2f}")  # fmt: skip
        for delay in (0.0, 0.25):
            for clock in (ComputingClock(), RealClock()):
                done = played(path, clock, delay)
                share = done.dropped / (done.frames + done.dropped)
                late, latest = (1000 * (each or 0) for each in (done.delay, done.delay_95))
                print(
                    f"  {type(clock).__name__}, delay {delay:g}: {done.frames} frames, "
                    f"{done.dropped} dropped ({share:.0%}), results {late:.0f} ms "
                    f"(95 %: {latest:.0f} ms)",
                    flush=True,
                )


if __name__ == "__main__":
    main()
