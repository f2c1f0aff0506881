"""Time and faces found of each detector on a clip, and the times' ratios to the default's.

    python benchmarks/detectors.py clip.mp4 [--frames 20] [--detectors blazeface-full centerface]

The pictures, spread over the clip, are decoded before the clock starts; each detector sees each
picture once to warm up and once for the clock. S3FD takes part if its weights are to be had.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.config import FaceConfig
from avaffect.errors import ModelError
from avaffect.faces.detectors.boxes import iou
from avaffect.faces.detectors.registry import DETECTORS, build_detector
from avaffect.faces.face import Detection
from avaffect.media.frames import FrameReader


def pictures(path: Path, count: int) -> list[NDArray[np.uint8]]:
    """``count`` pictures spread evenly over the clip, all of them if it is shorter."""
    with FrameReader(path) as reader:
        total = sum(1 for _ in reader)
        wanted = set(np.linspace(0, total - 1, min(count, total)).astype(int).tolist())
        return [frame.image for frame in reader if frame.index in wanted]


def agreement(found: list[list[Detection]], reference: list[list[Detection]]) -> float:
    """Share of the reference's faces that were found too (IoU over 0.4)."""
    matched = total = 0
    for faces, others in zip(found, reference, strict=True):
        total += len(others)
        if faces and others:
            a, b = (np.array([face.box for face in side]) for side in (faces, others))
            matched += int((iou(a, b).max(axis=0) > 0.4).sum())
    return matched / total if total else float("nan")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", type=int, default=20)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--detectors", nargs="+", choices=list(DETECTORS), default=list(DETECTORS))
    arguments = parser.parse_args()

    default = FaceConfig().detector
    names = [default, *(name for name in arguments.detectors if name != default)]
    images = pictures(arguments.clip, arguments.frames)
    height, width = images[0].shape[:2]
    print(f"{arguments.clip.name}, {len(images)} pictures of {width} x {height}")
    print(f"{'detector':16}{'ms a picture':>14}{'times':>8}{'faces':>8}{'most':>6}{'agrees':>8}")
    base, reference = 0.0, []
    for name in names:
        try:
            detect = build_detector(name, FaceConfig().min_score, arguments.device)
        except ModelError as error:
            print(f"{name:16}  left out: {error.problem}")
            continue
        times, found = [], []
        for image in images:
            detect(image)
            start = time.perf_counter()
            found.append(detect(image))
            times.append(time.perf_counter() - start)
        # The median: others may use this machine too.
        typical = float(np.median(times)) * 1e3
        if name == default:
            base, reference = typical, found
        counts = [len(faces) for faces in found]
        print(
            f"{name:16}{typical:14.1f}{typical / base:8.1f}{np.mean(counts):8.2f}"
            f"{max(counts):6d}{agreement(found, reference):8.0%}"
        )


if __name__ == "__main__":
    main()
