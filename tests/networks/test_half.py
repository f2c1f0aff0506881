"""Half precision: in which type a GPU computes, and what is stored in it."""

import pytest
import torch

from avaffect.errors import CheckpointError
from avaffect.networks.half import amp, halved


@pytest.mark.parametrize(
    ("device", "native", "enabled", "kind"),
    [
        ("cpu", True, False, torch.bfloat16),
        ("cuda", True, True, torch.bfloat16),
        ("cuda", False, True, torch.float16),  # Turing and Volta only emulate the other
    ],
)
def test_a_gpu_computes_in_what_it_has(
    device: str, native: bool, enabled: bool, kind: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(torch, "autocast", lambda device, dtype, enabled: (dtype, enabled))
    assert amp(torch.device(device)) == (kind, enabled)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 65505.0])
def test_what_float16_does_not_hold_is_refused(value: float) -> None:
    assert halved(torch.tensor([65504.0]), "net").dtype == "float16"
    with pytest.raises(CheckpointError, match="'net' gives values that are no numbers"):
        halved(torch.tensor([value]), "net")
