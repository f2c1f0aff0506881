"""Nets by device: the same weights, whichever runtime has them."""

from __future__ import annotations

import numpy as np
import pytest

from avaffect.errors import ModelError
from avaffect.models import nets, onnx_graph
from avaffect.models.fetch import model_path
from avaffect.models.nets import TorchNet, onnx_net, tflite_net
from avaffect.models.onnx_graph import read_onnx
from avaffect.models.session import OnnxNet, TfliteNet
from avaffect.models.tflite_graph import read_tflite

RNG = np.random.default_rng(0)
FACE_NETS = {
    "starter-1-face": RNG.uniform(0, 255, (3, 1, 48, 48)).astype(np.float32),
    "starter-2-face": RNG.integers(0, 256, (3, 112, 112, 3)).astype(np.uint8),
}


def test_on_a_cpu_nets_stay_with_their_makers_runtimes() -> None:
    detector, face = model_path("blazeface-back"), model_path("starter-2-face")
    for made, kind in ((tflite_net(detector), TfliteNet), (onnx_net(face), OnnxNet)):
        assert isinstance(made, kind)
        assert made.on_gpu is False


@pytest.mark.usefixtures("as_on_gpu")
def test_a_detector_gives_the_same_for_a_batch() -> None:
    path = model_path("blazeface-back")
    x = RNG.uniform(-1, 1, (2, 256, 256, 3)).astype(np.float32)
    net, known = tflite_net(path, "cuda:1"), TfliteNet(path)
    assert net.on_gpu
    for both, *one in zip(net(x), known(x[:1]), known(x[1:]), strict=True):
        np.testing.assert_allclose(both, np.concatenate(one), rtol=1e-4, atol=1e-3)


@pytest.mark.usefixtures("as_on_gpu")
@pytest.mark.parametrize("name", FACE_NETS)
def test_a_face_net_gives_the_same(name: str) -> None:
    net, x = onnx_net(model_path(name), "cuda"), FACE_NETS[name]
    assert isinstance(net, TorchNet)
    np.testing.assert_allclose(net(x)[0], OnnxNet(model_path(name))(x)[0], atol=1e-5)


@pytest.mark.parametrize("name", FACE_NETS)
def test_a_face_net_in_half_precision_is_near(name: str) -> None:
    """Its constants fill float16, and its answers do not leave it."""
    x = FACE_NETS[name][:1]
    net = TorchNet(read_onnx(model_path(name).read_bytes()), "cpu")
    assert net.on_gpu is False
    np.testing.assert_allclose(net(x)[0], OnnxNet(model_path(name))(x)[0], atol=0.01)


def test_nothing_is_left_on_the_cpu() -> None:
    """The device "meta" refuses tensors of another, as a GPU does."""
    import torch

    from avaffect.models.graph import GraphNet

    back = read_tflite(model_path("blazeface-back").read_bytes())
    graphs = [(back, np.zeros((2, 256, 256, 3), np.float32))]
    graphs += [(read_onnx(model_path(name).read_bytes()), x) for name, x in FACE_NETS.items()]
    for graph, x in graphs:
        given = torch.from_numpy(x).to("meta")
        outputs = GraphNet(graph, half=True).to("meta")(given)
        assert {output.device.type for output in outputs} == {"meta"}
        assert {len(output) for output in outputs} == {len(x)}


def test_bytes_are_scaled_where_the_net_is() -> None:
    x = RNG.integers(0, 256, (1, 256, 256, 3)).astype(np.uint8)
    graph = read_tflite(model_path("blazeface-back").read_bytes())
    scaled = TorchNet(graph, "cpu", half=False, scale=1 / 255)(x)
    for got, expected in zip(
        scaled, TorchNet(graph, "cpu", half=False)(x / np.float32(255)), strict=True
    ):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-3)


def test_a_net_that_torch_cannot_run_stays_with_onnx_runtime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.delitem(onnx_graph.OPERATORS, "Split")
    net = onnx_net(model_path("starter-2-face"), "cuda")
    assert isinstance(net, OnnxNet)
    assert net.on_gpu is False


def test_without_onnx_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nets, "is_installed", lambda module: module != "onnx")
    assert isinstance(onnx_net(model_path("starter-1-face"), "cuda"), OnnxNet)


def test_a_gpu_that_is_not_there_is_one_line() -> None:
    with pytest.raises(ModelError, match="torch cannot compute on 'cuda:97'"):
        tflite_net(model_path("blazeface-back"), "cuda:97")
