"""What is written as ONNX says what the trained net says."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))

import face_export
from mobile_face_net import WINDOWS, FaceNet


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = FaceNet(None, WINDOWS["small"]).eval()
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.PReLU):
                module.weight.uniform_(-1, 1)
        # So that the heads say something of a net that has learnt nothing.
        net.heads.weight.normal_(0, 2)
    return net


@pytest.fixture(scope="module")
def faces():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 10, 10, 3))
    return np.kron(coarse, np.ones((1, 8, 8, 1))).astype(np.uint8)


def expected(net, faces, temperature):
    with torch.inference_mode():
        outputs = net(torch.from_numpy(faces).permute(0, 3, 1, 2).float())
        expression = (outputs.expression / temperature).softmax(1)
        return torch.cat([expression, outputs.va.clamp(-1, 1), outputs.units.sigmoid()], 1).numpy()


def test_a_net_without_prelus_says_the_same(net, faces) -> None:
    with torch.no_grad():
        # A slope of exactly 1 is one that the other form cannot have.
        net.trunk[1].weight[:2] = torch.tensor([1.0, 0.0])
        x = torch.from_numpy(faces).permute(0, 3, 1, 2).float()
        made = face_export.without_prelu(net)
        for mine, true in zip(vars(made(x)).values(), vars(net(x)).values(), strict=True):
            torch.testing.assert_close(mine, true, rtol=0.02, atol=0.02)
    assert not any(isinstance(module, torch.nn.PReLU) for module in made.modules())


def test_the_file_says_what_the_net_says_for_one_face_and_for_many(
    net, faces, tmp_path: Path
) -> None:
    face_export.export(net, 1.5, tmp_path / "whole.onnx")
    face_export.halve(tmp_path / "whole.onnx", tmp_path / "half.onnx", {"made": "by a test"})
    true = expected(net, faces, 1.5)
    predicted = face_export.says(tmp_path / "whole.onnx", faces)
    np.testing.assert_allclose(predicted, true, atol=1e-3)
    many = face_export.session(tmp_path / "whole.onnx").run(None, {"faces": faces})[0]
    np.testing.assert_allclose(many, true, atol=1e-3)
    np.testing.assert_allclose(face_export.says(tmp_path / "half.onnx", faces), true, atol=0.05)
    sizes = [(tmp_path / f"{name}.onnx").stat().st_size for name in ("half", "whole")]
    assert sizes[0] < 0.65 * sizes[1]
    np.testing.assert_allclose(true[:, :8].sum(axis=1), 1, atol=1e-5)


def test_a_net_of_relus_has_no_scalings_left(net) -> None:
    plain = FaceNet(None, WINDOWS["small"])
    plain.bend([torch.zeros_like(slope) for slope in plain.slopes()])
    kinds = {type(module) for module in face_export.without_prelu(plain).modules()}
    assert torch.nn.ReLU in kinds
    assert face_export.Slopes not in kinds
    kinds = {type(module) for module in face_export.without_prelu(net).modules()}
    assert face_export.Slopes in kinds


def test_eight_bits_say_nearly_the_same(net, faces, tmp_path: Path) -> None:
    face_export.export(net, 1.0, tmp_path / "whole.onnx")
    face_export.to_int8(tmp_path / "whole.onnx", tmp_path / "int8.onnx", faces, {})
    predicted = face_export.says(tmp_path / "int8.onnx", faces)
    assert np.abs(predicted - expected(net, faces, 1.0)).mean() < 0.1
    assert face_export.milliseconds(tmp_path / "int8.onnx") > 0


def test_accuracy_is_among_the_classes_that_labels_know() -> None:
    predicted = np.eye(22, dtype=np.float32)[[7, 3]] + 0.5 * np.eye(22, dtype=np.float32)[[2, 0]]
    labels = np.array([2, 3])
    assert face_export.accuracy(predicted, labels, np.array([7, 7])) == 1
    assert face_export.accuracy(predicted, labels, np.array([8, 8])) == 0.5
