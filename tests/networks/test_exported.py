"""A checkpoint that was exported says without torch what it says with it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.hidden import run_without
from fixtures.trained import make_dataset

from avaffect.errors import CheckpointError, MissingPackageError
from avaffect.files.hashing import file_sha256
from avaffect.labels import EXPRESSIONS
from avaffect.networks.apply import apply_run, network_run
from avaffect.networks.checkpoint import (
    Checkpoint,
    load_checkpoint,
    read_checkpoint,
    save_checkpoint,
)
from avaffect.networks.exported import EXPORTED, NET, load_exported
from avaffect.predictors import trained
from avaffect.predictors.trained import Trained
from avaffect.progress import Notice
from avaffect.recipes.recipe import Recipe
from avaffect.training import export
from avaffect.training.export import export_beside
from avaffect.windows.reader import whole_clips

TARGETS = {"va": ("valence", "arousal"), "expr": EXPRESSIONS[:3], "au": ("AU1", "AU2")}


@pytest.fixture(scope="module")
def exported(recipe: Callable[..., Recipe], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a network with random weights, and its ONNX file."""
    folder = tmp_path_factory.mktemp("exported")
    torch.manual_seed(0)
    checkpoint = Checkpoint(recipe(tasks=tuple(TARGETS)), TARGETS, {"voice": 3, "face": 4})
    save_checkpoint(folder, checkpoint, checkpoint.build())
    told: list[object] = []
    export_beside(folder, told.append)
    assert told == []
    return folder


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "copy"))


def test_predictions_are_torchs(exported: Path) -> None:
    checkpoint, network = load_checkpoint(exported)
    clips = make_dataset().clips
    reader = whole_clips(clips, checkpoint.recipe, {})
    ours = apply_run(load_exported(exported, checkpoint), reader, batch_size=5)
    theirs = apply_run(network_run(network, torch.device("cpu")), reader, batch_size=5)
    for one_clip, other in zip(ours, theirs, strict=True):
        assert one_clip.clip == other.clip
        assert one_clip.values.keys() == TARGETS.keys()
        for task, values in other.values.items():
            np.testing.assert_allclose(one_clip.values[task], values, atol=export.TOLERANCE)
        for name, seen in other.seen.items():
            np.testing.assert_array_equal(one_clip.seen[name], seen)


def test_without_torch(exported: Path, tmp_path: Path) -> None:
    code = """
import numpy as np
from avaffect.datasets.clip import Clip
from avaffect.files.npy import ArraySpec
from avaffect.predictors.trained import Trained

class Memory:
    frames = 20
    arrays = {"audio": np.ones((20, 3), "f4"), "face": np.ones((20, 4), "f4"),
              "has_sound": np.arange(20) > 3}
    specs = {name: ArraySpec(array.shape[1:], str(array.dtype)) for name, array in arrays.items()}
    def array(self, name, start=0, stop=None):
        return self.arrays[name][start:stop]

made = Trained(sys.argv[1])
va = made.apply(Clip("clip", "clip", Memory())).values["va"]
print(made.tasks, va.shape, bool(np.isfinite(va).all()), "torch" in sys.modules)
try:
    Trained(sys.argv[2])
except Exception as error:
    print(type(error).__name__, error)
"""
    bare = Path(shutil.copytree(exported, tmp_path / "bare"))
    (bare / EXPORTED).unlink()
    lines = run_without(code, str(exported), str(bare)).splitlines()
    assert lines[0] == "('va', 'expr', 'au') (20, 2) True False"
    assert lines[1].startswith("MissingPackageError")
    assert "was not exported to ONNX by `avaffect export`, needs torch" in lines[1]


def test_torch_is_preferred(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained, "load_exported", None)
    Trained(exported)
    monkeypatch.undo()
    monkeypatch.setattr(trained, "is_installed", lambda module: False)
    monkeypatch.setattr(trained, "load_checkpoint", None)
    assert Trained(exported).tasks == ("va", "expr", "au")


def cut(folder: Path) -> None:
    content = (folder / NET).read_bytes()
    (folder / NET).write_bytes(content[: len(content) // 2])


def of_other_weights(folder: Path) -> None:
    facts = json.loads((folder / EXPORTED).read_text("utf-8"))
    (folder / EXPORTED).write_text(json.dumps(facts | {"weights": "0" * 64}), "utf-8")


def of_no_net(folder: Path) -> None:
    (folder / NET).write_bytes(b"no net")
    renew(folder)


def of_another_kind(folder: Path) -> None:
    """A net, but not one with the checkpoint's inputs."""
    shutil.copy(Path(trained.__file__).parents[1] / "models/shipped/starter-1-voice.onnx",
                folder / NET)  # fmt: skip
    renew(folder)


def renew(folder: Path) -> None:
    facts = json.loads((folder / EXPORTED).read_text("utf-8"))
    facts["sha256"] = file_sha256(folder / NET)
    (folder / EXPORTED).write_text(json.dumps(facts), "utf-8")


def broken_json(folder: Path) -> None:
    (folder / EXPORTED).write_text("{", "utf-8")


@pytest.mark.parametrize("harm", [cut, of_other_weights, of_another_kind, broken_json])
def test_another_file_is_refused(
    harm: Callable[[Path], None], copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harm(copied)
    with pytest.raises(CheckpointError, match="avaffect export"):
        load_exported(copied, read_checkpoint(copied))


def test_no_file_is_refused(copied: Path) -> None:
    (copied / NET).unlink()
    with pytest.raises(MissingPackageError, match=r"avaffect\[train\]"):
        load_exported(copied, read_checkpoint(copied))


def test_it_is_exported_once_and_again_for_other_weights(
    copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (copied / NET).stat().st_mtime_ns
    export_beside(copied)
    assert (copied / NET).stat().st_mtime_ns == before
    checkpoint, network = load_checkpoint(copied)
    with torch.no_grad():
        next(network.parameters()).add_(1)
    save_checkpoint(copied, checkpoint, network)
    with pytest.raises(CheckpointError, match="other weights"):
        load_exported(copied, read_checkpoint(copied))
    export_beside(copied)
    load_exported(copied, read_checkpoint(copied))


def test_what_cannot_be_exported_is_told(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("no\noperation")

    (copied / EXPORTED).unlink()
    monkeypatch.setattr(export, "export_onnx", fail)
    told: list[Notice] = []
    export_beside(copied, told.append)
    (notice,) = told
    assert notice.warning
    assert "runs with torch only (no operation)" in notice.text
    assert not (copied / EXPORTED).exists()
