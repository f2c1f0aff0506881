"""What a run trains on: the windows and labels that its recipe learns from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fixtures.trained import Memory
from numpy.typing import NDArray

from avaffect.datasets.clip import Clip, Dataset
from avaffect.labels import EXPRESSIONS, OTHER
from avaffect.recipes.library import parse_recipe
from avaffect.training.processes import Processes
from avaffect.training.setup import Setup

ALONE = Processes(0, 1, torch.device("cpu"), "CPU")


def a_clip(name: str, labels: NDArray[Any], split: str) -> Clip:
    rows = np.random.default_rng(0).normal(size=(len(labels), 3)).astype(np.float32)
    return Clip(name, name, Memory({"a": rows}), {"expr": labels.astype(np.int64)}, split)


def a_setup(length: int, threshold: float | None, **loss: Any) -> Setup:
    """Of a clip of fourteen frames, half of them Other."""
    labels = np.array([0, 0, OTHER, OTHER, 1, OTHER, OTHER, OTHER, 2, 3, 4, -1, OTHER, OTHER])
    clips = (a_clip("a", labels, "train"), a_clip("b", labels, "val"))
    tree = {
        "name": "small",
        "branches": {"a": {"features": ["a"], "layers": [{"kind": "mlp", "norm": "batch"}]}},
        "tasks": {"expr": {"terms": {"cross_entropy": 1}, "other_threshold": threshold, **loss}},
        "window": {"length": length},
        "train": {"batch_size": 64},
    }
    data = Dataset(clips, {"expr": EXPRESSIONS})
    return Setup(
        parse_recipe(tree, "'small'"), data, clips[:1], clips[1:], 0, ALONE, lambda event: None
    )


@pytest.mark.parametrize(("length", "windows"), [(1, 6), (2, 4)])
def test_windows_of_nothing_but_other_are_not_trained_on(length: int, windows: int) -> None:
    setup = a_setup(length, 0.4)
    assert len(setup.reader) == windows
    batch = setup.reader[list(range(windows))]
    assert batch.valid["expr"].any(1).all()
    assert not (batch.targets["expr"][batch.valid["expr"]] == OTHER).any()
    # Predicting Other is judged all the same.
    assert setup.val_reader is not None
    judged = setup.val_reader[list(range(len(setup.val_reader)))]
    assert (judged.targets["expr"][judged.valid["expr"]] == OTHER).sum() == 7


def test_without_a_threshold_other_is_a_class() -> None:
    setup = a_setup(1, None)
    assert len(setup.reader) == 13


def test_weights_of_classes_do_not_count_other() -> None:
    weights = a_setup(1, 0.4, balance="inverse").objective.losses["expr"].weights
    # Neutral twice, four classes once: 1/2 and 1 over their mean .9.
    assert isinstance(weights, torch.Tensor)
    assert weights[:5].tolist() == pytest.approx([0.5 / 0.9, *[1 / 0.9] * 4])


def test_the_data_are_the_same_data() -> None:
    """A run that was begun without a threshold for Other had the same clips and labels."""
    assert a_setup(1, 0.4).data_key == a_setup(1, None).data_key
