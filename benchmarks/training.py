"""How fast `abaw1-av-gru` trains, and how much of that is reading windows.

    python benchmarks/training.py [--frames 200000] [--clips 100] [--device auto]

Writes a made-up feature store of the true arrays' shapes to a temporary folder, reads windows from
it as training does (memory-mapped, in shuffled order), then trains for some hundred steps. Prints
windows a second of each, their ratio, and what an epoch over Aff-Wild2's VA training part
(1.7 million frames) would take at that speed: an extrapolation, and said to be one.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from avaffect.datasets.clip import Clip, Dataset
from avaffect.files.npy import ArraySpec, NpyFile, write_arrays
from avaffect.recipes.library import load_recipe
from avaffect.training.objective import Objective
from avaffect.training.optimiser import OPTIMISERS
from avaffect.training.processes import processes
from avaffect.training.setup import Setup
from avaffect.windows.order import epoch_order

SPECS = {
    "audio": ArraySpec((168,), "float32"),
    "has_sound": ArraySpec((), "bool"),
    "efficientnet-lite0": ArraySpec((1280,), "float16"),
    "face_pose": ArraySpec((263,), "float32"),
}
AFFWILD2_FRAMES = 1_700_000


class Stored:
    """Mapped files as a feature source."""

    def __init__(self, folder: Path) -> None:
        self._files = {name: NpyFile(folder / f"{name}.npy", mapped=True) for name in SPECS}
        self.frames = self._files["audio"].rows
        self.specs = SPECS

    def array(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        return self._files[name].read(start, stop)


def made_up(rng: np.random.Generator, frames: int) -> Iterator[dict[str, np.ndarray]]:
    for start in range(0, frames, 500):
        count = min(500, frames - start)
        chunk = {}
        for name, spec in SPECS.items():
            values = rng.standard_normal((count, *spec.shape), np.float32)
            chunk[name] = values > -9 if spec.dtype == "bool" else values
        yield chunk


def write_clips(folder: Path, clips: int, frames: int) -> Dataset:
    rng = np.random.default_rng(0)
    made = []
    for i in range(clips):
        place = folder / str(i)
        files = {name: place / f"{name}.npy" for name in SPECS}
        write_arrays(files, frames, SPECS, made_up(rng, frames))
        va = np.tanh(rng.standard_normal((frames, 2))).astype(np.float32)
        made.append(Clip(str(i), str(i), Stored(place), {"va": va}, "train"))
    return Dataset(tuple(made), {"va": ("valence", "arousal")})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    recipe = load_recipe("abaw1-av-gru")
    recipe = replace(recipe, train=replace(recipe.train, batch_size=options.batch_size))
    stride = recipe.window.length - recipe.window.overlap
    with tempfile.TemporaryDirectory() as folder, processes(options.device) as group:
        dataset = write_clips(Path(folder), options.clips, options.frames // options.clips)
        setup = Setup(recipe, dataset, dataset.clips, (), 0, group, lambda event: None)
        order = epoch_order(len(setup.reader), 0, 0)[: options.steps * options.batch_size]

        def batches():
            return setup.loader(order, 0, options.workers)

        for _ in batches():  # brings the files into the system's cache
            pass
        started = time.perf_counter()
        windows = sum(len(batch) for batch in batches())
        reading = windows / (time.perf_counter() - started)

        objective = Objective(setup.network, dict(setup.objective.losses.items()))
        objective.to(group.device).train()
        optimiser = OPTIMISERS[recipe.train.optimiser](objective.parameters(), recipe.train)
        waiting, seen = 0.0, 0
        loader = iter(batches())
        first = None
        while True:
            asked = time.perf_counter()
            batch = next(loader, None)
            waiting += time.perf_counter() - asked
            if batch is None:
                break
            with torch.autocast(group.device.type, setup.amp, enabled=setup.amp is not None):
                loss, _ = objective(batch.to(group.device))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            if first is None:  # the first step warms up and does not count
                loss.item()
                first, waiting = time.perf_counter(), 0.0
            else:
                seen += len(batch)
        loss.item()
        seconds = time.perf_counter() - first
    speed = seen / seconds
    print(f"device: {group.description}; batches of {options.batch_size}, {recipe.name}")
    print(
        f"reading alone: {reading:,.0f} windows/s ({reading * recipe.window.length:,.0f} frames/s)"
    )
    print(f"training:      {speed:,.0f} windows/s; reading is {reading / speed:.1f} x as fast")
    print(f"share of the time spent waiting for windows: {waiting / seconds:.1%}")
    if group.device.type == "cuda":
        print(f"peak GPU memory: {torch.cuda.max_memory_allocated() / 2**20:,.0f} MiB")
    epoch = AFFWILD2_FRAMES / stride / speed
    print(f"an epoch over 1.7 million frames, extrapolated: {epoch / 60:.1f} min")


if __name__ == "__main__":
    main()
