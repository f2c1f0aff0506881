"""Faces a second that windows are read with, and what listing the folder each time would cost.

    python benchmarks/loader.py [--faces 2000] [--window 1] [--workers 0 1 2]

Writes drawn faces of 112 pixels to a temporary folder and reads windows of them in shuffled
order, as training does. The first row lists the folder twice a window, as was done until 28
November 2026; the ratios are to it, from this very run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from avaffect.datasets.clip import Clip
from avaffect.recipes.library import load_recipe
from avaffect.store.pictures import HAS_FACE, PictureFolder
from avaffect.windows.cut import cut
from avaffect.windows.loader import read_ahead
from avaffect.windows.order import batches, epoch_order
from avaffect.windows.reader import WindowReader

SIDE = 112
AT_A_TIME = 256


class ListedEachTime(PictureFolder):
    """Looks whether there are pictures before it reads some."""

    def array(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        next(self._names(), None)
        return super().array(name, start, stop)


def draw(folder: Path, faces: int) -> None:
    """Write so many pictures, all alike."""
    noise = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    picture = cv2.GaussianBlur(noise, (0, 0), 3)
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    for number in range(1, faces + 1):
        (folder / f"{number:05d}.jpg").write_bytes(data)


def speed(pictures: PictureFolder, window: int, workers: int) -> float:
    """Faces a second of one pass over them, with the start of the workers."""
    roots = load_recipe("abaw5-expr").roots
    pictures.array(HAS_FACE, 0, 1)  # listed before the clock starts
    clip = Clip("faces", "faces", pictures)
    reader = WindowReader([clip], roots, cut([pictures.frames], window, 0), {})
    order = epoch_order(len(reader), 0, 0)
    rows = list(batches(order, max(1, AT_A_TIME // window)))
    began = time.perf_counter()
    read = sum(
        int(batch.exists.sum()) for batch in read_ahead(reader, rows, torch.device("cpu"), workers)
    )
    return read / (time.perf_counter() - began)


def measure(faces: int, window: int, workers: list[int]) -> dict[str, float]:
    """Faces a second by what was done."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        draw(folder, faces)
        found = {"listed each time": speed(ListedEachTime(folder, faces), window, 0)}
        for count in workers:
            found[f"{count} workers"] = speed(PictureFolder(folder, faces), window, count)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--faces", type=int, default=2000)
    parser.add_argument("--window", type=int, default=1, help="frames in a window")
    parser.add_argument("--workers", type=int, nargs="*", default=[0, 1, 2])
    given = parser.parse_args()
    found = measure(given.faces, given.window, given.workers)
    first = next(iter(found.values()))
    for name, rate in found.items():
        print(f"{name:18} {rate:8,.0f} faces a second   x {rate / first:.2f}")


if __name__ == "__main__":
    main()
