"""Clips and recipes made in memory, small enough to train in a moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from avaffect.datasets.clip import Clip, Dataset
from avaffect.features.tensors import ArraySpec
from avaffect.recipes.library import change_recipe, parse_recipe
from avaffect.recipes.recipe import Recipe
from avaffect.training.checkpoint import load_checkpoint
from avaffect.training.loop import Trained, train

TARGETS = {
    "va": ("valence", "arousal"),
    "expr": ("Neutral", "Happiness", "Sadness"),
    "au": ("AU1", "AU12"),
}
LOSSES = {"va": {"ccc": 1}, "expr": {"cross_entropy": 1}, "au": {"bce": 1}}
TREE: dict[str, Any] = {
    "name": "small",
    "branches": {
        "voice": {
            "modality": "audio",
            "features": ["audio"],
            "layers": [{"kind": "gru", "units": [4], "dropout": 0.2, "norm": "batch"}],
        },
        "face": {
            "modality": "video",
            "features": ["face"],
            "layers": [{"kind": "mlp", "units": [4], "activation": "prelu"}],
        },
    },
    "tasks": {"va": {"terms": {"ccc": 1}}},
    "window": {"length": 12, "overlap": 4},
    "train": {"epochs": 3, "batch_size": 8, "lr": 1e-2},
}


class Memory:
    """Features in memory, as ``datasets.clip.FeatureSource``."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self._arrays = arrays
        self.frames = len(next(iter(arrays.values())))

    @property
    def specs(self) -> dict[str, ArraySpec]:
        return {n: ArraySpec(one.shape[1:], str(one.dtype)) for n, one in self._arrays.items()}

    def array(self, name: str, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        return self._arrays[name][start:stop]


def make_clip(number: int, frames: int, split: str, width: int = 3) -> Clip:
    """Valence is in the voice, arousal in the face; some frames lack one, both, or the label."""
    rng = np.random.default_rng((7, number))
    voice = rng.normal(size=(frames, width)).astype(np.float32)
    face = rng.normal(size=(frames, 4)).astype(np.float16)
    heard = np.ones(frames, bool)
    va = np.tanh(np.stack([voice[:, 0], face[:, 1].astype(np.float32)], 1))
    expr = np.where(voice[:, 0] > 0.5, 1, np.where(face[:, 1] > 0.5, 2, 0))
    au = np.stack([voice[:, 0] > 0, face[:, 1] > 0], 1).astype(np.int8)
    va[:2], expr[:2], au[:2, 1] = np.nan, -1, -1
    face[5:9] = np.nan
    heard[8:11] = False
    features = Memory({"audio": voice, "has_sound": heard, "face": face})
    labels = {"va": va.astype(np.float32), "expr": expr.astype(np.int64), "au": au}
    return Clip(f"clip{number}", f"group{number // 2}", features, labels, split)


def make_dataset() -> Dataset:
    """Six clips to learn from and three to score, of lengths that fit no window."""
    lengths = (40, 25, 31, 18, 8, 33)
    clips = [make_clip(i, n, "train") for i, n in enumerate(lengths)]
    clips += [make_clip(10 + i, n, "val") for i, n in enumerate((29, 37, 9))]
    return Dataset(tuple(clips), TARGETS)


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return make_dataset()


@pytest.fixture(scope="session")
def recipe() -> Callable[..., Recipe]:
    """A small recipe with ``key=value`` changes, for other tasks if some are named."""

    def make(*changes: str, tasks: tuple[str, ...] = ("va",)) -> Recipe:
        tree = TREE | {"tasks": {task: {"terms": LOSSES[task]} for task in tasks}}
        return change_recipe(parse_recipe(tree, "of the tests"), changes)

    return make


@pytest.fixture(scope="session")
def fit(dataset: Dataset) -> Callable[..., Trained]:
    """Trains a recipe on the clips of ``dataset``."""

    def run(recipe: Recipe, out: Path, data: Dataset = dataset, **options: Any) -> Trained:
        options.setdefault("device", "cpu")
        return train(recipe, data, data.of("train"), data.of("val"), out, **options)

    return run


@pytest.fixture(scope="session")
def weights() -> Callable[[Path], dict[str, torch.Tensor]]:
    """What a checkpoint holds, by name."""
    return lambda folder: load_checkpoint(folder)[1].state_dict()
