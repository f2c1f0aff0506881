"""ONNX: every kind of network says there what it says in PyTorch."""

from pathlib import Path

import numpy as np
import pytest
import torch

from avaffect.errors import CheckpointError, ForeignFileError
from avaffect.networks.checkpoint import Checkpoint, save_checkpoint
from avaffect.networks.network import Statistics
from avaffect.training import export as module
from avaffect.training.export import TOLERANCE, export_onnx

BLOCKS = {
    "mlp": "{kind: mlp, units: [4], norm: layer, activation: gelu}",
    "bigru": "{kind: bigru, units: [4, 3], norm: batch, activation: prelu}",
    "bilstm": "{kind: bilstm, units: [3], activation: tanh}",
    "lstm": "{kind: lstm, units: [3]}",
    "tcn": "{kind: tcn, units: [4, 4], causal: true}",
    "transformer": "{kind: transformer, size: 4, heads: 2, layers: 1, feedforward: 5}",
}
CASES = [
    *((f"branches.voice.layers=[{block}]",) for block in BLOCKS.values()),
    ("fusion={kind: gated, size: 4}", "head={units: [3], pool: mean}"),
    ("fusion={kind: cross_attention, size: 4, heads: 2}", "head={pool: attention}"),
    ("fusion.kind=late", "head={pool: statistics, norm: batch, units: [3]}"),
]


@pytest.fixture
def saved(recipe, tmp_path: Path):
    """The folder of a network with statistics, not trained."""

    def make(*changes, tasks=("va", "expr", "au")):
        names = {"va": ("valence",), "expr": ("a", "b", "c"), "au": ("AU1", "AU2")}
        checkpoint = Checkpoint(
            recipe(*changes, tasks=tasks),
            {task: names[task] for task in tasks},
            {"voice": 3, "face": 4},
        )
        torch.manual_seed(0)
        network = checkpoint.build()
        network.set_statistics({"face": Statistics(np.ones(4, "f4"), np.full(4, 2, "f4"))})
        save_checkpoint(tmp_path / "c", checkpoint, network)
        return tmp_path / "c", network.eval()

    return make


@pytest.mark.parametrize("changes", CASES)
def test_onnx_is_as_pytorch(changes, saved, tmp_path: Path) -> None:
    import onnxruntime

    folder, network = saved(*changes)
    done = export_onnx(folder, tmp_path / "out/model.onnx")
    assert done.path == tmp_path / "out/model.onnx"
    # What changes nothing in a network is not in the file.
    assert done.inputs[:4] == ("voice", "face", "voice_seen", "face_seen")
    assert done.inputs[4:] in ((), ("exists",))
    assert done.outputs == ("va", "expr", "au")
    assert 0 <= done.difference <= TOLERANCE
    session = onnxruntime.InferenceSession(str(done.path), providers=["CPUExecutionProvider"])
    names = {tensor.name for tensor in session.get_inputs()}
    assert {"voice", "face", "voice_seen", "face_seen"} <= names <= set(done.inputs)
    # A shape that was not checked before it was written.
    torch.manual_seed(3)
    inputs = {"voice": torch.randn(5, 31, 3), "face": torch.randn(5, 31, 4)}
    exists = torch.ones(5, 31, dtype=torch.bool)
    exists[3, 20:] = False
    seen = {
        "voice": exists & (torch.rand(5, 31) > 0.3),
        "face": exists & (torch.rand(5, 31) > 0.3),
    }
    seen["face"][2] = False
    with torch.inference_mode():
        ours = network(inputs, seen, exists)
    feeds = {**inputs, **{f"{n}_seen": s for n, s in seen.items()}, "exists": exists}
    feeds = {name: feeds[name] for name in done.inputs}
    theirs = session.run(list(done.outputs), {n: feeds[n].numpy() for n in names})
    expected = {"va": ours["va"], "expr": ours["expr"].softmax(-1), "au": ours["au"].sigmoid()}
    somewhere = (seen["voice"] | seen["face"]).numpy()
    for task, found in zip(done.outputs, theirs, strict=True):
        np.testing.assert_allclose(
            found[somewhere], expected[task].numpy()[somewhere], atol=TOLERANCE
        )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.onnx"]


def test_one_that_differs_is_not_kept(
    saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = saved(tasks=("va",))
    (tmp_path / "model.onnx").write_text("earlier")
    for difference in (2 * TOLERANCE, float("nan")):
        monkeypatch.setattr(module, "_compare", lambda *args, d=difference: (d, ()))
        with pytest.raises(CheckpointError, match="ONNX Runtime and PyTorch differ"):
            export_onnx(folder, tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_text() == "earlier"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c", "model.onnx"]


def test_only_a_network_of_ours_is_replaced(saved, tmp_path: Path) -> None:
    folder, _ = saved(tasks=("va",))
    path = tmp_path / "model.onnx"
    for _ in range(2):
        export_onnx(folder, path)
    path.write_bytes(b"somebody's")
    with pytest.raises(ForeignFileError, match=r"model\.onnx"):
        export_onnx(folder, path)
    assert path.read_bytes() == b"somebody's"
