"""Memory that runs out, in words that say what to do."""

from __future__ import annotations

import pytest
import torch

from avaffect.errors import TrainingError
from avaffect.recipes.library import load_recipe
from avaffect.training.memory import memory_explained


def test_a_full_gpu_names_batch_size_and_checkpointing() -> None:
    with pytest.raises(TrainingError) as error, memory_explained(load_recipe("abaw3-va-stage1")):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
    assert error.value.problem == "the GPU's memory does not hold 16 windows of 32 frames"
    assert "train.batch_size=8" in error.value.hint
    assert "branches.face.encoder.checkpointing=true" in error.value.hint


def test_where_it_computes_twice_already_only_the_batch_is_left() -> None:
    with pytest.raises(TrainingError) as error, memory_explained(load_recipe("abaw3-au")):
        raise torch.OutOfMemoryError("CUDA out of memory.")
    assert "checkpointing" not in error.value.hint


def test_other_errors_stay_what_they_are() -> None:
    with (
        pytest.raises(RuntimeError, match="something else"),
        memory_explained(load_recipe("abaw3-au")),
    ):
        raise RuntimeError("something else")
