"""Sound features of an hour: time and memory.

    python benchmarks/audio.py [--minutes 60] [--fps 30] [--device cpu]

The sound is synthetic (a gliding vowel over noise) and comes in blocks of four seconds, as from a
decoder; making it is timed apart and taken off.
"""

import argparse
import resource
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from avaffect.config import SAMPLE_RATE, AudioConfig
from avaffect.sound.mfcc import audio_features

BLOCK_SECONDS = 4


def block(index: int) -> NDArray[np.float32]:
    """Four seconds of sound."""
    t = np.arange(BLOCK_SECONDS * SAMPLE_RATE) / SAMPLE_RATE
    pitch = 120 + 20 * np.sin(2 * np.pi * t / BLOCK_SECONDS)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    hum = sum(np.sin(k * phase) / k for k in range(1, 6))
    noise = np.random.default_rng(index).normal(0, 0.01, len(t))
    return (0.2 * hum + noise).astype(np.float32)


def blocks(seconds: float) -> Iterator[NDArray[np.float32]]:
    """The sound."""
    return (block(i) for i in range(round(seconds / BLOCK_SECONDS)))


def peak_megabytes() -> float:
    """Peak resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(seconds: float, fps: float, device: str) -> tuple[float, int]:
    """Seconds taken by the features alone, and the number of frames."""
    start = time.perf_counter()
    for _ in blocks(seconds):
        pass
    making = time.perf_counter() - start
    times = np.arange(round(seconds * fps)) / fps
    start = time.perf_counter()
    done = 0
    for chunk in audio_features(blocks(seconds), times, AudioConfig(), device):
        done += len(chunk.values)
    return time.perf_counter() - start - making, done


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--fps", type=float, default=30)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()

    before = peak_megabytes()
    print(f"before: peak {before:.0f} MB")
    for minutes in (options.minutes / 10, options.minutes):
        taken, frames = measure(minutes * 60, options.fps, options.device)
        print(
            f"{minutes:g} min on {options.device}: {frames} frames in {taken:.2f} s, "
            f"{minutes * 60 / taken:.0f} x real time, peak {peak_megabytes():.0f} MB"
        )


if __name__ == "__main__":
    main()
