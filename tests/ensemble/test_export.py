"""An ensemble as ONNX files: the same predictions, also without torch."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.spooled import spooled

from avaffect.ensemble.export import export_ensemble
from avaffect.errors import CheckpointError, ForeignFileError, UsageError
from avaffect.networks.checkpoint import Checkpoint, save_checkpoint
from avaffect.predictions.postprocess import Postprocess
from avaffect.predictors import trained
from avaffect.predictors.ensemble import Ensemble
from avaffect.predictors.joined import Joined
from avaffect.recipes.ensemble_recipe import Average
from avaffect.recipes.library import parse_recipe

LAYERS = [{"kind": "gru", "units": [3]}]


def save(folder: Path, seed: int, features: str = "face_pose", width: int = 3) -> str:
    tree = {
        "name": folder.name,
        "branches": {"b": {"features": [features], "normalise": "none", "layers": LAYERS}},
        "tasks": {"va": {"terms": {"mse": 1}}},
        "window": {"length": 5},
    }  # fmt: skip
    checkpoint = Checkpoint(parse_recipe(tree, ""), {"va": ("valence", "arousal")}, {"b": width})
    torch.manual_seed(seed)
    save_checkpoint(folder, checkpoint, checkpoint.build())
    return str(json.loads((folder / "checkpoint.json").read_text())["sha256"])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two members, and a network on top."""
    root = tmp_path / "whole"
    members = {n: {f"members/{n}/best": save(root / f"members/{n}/best", i)}
               for i, n in enumerate("ab")}  # fmt: skip
    stack = {"stage2/best": save(root / "stage2/best", 5, "opinions", 4)}
    Joined("both", members, Average(), (1, 1), stack).save(root)
    return root


@pytest.fixture
def subject(tmp_path: Path):
    rng = np.random.default_rng(0)
    face = {"face_pose": rng.normal(size=(12, 3)).astype(np.float32)}
    return spooled(tmp_path, 12, np.r_[2:9], face, {}, confidence=0.9)


def test_it_predicts_the_same_without_torch(
    folder, subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Postprocess("box:0.2", {}, Joined.load(folder).fingerprint).save(folder)
    whole = Ensemble(folder)
    done = export_ensemble(folder, tmp_path / "out")
    assert (done.folder, done.models) == (tmp_path / "out", 3)
    files = {str(p.relative_to(done.folder)) for p in done.folder.rglob("*") if p.is_file()}
    assert not any(name.endswith((".safetensors", ".log")) for name in files)
    assert {"joined.json", "postprocess.json", "stage2/best/network.onnx"} <= files
    expected = whole.predict(subject, ("va",))
    # With torch installed too: there are no weights for it.
    here = Ensemble(done.folder)
    assert here.smooth == whole.smooth == "box:0.2"
    np.testing.assert_allclose(here.predict(subject, ("va",)).va, expected.va, atol=1e-5)
    monkeypatch.setattr(trained, "is_installed", lambda name: False)
    without = Ensemble(done.folder).predict(subject, ("va",))
    np.testing.assert_allclose(without.va, expected.va, atol=1e-5)
    # Again, over itself.
    assert export_ensemble(folder, done.folder) == done


def test_what_is_refused(folder, tmp_path: Path) -> None:
    (folder / "ensemble.json").write_text("{}")
    for out in (folder, folder / "." / "members" / ".."):
        with pytest.raises(UsageError, match="holds an ensemble itself"):
            export_ensemble(folder, out)
    assert (folder / "joined.json").is_file()
    mine = tmp_path / "mine/members"
    mine.mkdir(parents=True)
    (mine / "notes.txt").write_text("mine")
    with pytest.raises(ForeignFileError, match="members"):
        export_ensemble(folder, mine.parent)
    save(folder / "members/a/best", 77)
    with pytest.raises(CheckpointError, match="is not the model"):
        export_ensemble(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_exported_one_is_exported_again(folder, tmp_path: Path) -> None:
    export_ensemble(folder, tmp_path / "out")
    again = export_ensemble(tmp_path / "out", tmp_path / "further")
    assert again.models == 3
    joined = Joined.load(again.folder)
    assert joined == Joined.load(folder)
    assert replace(joined, weights=(1, 2)) != joined
