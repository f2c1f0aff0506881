"""What the backbones of an ensemble's models make of a face, side by side."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from avaffect.ensemble.backbones import load_backbones
from avaffect.errors import CheckpointError
from avaffect.networks.checkpoint import Checkpoint, save_checkpoint
from avaffect.networks.embed import load_backbone
from avaffect.predictors.joined import Joined
from avaffect.recipes.ensemble_recipe import Average
from avaffect.recipes.library import parse_recipe

SIDE = 32


def save(folder: Path, seed: int, side: int = SIDE) -> str:
    encoder = {"kind": "backbone", "net": "mobilenet_v2", "size": side}
    tree = {
        "name": "looks",
        "branches": {"face": {"features": ["faces"], "encoder": encoder}},
        "tasks": {"va": {"terms": {"mse": 1}}},
        "window": {"length": 2},
    }
    widths = {"face": 3 * side * side}
    checkpoint = Checkpoint(parse_recipe(tree, ""), {"va": ("valence", "arousal")}, widths)
    torch.manual_seed(seed)
    save_checkpoint(folder, checkpoint, checkpoint.build())
    return str(json.loads((folder / "checkpoint.json").read_text())["sha256"])


def test_side_by_side(tmp_path: Path) -> None:
    paths = [f"members/one/fold-{i}/best" for i in range(2)]
    members = {"one": {path: save(tmp_path / path, i) for i, path in enumerate(paths)}}
    Joined("folds", members, Average(), (1,)).save(tmp_path)
    whole, name = load_backbones(tmp_path)
    assert (name, whole.side, whole.encoder.size) == ("folds", SIDE, 2 * 1280)
    pictures = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
    seen = np.array([True, False, True])
    found = whole(pictures, seen)
    each = [load_backbone(tmp_path / path)(pictures, seen) for path in paths]
    np.testing.assert_array_equal(found, np.concatenate(each, axis=1))
    assert np.isnan(found[1]).all()
    # Another model in it is another array.
    before = whole.model
    members["one"][paths[1]] = save(tmp_path / paths[1], 7)
    Joined("folds", members, Average(), (1,)).save(tmp_path)
    assert load_backbones(tmp_path)[0].model != before
    members["one"][paths[1]] = save(tmp_path / paths[1], 7, side=48)
    Joined("folds", members, Average(), (1,)).save(tmp_path)
    with pytest.raises(CheckpointError, match="trained on different crops"):
        load_backbones(tmp_path)
