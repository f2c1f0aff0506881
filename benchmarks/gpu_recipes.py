"""Networks and training on a GPU: the second half of `gpu.py`, which runs these parts."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_checks import Check

from avaffect.datasets.clip import Clip, Dataset
from avaffect.errors import TrainingError
from avaffect.files.npy import ArraySpec
from avaffect.networks.blocks import build_block
from avaffect.networks.network import AffectNetwork
from avaffect.networks.phase import phase_differences
from avaffect.recipes.blocks import Recurrent
from avaffect.recipes.library import load_recipe, parse_recipe, recipe_names
from avaffect.recipes.recipe import Recipe
from avaffect.training.augment import perturb_voice
from avaffect.training.balance import LabelWeights
from avaffect.training.loop import deterministic, train
from avaffect.training.losses import build_loss
from avaffect.training.memory import memory_explained
from avaffect.training.objective import Objective
from avaffect.training.precision import choose_precision, precision_word
from avaffect.windows.batch import Batch

WIDTHS = {"audio": 168, "efficientnet-lite0": 1280, "face_pose": 263, "opinions": 10}
OUTPUTS = {"va": 2, "expr": 8, "au": 12}
# Of arrays that are not here: any width will do.
ANY_WIDTH = 24
# Those whose steps are timed.
TIMED = (
    "abaw1-av-gru",
    "abaw2-two-stream",
    "abaw3-va-stage1",
    "abaw3-va-stage2",
    "abaw3-au",
    "abaw5-va",
    "abaw5-expr",
    "abaw5-au",
)
SMALL = {
    "name": "small",
    "branches": {
        "a": {"features": ["a"], "layers": [{"kind": "gru", "units": [8], "norm": "batch"}]}
    },
    "tasks": {"va": {"terms": {"ccc": 1}}},
    "window": {"length": 8},
    "train": {"epochs": 2, "batch_size": 4, "lr": 0.01, "clip_norm": 1, "ema": 0.5},
}


def recurrent(device: torch.device) -> Iterator[Check]:
    """Small gradients of recurrent layers survive half precision."""
    for kind in ("gru", "bilstm"):
        for factor in (1.0, 1e-3):
            grads = []
            for half in (False, True):
                torch.manual_seed(0)
                block = build_block(16, Recurrent(kind, (32, 16))).to(device)
                x = torch.randn(8, 24, 16, device=device)
                there = torch.ones(8, 24, dtype=torch.bool, device=device)
                with torch.autocast(device.type, torch.bfloat16, enabled=half):
                    out = block(x, there, there)
                (factor * out.float().square().mean()).backward()
                grads.append(torch.cat([p.grad.flatten() for p in block.parameters()]))
            error = float((grads[0] - grads[1]).norm() / grads[0].norm())
            what = f"{kind}: gradients of a loss x {factor:g}, bf16 against float32"
            yield Check(what, f"{error:.2%}", error < 0.01)


def voices(device: torch.device) -> Iterator[Check]:
    config = parse_recipe({**SMALL, "train": {"augment": {"vtlp": 0.1, "gain_db": 3.0}}}, "")
    x = torch.randn(2, 5, 168, device=device) * 20
    with torch.autocast(device.type, torch.bfloat16):
        changed = perturb_voice(x, config.train.augment)
    yield Check("changed voices", str(changed.dtype), changed.dtype == torch.float32)


def networks(device: torch.device) -> Iterator[Check]:
    """Each recipe's network, the CPU against the device; and the phase differences."""
    pictures = 255 * torch.rand(2, 4, 48, 48)
    both = zip(phase_differences(pictures), phase_differences(pictures.to(device)), strict=True)
    worst = max(float((a - b.cpu()).abs().max()) for a, b in both)
    yield Check("phase differences", f"{worst:.1e} apart", worst < 1e-2)
    for name in recipe_names():
        recipe = reduced(name)
        torch.manual_seed(0)
        network, batch = AffectNetwork(recipe, *sizes(recipe)).eval(), a_batch(recipe)
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with torch.inference_mode(), exact:
            host = network(batch.inputs, batch.seen, batch.exists)
            moved = batch.to(device)
            there = network.to(device)(moved.inputs, moved.seen, moved.exists)
        worst = max(
            float((host[task] - there[task].cpu())[batch.exists].abs().max()) for task in host
        )
        yield Check(f"{name}, evaluated", f"{worst:.1e} apart", worst < 1e-2)


def recipes(device: torch.device) -> Iterator[Check]:
    """Two steps of each recipe, small, in each precision."""
    halves = (None, torch.bfloat16, torch.float16) if device.type == "cuda" else (None,)
    for name in recipe_names():
        recipe = reduced(name)
        for half in halves:
            losses, finite = steps(recipe, device, half)
            ok = finite and all(math.isfinite(loss) for loss in losses)
            shown = " ".join(f"{loss:.4f}" for loss in losses)
            yield Check(f"{name}, {precision_word(half)}", shown, ok)


def loop(device: torch.device) -> Iterator[Check]:
    """The loop: the same again, and the same after an interruption."""
    data, recipe = a_dataset(), parse_recipe(SMALL, "")
    clips = data.of("train"), data.of("val")
    with tempfile.TemporaryDirectory() as place:
        weights = []
        for name in ("first", "again", "stopped"):

            def stop(epoch: Any, name: str = name) -> None:
                if name == "stopped" and epoch.epoch == 1:
                    raise KeyboardInterrupt

            given: dict[str, Any] = {"device": device.type, "workers": 1}
            try:
                train(recipe, data, *clips, Path(place, name), on_epoch=stop, **given)
            except KeyboardInterrupt:
                train(recipe, data, *clips, Path(place, name), resume=True, **given)
            weights.append(Path(place, name, "last/network.safetensors").read_bytes())
    yield Check("the same run twice", "bit for bit", weights[0] == weights[1])
    yield Check("interrupted and resumed", "bit for bit", weights[0] == weights[2])


def full_memory(device: torch.device) -> Iterator[Check]:
    try:
        with memory_explained(load_recipe("abaw3-va-stage1")):
            if device.type != "cuda":
                raise torch.OutOfMemoryError("as on a GPU")
            torch.empty(1 << 45, dtype=torch.uint8, device=device)
    except TrainingError as error:
        yield Check("memory that runs out", error.problem)


def train_steps(device: torch.device) -> Iterator[Check]:
    """The papers' recipes at their full sizes."""
    half = choose_precision("auto", device, lambda event: None)
    for name in TIMED:
        recipe = load_recipe(name)
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        steps(recipe, device, half, count=1)
        start, count = time.perf_counter() - began, 8
        began = time.perf_counter()
        steps(recipe, device, half, count=count)
        each = (time.perf_counter() - began - start) / (count - 1)
        frames = recipe.train.batch_size * recipe.window.length
        peak = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else 0.0
        shown = f"{each * 1e3:.0f} ms a step, {frames / each:,.0f} frames/s, peak {peak:.1f} GiB"
        yield Check(name, shown)


def reduced(name: str) -> Recipe:
    """The recipe on three windows of four small faces, nets from random weights."""
    roots = load_recipe(name).roots
    sizes_ = [f"branches.{root}.encoder.size=32" for root, b in roots.items() if b.encoder]
    return load_recipe(
        name,
        [
            *sizes_,
            "window.length=4",
            "window.overlap=0",
            "window.predict_overlap=0",
            "train.batch_size=3",
        ],
    )


def sizes(recipe: Recipe) -> tuple[dict[str, int], dict[str, int]]:
    """Widths of branches and of outputs."""
    widths = {
        name: 3 * b.encoder.size**2
        if b.encoder
        else sum(WIDTHS.get(array, ANY_WIDTH) for array in b.features)
        for name, b in recipe.roots.items()
    }
    return widths, {task: OUTPUTS[task] for task in recipe.task_names}


def a_batch(recipe: Recipe) -> Batch:
    """Noise, of the recipe's sizes."""
    drawn = torch.Generator().manual_seed(0)
    windows, frames = recipe.train.batch_size, recipe.window.length
    inputs, seen, pictures = {}, {}, {}
    for name, branch in recipe.roots.items():
        wide = frames + 2 * recipe.margins[name]
        seen[name] = torch.ones(windows, wide, dtype=torch.bool)
        if branch.encoder is None:
            width = sizes(recipe)[0][name]
            inputs[name] = torch.randn(windows, wide, width, generator=drawn)
            continue
        side = branch.encoder.size
        if side not in pictures:
            shape = (windows, wide, side, side, 3)
            pictures[side] = torch.randint(0, 256, shape, dtype=torch.uint8, generator=drawn)
        inputs[name] = pictures[side]
    exists = torch.ones(windows, frames, dtype=torch.bool)
    targets: dict[str, torch.Tensor] = {}
    for task in recipe.task_names:
        values = torch.rand(windows, frames, OUTPUTS[task], generator=drawn)
        targets[task] = {"va": 2 * values - 1, "expr": values.argmax(-1) % 7}.get(
            task, (values > 0.7).float()
        )
    valid = {task: torch.ones_like(x, dtype=torch.bool) for task, x in targets.items()}
    place = torch.zeros(windows, dtype=torch.int64)
    return Batch(inputs, seen, exists, targets, valid, place, place)


def steps(
    recipe: Recipe, device: torch.device, half: torch.dtype | None, count: int = 2
) -> tuple[list[float], bool]:
    """Losses of so many steps, and whether gradients are finite."""
    torch.manual_seed(0)
    network = AffectNetwork(recipe, *sizes(recipe))
    losses = {str(t): build_loss(str(t), c, LabelWeights()) for t, c in recipe.tasks.items()}
    objective = Objective(network, losses).to(device).train()
    batch = a_batch(recipe).to(device)
    optimiser = torch.optim.SGD(network.parameters(), 1e-4)
    scaler = torch.amp.GradScaler(device.type, enabled=half is torch.float16)
    found, finite = [], True
    with deterministic():
        for _ in range(count):
            with torch.autocast(device.type, half, enabled=half is not None):
                loss, _ = objective(batch)
            optimiser.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.unscale_(optimiser)
            finite &= half is torch.float16 or all(
                bool(p.grad.isfinite().all()) for p in network.parameters() if p.grad is not None
            )
            scaler.step(optimiser)
            scaler.update()
            found.append(loss.detach())
    return [float(loss) for loss in found], finite


class Rows:
    """Features in memory."""

    def __init__(self, values: np.ndarray) -> None:
        self._values, self.frames = values, len(values)
        self.specs = {"a": ArraySpec((values.shape[1],), "float32")}

    def array(self, name: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        return self._values[start:stop]


def a_dataset() -> Dataset:
    """Six clips whose valence is their first feature."""
    clips = []
    for number in range(6):
        rows = np.random.default_rng(number).normal(size=(20 + number, 3)).astype(np.float32)
        labels = {"va": np.tanh(rows[:, :2])}
        split = "train" if number < 4 else "val"
        clips.append(Clip(f"clip{number}", f"clip{number}", Rows(rows), labels, split))
    return Dataset(tuple(clips), {"va": ("valence", "arousal")})
