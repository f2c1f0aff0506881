"""``avaffect export``: a file that says what PyTorch says, or one line."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from avaffect.networks.checkpoint import Checkpoint, save_checkpoint
from avaffect.recipes.library import parse_recipe


@pytest.fixture
def saved(tmp_path: Path):
    branch = {
        "modality": "audio",
        "features": ["audio"],
        "layers": [{"kind": "gru", "units": [4]}],
    }
    tree = {"name": "tiny", "branches": {"voice": branch}, "tasks": {"va": {"terms": {"ccc": 1}}}}
    checkpoint = Checkpoint(parse_recipe(tree, ""), {"va": ("valence",)}, {"voice": 3})
    torch.manual_seed(0)
    save_checkpoint(tmp_path / "run/best", checkpoint, checkpoint.build())
    return tmp_path / "run"


def test_a_checkpoint_becomes_onnx(run, saved, tmp_path: Path) -> None:
    import onnxruntime

    done = run("export", saved, "-o", tmp_path / "models/va.onnx")
    assert done.code == 0
    first, second = done.out.splitlines()
    assert first.endswith("va.onnx: inputs voice, voice_seen; outputs va")
    assert 0 <= float(second.removeprefix("largest difference from PyTorch: ")) < 1e-4
    session = onnxruntime.InferenceSession(str(tmp_path / "models/va.onnx"))
    feeds = {"voice": np.zeros((2, 9, 3), "f4"), "voice_seen": np.ones((2, 9), bool),
             "exists": np.ones((2, 9), bool)}  # fmt: skip
    wanted = {tensor.name for tensor in session.get_inputs()}
    (va,) = session.run(["va"], {name: feeds[name] for name in wanted})
    assert va.shape == (2, 9, 1)


def test_the_default_file(run, saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("export", "run").code == 0
    assert (tmp_path / "model.onnx").is_file()


def test_what_is_no_checkpoint(run, saved, tmp_path: Path) -> None:
    done = run("export", tmp_path / "nothing")
    assert (done.code, "there is no checkpoint" in done.error) == (2, True)
    (tmp_path / "m.pt").write_bytes(pickle.dumps({}))
    done = run("export", tmp_path / "m.pt")
    assert (done.code, "can run any code" in done.error) == (1, True)
    (saved / "best/network.safetensors").write_bytes(b"x")
    done = run("export", saved)
    assert (done.code, "is not the file that" in done.error) == (1, True)


def test_where_nothing_can_be_written(run, saved, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("export", saved, "-o", tmp_path / "file/model.onnx")
    assert (done.code, "cannot write" in done.error) == (1, True)
