"""The papers' recipes learn: on drawn faces whose labels can be seen, in seconds, each beats the
best constant on clips that it was not trained on.

Nets, widths and windows are small; what the graph of each recipe does is its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures.benchmarks import benchmark
from numpy.typing import NDArray

from avaffect.datasets.clip import Clip, Dataset
from avaffect.files.npy import ArraySpec
from avaffect.metrics.arrays import score_arrays
from avaffect.networks import backbones
from avaffect.recipes.library import load_recipe
from avaffect.training.loop import train

SIZE = 32
FRAMES = 32
TARGETS = {
    "va": ("valence", "arousal"),
    "expr": tuple(f"class {number}" for number in range(8)),
    "au": ("AU2", "AU4", "AU12", "AU25"),
}
# Divided by the heads of every recipe.
WIDTH = 40


def draw(va: NDArray[Any], expr: NDArray[Any], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Faces uint8 [N, SIZE, SIZE, 3]: the mouth is bent by valence and opened by arousal; each bit
    of the class moves or widens something above it. All are symmetric, as flips want it."""
    axis = np.linspace(-1, 1, SIZE)
    shift = rng.normal(0, 0.05, (2, len(va), 1, 1))
    x, y = np.abs(axis[None, None] + shift[0]), axis[None, :, None] + shift[1]
    valence, arousal = (values[:, None, None] for values in va.T)
    high, thick, wide = ((expr[:, None, None] >> bit) & 1 for bit in range(3))
    bent = 0.5 + 0.35 * valence * (0.4 - 1.6 * x**2)
    mouth = (x < 0.6) & (np.abs(y - bent) < 0.06 + 0.11 * (1 + arousal))
    brow = (np.abs(x - 0.4) < 0.25) & (np.abs(y + 0.5 + 0.3 * high) < 0.06 + 0.1 * thick)
    eye = (x - 0.4) ** 2 + (y + 0.15) ** 2 < (0.1 + 0.12 * wide) ** 2
    skin, dark = rng.uniform(150, 220, 3), rng.uniform(10, 60, 3)
    faces = np.where((mouth | brow | eye)[..., None], dark, skin)
    return (faces + rng.normal(0, 8, faces.shape)).clip(0, 255).astype(np.uint8)


class Drawn:
    """Features in memory, as ``datasets.clip.FeatureSource``."""

    frames = FRAMES

    def __init__(self, arrays: dict[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        self.specs = {
            n: ArraySpec(array.shape[1:], str(array.dtype)) for n, array in arrays.items()
        }

    def array(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        return self._arrays[name][start:stop]


def make_clip(number: int, split: str) -> Clip:
    """A face that changes smoothly, reaches the extremes, and is lost for a moment."""
    rng = np.random.default_rng((5, number))
    at = np.arange(FRAMES)[:, None] / FRAMES
    waves = np.sin(2 * np.pi * (at * rng.uniform(0.7, 2, 2) + rng.uniform(0, 1, 2)))
    va = (1.15 * waves).clip(-1, 1).astype(np.float32)
    expr = np.repeat(rng.integers(0, 8, FRAMES // 4), 4)
    active = (expr & 1 > 0, expr & 2 > 0, va[:, 0] > 0.3, va[:, 1] > 0)
    faces, has_face = draw(va, expr, rng), np.ones(FRAMES, bool)
    has_face[9:11] = False
    faces[~has_face] = 0
    opinions = np.repeat(va, 5, axis=1) + rng.normal(0, 0.4, (FRAMES, 10))
    arrays = {
        "faces": faces,
        "has_face": has_face,
        "opinions": opinions.astype(np.float32),
    }
    labels = {"va": va, "expr": expr, "au": np.stack(active, axis=1).astype(np.int8)}
    return Clip(f"clip{number}", f"clip{number}", Drawn(arrays), labels, split)


@pytest.fixture(scope="module")
def drawn() -> Dataset:
    clips = [make_clip(number, "train" if number < 16 else "val") for number in range(22)]
    return Dataset(tuple(clips), TARGETS)


@pytest.fixture(scope="module", autouse=True)
def small_nets() -> Iterator[None]:
    """Every backbone under its own name and with its own stages, but small."""
    with pytest.MonkeyPatch.context() as patch:
        for name, spec in backbones.BACKBONES.items():
            patch.setitem(backbones.BACKBONES, name, benchmark("papers").small(spec, WIDTH))
        yield


def best_constant(task: str, clips: tuple[Clip, ...]) -> float:
    """The score of whatever constant would be best on these very clips."""
    if task == "va":
        return 0.0
    labels = [clip.labels[task] for clip in clips]
    classes = range(8) if task == "expr" else range(2)
    scores = [
        score_arrays(task, [(np.full_like(label, c), label) for label in labels], TARGETS[task])
        for c in classes
    ]
    if task == "expr":
        return max(score for score, _ in scores)
    return float(np.mean([max(p[f"F1 {u}"] for _, p in scores) for u in TARGETS["au"]]))


SEQUENCES = ("window.length=8", "train.batch_size=8")
SINGLE = ("train.batch_size=32",)
SMALL_T = tuple(
    f"branches.{{}}.layers.0.{change}" for change in ("layers=1", "feedforward=32", "dropout=0.1")
)
CASES: dict[str, tuple[str, ...]] = {
    "abaw2-two-stream": (
        "window.length=16",
        "train.batch_size=4",
        "train.lr=0.1",
        "train.epochs=4",
        # Frozen at random it would see little.
        "branches.spatial.encoder.frozen=[stem]",
        "branches.spatial.layers.0.units=[32, 32]",
        "branches.spatial.layers.0.dropout=0",
        "branches.temporal.encoder.channels=[8]",
        "branches.temporal.encoder.differences=4",
        "branches.temporal.encoder.units=32",
        "fusion.layers.0.units=[32]",
        "fusion.layers.0.dropout=0",
        "fusion.layers.1.units=[16, 16]",
        "fusion.layers.1.dropout=0",
        "head.out_dropout=0",
    ),
    "abaw3-va-stage1": (
        *SEQUENCES,
        *(change.format("transformer") for change in SMALL_T),
        "branches.gru.layers.0.units=[32, 32]",
        "train.lr=3e-3",
        "train.epochs=7",
    ),
    "abaw3-va-stage2": (
        "window.length=32",
        "train.batch_size=4",
        "branches.opinions.layers.0.units=[32, 32, 32, 32]",
        "branches.opinions.layers.1.window=9",
        "train.lr=1e-2",
        "train.epochs=6",
    ),
    **{
        name: (
            *SEQUENCES,
            *(change.format(branch) for branch in branches for change in SMALL_T),
            "train.lr=0.5",
            "train.schedule=none",
            "train.epochs=8",
        )
        for name, branches in {
            "abaw3-au": ("t1", "t2"),
            "abaw3-au-only-t1": ("t1",),
            "abaw3-au-t1-as-target": ("t1", "t2"),
            "abaw3-au-weighted-loss": ("t1", "t2"),
        }.items()
    },
    "abaw5-va": (*SINGLE, "polarity.units=[32]", "train.lr=3e-3", "train.epochs=4"),
    "abaw5-expr": (*SINGLE, "train.lr=5e-3", "train.epochs=4"),
    "abaw5-expr-threshold": (*SINGLE, "train.lr=5e-3", "train.epochs=4"),
    "abaw5-au": (
        *SEQUENCES,
        *(
            change.format(branch)
            for branch in ("temporal", "updown-temporal")
            for change in SMALL_T
        ),
        "train.lr=0.3",
        "train.momentum=0.9",
        "train.epochs=8",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_better_than_a_constant(name: str, drawn: Dataset, tmp_path: Path) -> None:
    roots = load_recipe(name).roots
    changes = ["window.overlap=0", "train.patience=0", "train.select=last", *CASES[name]]
    for branch, config in roots.items():
        if config.encoder is not None:
            changes.append(f"branches.{branch}.encoder.size={SIZE}")
            if config.encoder.kind == "backbone":
                changes.append(f"branches.{branch}.encoder.pretrained=false")
    recipe = load_recipe(name, changes)
    (task,) = recipe.task_names
    val = drawn.of("val")
    done = train(recipe, drawn, drawn.of("train"), val, tmp_path, seed=1, device="cpu")
    score = done.checkpoint.metrics["score"]
    assert score > best_constant(task, val) + 0.15
