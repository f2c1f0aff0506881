"""Half precision: chosen by device and word, and only where the processor can."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from avaffect.progress import Notice
from avaffect.training import precision
from avaffect.training.precision import choose_precision, cpu_computes_in

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_a_cpu_computes_in_float32_unless_told_otherwise() -> None:
    events: list[Any] = []
    assert choose_precision("auto", CPU, events.append) is None
    assert choose_precision("none", CPU, events.append) is None
    assert choose_precision("none", CUDA, events.append) is None
    assert not events


@pytest.mark.parametrize("native", [True, False])
def test_cuda_takes_bfloat16_where_it_has_it(native: bool, monkeypatch: Any) -> None:
    # A GPU that has none emulates it, which torch counts unless asked not to.
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda including_emulation=True: native or including_emulation,
    )
    chosen = choose_precision("auto", CUDA, lambda event: None)
    assert chosen is (torch.bfloat16 if native else torch.float16)


@pytest.mark.parametrize(("word", "half"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_a_cpu_that_cannot_trains_in_float32_and_it_is_said_once(
    word: str, half: torch.dtype, monkeypatch: Any
) -> None:
    for can in (True, False):
        monkeypatch.setattr(precision, "cpu_computes_in", lambda asked, can=can: can)
        events: list[Any] = []
        assert choose_precision(word, CPU, events.append) is (half if can else None)
        assert [isinstance(event, Notice) and event.warning for event in events] == [True] * (
            not can
        )
    assert word in events[0].text and "float32" in events[0].text
    # A CPU's probe says nothing of CUDA.
    assert choose_precision(word, CUDA, events.append) is half


def test_the_probe_tries_every_kind_of_layer_and_draws_nothing(monkeypatch: Any) -> None:
    """One layer that fails, in the forward or the backward pass, is enough for a no."""
    state = torch.get_rng_state()
    answers = {half: cpu_computes_in(half) for half in (torch.bfloat16, torch.float16)}
    assert torch.equal(torch.get_rng_state(), state)
    assert set(answers.values()) <= {True, False}

    class Refused(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("could not create a primitive descriptor")

    class RefusedGradient(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = super().forward(x)
            if out.requires_grad:
                out.register_hook(Refused())
            return out

    fine = (torch.nn.Linear(4, 4), torch.zeros(1, 4))
    for last, can in ((fine, True), (Refused(), False), (RefusedGradient(4, 4), False)):
        probe = last if isinstance(last, tuple) else (last, torch.zeros(1, 4))
        monkeypatch.setattr(precision, "_probes", lambda probe=probe: [fine, probe])
        cpu_computes_in.cache_clear()
        assert cpu_computes_in(torch.bfloat16) is can
    cpu_computes_in.cache_clear()
