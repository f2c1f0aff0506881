"""Encoders: the real nets on real faces, and EmotiEffLib's adapter on a net of its shape."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from avaffect.errors import ModelUnavailableError, UnknownNameError
from avaffect.faces.align import align
from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.encoders import ENCODERS, build_encoder, encoder_spec
from avaffect.faces.landmarks import Landmarker, roi_from_detection
from avaffect.labels import EXPRESSIONS
from avaffect.media.frames import FrameReader
from avaffect.models import onnx_graph
from avaffect.models.fetch import model_path
from avaffect.models.session import OnnxNet
from avaffect.models.zoo import ZOO, Check


@pytest.fixture(scope="module")
def faces(sample, truth):
    """Pictures and five points of the sample person: neutral, and at the smile's apex."""
    smile = next(e for e in truth["one_person.mp4"]["events"] if e["expression"] == "smile")
    wanted = {"neutral": 0.5, "smile": (smile["apex_start"] + smile["apex_end"]) / 2}
    detect, landmarks = build_detector("blazeface-full"), Landmarker()
    found = {}
    with FrameReader(sample("one_person.mp4")) as reader:
        for frame in reader:
            for name, time in wanted.items():
                if name not in found and frame.time >= time:
                    face = landmarks(frame.image, roi_from_detection(detect(frame.image)[0]))
                    found[name] = (frame.image, face.points)
    return found


def crops(faces, name, spec):
    image, points = faces[name]
    return align(image, points, spec.crop)[None]


def test_fer_sees_the_smile(faces) -> None:
    encoder = build_encoder("fer")
    neutral = encoder(crops(faces, "neutral", encoder.spec))[0]
    smile = encoder(crops(faces, "smile", encoder.spec))[0]
    assert neutral.sum() == pytest.approx(1, abs=1e-3)
    assert smile[4] > 0.8
    assert smile[4] > neutral[4]
    assert smile[7] == 0


def test_efficientnet_by_onnx_is_the_torch_net(faces) -> None:
    import torch

    from avaffect.faces.efficientnet_lite import load

    encoder = build_encoder("efficientnet-lite0")
    crop = crops(faces, "smile", encoder.spec)
    both = np.concatenate([crop, crops(faces, "neutral", encoder.spec)])
    vectors = encoder(both)
    net = load(model_path("efficientnet-lite0"))
    with torch.inference_mode():
        pixels = torch.from_numpy(both).permute(0, 3, 1, 2).float() / 127.5 - 1
        expected = net(pixels).numpy()
    np.testing.assert_allclose(vectors, expected, rtol=1e-3, atol=1e-3)
    # One face at a time gives what both together give.
    np.testing.assert_allclose(encoder(crop)[0], vectors[0], rtol=1e-5, atol=1e-5)


def test_efficientnet_takes_pictures_of_any_size() -> None:
    import torch

    from avaffect.faces.efficientnet_lite import load

    net = load(model_path("efficientnet-lite0"))
    with torch.inference_mode():
        embedding = net(torch.zeros(2, 3, 64, 96))
    assert embedding.shape == (2, 1280)
    assert torch.isfinite(embedding).all()
    torch.testing.assert_close(embedding[0], embedding[1])


def linear_net(path, size, weight, bias):
    """An ONNX net with EmotiEffLib's inputs and outputs: the mean colour, times a matrix."""
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("Gemm", ["flat", "weight", "bias"], ["output"]),
        ],
        "net",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, size, size])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 10])],
        [
            numpy_helper.from_array(weight.astype(np.float32), "weight"),
            numpy_helper.from_array(bias.astype(np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


@pytest.fixture
def emotieff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a net with random weights in place of one of EmotiEffLib's, hash and all."""
    monkeypatch.setenv("AVAFFECT_CACHE", str(tmp_path))

    def put(name):
        size = encoder_spec(name).crop.size
        rng = np.random.default_rng(7)
        weight, bias = rng.normal(size=(3, 10)), rng.normal(size=10)
        path = tmp_path / ZOO[name].file
        linear_net(path, size, weight, bias)
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        fake = replace(ZOO[name], bytes=len(data), check=Check(digest))
        monkeypatch.setitem(ZOO, name, fake)
        return weight, bias

    return put


@pytest.mark.parametrize("name", ["enet_b0_8_va_mtl", "mobilevit_va_mtl", "mbf_va_mtl"])
def test_emotiefflib_s_outputs_come_in_the_challenge_s_order(emotieff, name: str) -> None:
    weight, bias = emotieff(name)
    encoder = build_encoder(name)
    size = encoder.spec.crop.size
    colour = np.array([200, 30, 120], np.uint8)
    out = encoder(np.broadcast_to(colour, (3, size, size, 3)).copy())[0]
    if name == "mbf_va_mtl":
        mean, std = np.full(3, 0.5), np.full(3, 0.5)
    else:
        mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    raw = ((colour / 255 - mean) / std) @ weight + bias
    theirs = ["Anger", "Other", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise"]
    odds = np.exp(raw[:8] - raw[:8].max())
    expected = dict(zip(theirs, odds / odds.sum(), strict=True))
    assert dict(zip(EXPRESSIONS, out[:8], strict=True)) == pytest.approx(expected, abs=1e-4)
    np.testing.assert_allclose(out[8:], np.clip(raw[8:], -1, 1), atol=1e-4)


def test_weights_that_are_not_there_are_never_replaced_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVAFFECT_CACHE", str(tmp_path))
    monkeypatch.setenv("AVAFFECT_OFFLINE", "1")
    with pytest.raises(ModelUnavailableError):
        build_encoder("enet_b0_8_va_mtl")


def test_crops_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="crops"):
        build_encoder("fer")(np.zeros((1, 48, 48, 3), np.uint8))


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="efficientnet-lite0"):
        encoder_spec("efficientnet-lite")


def test_every_encoder_s_weights_are_in_the_zoo() -> None:
    for spec in ENCODERS.values():
        assert spec.models
        assert set(spec.models) <= set(ZOO)


@pytest.mark.usefixtures("as_on_gpu")
def test_a_face_net_on_a_gpu_takes_all_crops_at_once(faces) -> None:
    encoder, known = build_encoder("starter-2-face", "cuda"), build_encoder("starter-2-face")
    assert (encoder.on_gpu, known.on_gpu) == (True, False)
    both = np.concatenate([crops(faces, name, encoder.spec) for name in ("smile", "neutral")])
    np.testing.assert_allclose(encoder(both), known(both), atol=1e-5)


def test_fer_says_that_no_gpu_runs_it() -> None:
    assert build_encoder("fer", "cuda").on_gpu is False


def test_a_net_that_no_gpu_runs_is_told_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever device was asked for: a plain ONNX Runtime takes the CPU, a crop at a time."""
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.delitem(onnx_graph.OPERATORS, "Split")
    seen = []
    real = OnnxNet.__call__
    monkeypatch.setattr(
        OnnxNet, "__call__", lambda net, crops: seen.append(len(crops)) or real(net, crops)
    )
    encoder = build_encoder("starter-2-face", "cuda")
    assert encoder.on_gpu is False
    side = encoder.spec.crop.size
    assert len(encoder(np.zeros((3, side, side, 3), np.uint8))) == 3
    assert seen == [1, 1, 1]
