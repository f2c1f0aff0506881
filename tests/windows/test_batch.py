"""Batches: their size, and moved as a whole."""

from dataclasses import fields

import pytest
import torch

from avaffect.windows.batch import Batch


def make():
    return Batch(
        inputs={"a": torch.ones(3, 4, 2), "b": torch.ones(3, 4, 5, dtype=torch.float16)},
        seen={"a": torch.ones(3, 4, dtype=torch.bool), "b": torch.zeros(3, 4, dtype=torch.bool)},
        exists=torch.ones(3, 4, dtype=torch.bool),
        targets={"va": torch.ones(3, 4, 2)},
        valid={"va": torch.ones(3, 4, 2, dtype=torch.bool)},
        clip=torch.arange(3),
        start=torch.arange(3) * 10,
    )


def test_its_size_is_the_number_of_windows() -> None:
    assert len(make()) == 3


def test_moving_moves_everything() -> None:
    moved = make().to(torch.device("meta"))
    assert len(moved) == 3
    for field in fields(Batch):
        before, after = getattr(make(), field.name), getattr(moved, field.name)
        if isinstance(before, torch.Tensor):
            before, after = {"": before}, {"": after}
        assert before.keys() == after.keys()
        for name, tensor in after.items():
            assert tensor.device.type == "meta"
            assert (tensor.shape, tensor.dtype) == (before[name].shape, before[name].dtype)


def test_pinning_pins_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = []

    def pin(tensor):
        pinned.append(tensor)
        return tensor.clone()

    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    batch = make()
    copy = batch.pin_memory()
    assert len(pinned) == 9
    torch.testing.assert_close(copy.inputs["a"], batch.inputs["a"])
    assert copy.inputs["a"] is not batch.inputs["a"]
