"""Small networks of every kind, and windows with gaps and padding to put in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from avaffect.networks.network import AffectNetwork
from avaffect.recipes.library import parse_recipe

WIDTHS = {"voice": 3, "face": 5, "pose": 2}
OUTPUTS = {"va": 2, "expr": 4, "au": 3}
AFTER = {"activation": "prelu", "norm": "batch"}
SMALL_BLOCKS: dict[str, list[dict[str, Any]]] = {
    "mlp": [{"kind": "mlp", "units": [4, 6], **AFTER}],
    "gru": [{"kind": "gru", "units": [4, 4], "residual": True, **AFTER}],
    "bigru": [{"kind": "bigru", "units": [4, 3], **AFTER}],
    "lstm": [{"kind": "lstm", "units": [4], **AFTER}],
    "bilstm": [{"kind": "bilstm", "units": [2, 3], "activation": "gelu", "norm": "layer"}],
    "tcn": [{"kind": "tcn", "units": [4, 4, 5], **AFTER}],
    "causal_tcn": [{"kind": "tcn", "units": [4, 5], "causal": True, "residual": False, **AFTER}],
    "pooled_tcn": [
        {"kind": "tcn", "units": [4, 5], "depth": 2, "pool": 2, **AFTER},
        {"kind": "bigru", "units": [3], **AFTER},
    ],
    "transformer": [
        {"kind": "transformer", "size": 4, "heads": 2, "feedforward": 6, "dropout": 0}
    ],
    "mixed": [
        {"kind": "mlp", "units": [6], "activation": "tanh", "norm": "batch"},
        {"kind": "transformer", "size": 4, "heads": 2, "feedforward": 6, "dropout": 0},
        {"kind": "bigru", "units": [3]},
    ],
}


@pytest.fixture
def small_network() -> Callable[..., AffectNetwork]:
    """Makes a network of two video branches and one audio branch."""

    def make(
        block: str = "gru",
        fusion: str = "concat",
        pool: str = "none",
        branches: int = 3,
        out_norm: str = "none",
    ) -> AffectNetwork:
        torch.manual_seed(0)
        recipe = parse_recipe(
            {
                "name": "small",
                "branches": {
                    name: {
                        "modality": "audio" if name == "voice" else "video",
                        "features": [name],
                        "layers": SMALL_BLOCKS[block],
                    }
                    for name in list(WIDTHS)[:branches]
                },
                "fusion": {"kind": fusion, "size": 4, "heads": 2},
                "head": {"units": [5], "pool": pool, "out_norm": out_norm, **AFTER},
                "tasks": {task: {"terms": {"any": 1}} for task in OUTPUTS},
            },
            "'small'",
        )
        return AffectNetwork(recipe, WIDTHS, OUTPUTS)

    return make


@pytest.fixture
def small_windows() -> Callable[..., tuple[dict[str, Tensor], dict[str, Tensor], Tensor]]:
    """Makes inputs, where they are seen, and where frames exist.

    Each branch is seen in each window and missing somewhere; of the first frame all are seen.
    """

    def make(
        windows: int = 4, frames: int = 9, lengths: list[int] | None = None, seed: int = 1
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
        chance = torch.Generator().manual_seed(seed)
        at = torch.arange(frames)[None]
        exists = at < torch.tensor(lengths or [frames] * windows)[:, None]
        inputs, seen = {}, {}
        for name, width in WIDTHS.items():
            inputs[name] = torch.randn(windows, frames, width, generator=chance)
            there = torch.rand(windows, frames, generator=chance) > 0.3
            there[:, 0] = True
            seen[name] = there & exists
        return inputs, seen, exists

    return make
