"""Memory that runs out, in words that say what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from avaffect.errors import TrainingError
from avaffect.progress import Notice
from avaffect.recipes.library import load_recipe
from avaffect.recipes.recipe import Recipe
from avaffect.training.loop import Trained
from avaffect.training.memory import BatchMemory, memory_explained
from avaffect.training.objective import Objective
from avaffect.windows.batch import Batch


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


class Gpu:
    """An objective for which there is room for so many windows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.sizes: list[int] = []
        whole = Objective.forward

        def forward(objective: Objective, batch: Batch) -> Any:
            if len(batch) > room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
            self.sizes.append(len(batch))
            return whole(objective, batch)

        monkeypatch.setattr(Objective, "forward", forward)


def texts(events: list[Any]) -> list[str]:
    return [event.text for event in events if isinstance(event, Notice) and event.warning]


def test_a_batch_that_does_not_fit_is_computed_in_halves_and_it_is_said(
    fit: Callable[..., Trained],
    recipe: Callable[..., Recipe],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu, events = Gpu(monkeypatch, 3), list[Any]()
    done = fit(recipe("train.epochs=1"), tmp_path, on_event=events.append)
    assert max(gpu.sizes) <= 3
    assert sum(gpu.sizes) == done.epochs[0].windows  # each window once
    first, second = texts(events)
    assert first.startswith("the GPU's memory does not hold 8 windows: 4 at a time")
    assert second.startswith("the GPU's memory does not hold 8 windows: 2 at a time")


class Windows:
    """As much of a batch as `BatchMemory` needs."""

    def __init__(self, values: torch.Tensor) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, part: slice) -> Windows:
        return Windows(self.values[part])


@pytest.mark.parametrize("room", [1, 2, 3, 4, 7])
def test_gradients_of_the_parts_are_those_of_the_whole(room: int) -> None:
    """The mean of (w x - 1)^2 over x = 1..7 at w = 2: 2 (w mean(x^2) - mean(x)) = 72."""
    weight = torch.tensor(2.0, requires_grad=True)

    def begin() -> None:
        weight.grad = None

    def compute(batch: Windows) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        if len(batch) > room:
            weight.grad = torch.tensor(99.0)  # what a failed try left
            raise torch.OutOfMemoryError("CUDA out of memory.")
        loss = ((weight * batch.values - 1) ** 2).mean()
        return loss, {"va": loss.detach() * 2}

    scaler = torch.amp.GradScaler("cpu", enabled=False)
    memory = BatchMemory(lambda event: None)
    batch = Windows(torch.arange(1.0, 8.0))
    loss, losses = memory.backward(batch, begin, compute, scaler)
    assert weight.grad == pytest.approx(72)
    assert float(loss) == pytest.approx(65)  # 4 * 20 - 4 * 4 + 1
    assert float(losses["va"]) == pytest.approx(130)


def test_a_run_goes_on_with_the_parts_that_it_had(
    fit: Callable[..., Trained],
    recipe: Callable[..., Recipe],
    weights: Callable[[Path], dict[str, torch.Tensor]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Gpu(monkeypatch, 4)
    fit(recipe(), tmp_path / "whole")

    class Stopped(Exception):
        pass

    def stop(epoch: object) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        fit(recipe(), tmp_path / "stopped", on_epoch=stop)
    events: list[Any] = []
    fit(recipe(), tmp_path / "stopped", resume=True, on_event=events.append)
    assert not texts(events)  # no batch was tried that is known not to fit
    wanted, found = weights(tmp_path / "whole/last"), weights(tmp_path / "stopped/last")
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_where_no_window_fits_it_is_an_error_in_one_line(
    fit: Callable[..., Trained],
    recipe: Callable[..., Recipe],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Gpu(monkeypatch, 0)
    with pytest.raises(TrainingError, match="the GPU's memory does not hold"):
        fit(recipe(), tmp_path)
