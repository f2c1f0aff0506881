"""What the scripts that train the face net do to nets and pictures."""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))

import face_net
import face_pictures
import fer2013
from onnx_half import with_half_weights

from avaffect.faces.encoders import FER2013_48


def pictures(count=12, seed=0):
    """Smooth random pictures, uint8 [count, 48, 48]."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 6, 6))
    return np.stack([np.kron(picture, np.ones((8, 8))) for picture in coarse]).astype(np.uint8)


def data(points, sure=1.0, seed=0):
    return fer2013.Fer2013(
        images=pictures(1, seed),
        points=np.asarray(points, np.float32)[None],
        sure=np.array([sure], np.float32),
        label=np.array(["Neutral"]),
        split=np.array(["train"]),
        copied=np.array([False]),
        twin=np.zeros(1, np.float32),
    )


TEMPLATE = FER2013_48.template_px


def test_copies_are_found_mirrored_brightened_and_compressed_but_not_others() -> None:
    images = pictures()
    held, split = images[:4], ["test"] * 4
    spoiled = [images[0], images[1][:, ::-1], np.clip(images[2] * 0.8 + 20, 0, 255), images[9]]
    both = np.concatenate([held, np.stack(spoiled).astype(np.uint8)])
    likeness = fer2013.twins(both, np.array([*split, *["train"] * 4]))
    assert (likeness[:4] == 0).all()
    assert likeness[4] == 1
    assert (likeness[5:7] > fer2013.SAME).all()
    assert likeness[7] < fer2013.SAME


def test_an_aligned_face_stays_as_it_is_and_a_turned_one_comes_upright() -> None:
    a, b = fer2013.similarity(data(TEMPLATE), 0)
    assert a == pytest.approx(1, abs=1e-3)
    assert abs(b) < 0.05
    turn = np.array([[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]])
    turned = (TEMPLATE - 23.5) @ turn.T + 23.5
    a, b = fer2013.similarity(data(turned), 0)
    assert np.angle(a) == pytest.approx(-0.3, abs=1e-3)


@pytest.mark.parametrize(("points", "sure"), [(TEMPLATE, 0.2), (TEMPLATE * 0.3, 1.0)])
def test_an_unsure_or_impossible_face_is_left_as_the_whole_picture(points, sure: float) -> None:
    assert fer2013.similarity(data(points, sure), 0) == (1, 0)


def test_the_crop_of_an_aligned_picture_is_the_picture() -> None:
    whole = data(TEMPLATE)
    difference = face_pictures.upright(whole, 0).astype(int) - whole.images[0]
    # Blocks of hard edges lose a little there and back.
    assert np.abs(difference).mean() < 8


def test_spoiled_pictures_keep_size_and_range_and_differ() -> None:
    rng = np.random.default_rng(0)
    made = [face_pictures.spoiled(data(TEMPLATE), 0, 96, rng) for _ in range(60)]
    for picture in made:
        assert picture.shape == (96, 96)
        assert picture.min() >= 0
        assert picture.max() <= 255
    assert np.std([picture.mean() for picture in made]) > 1


def test_folding_changes_nothing_of_what_the_net_says() -> None:
    torch.manual_seed(0)
    lite = face_net.EfficientNetLite0()
    for module in lite.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    lite.eval()
    block = lite._blocks[1]
    x = torch.randn(2, 16, 24, 24)
    with torch.no_grad():
        torch.testing.assert_close(face_net._Block(block)(x), block(x), rtol=1e-4, atol=1e-4)


def test_frozen_layers_do_not_learn_and_others_do() -> None:
    net = face_net.FaceNet(None)
    net.freeze(5)
    net(torch.rand(2, 1, 48, 48) * 255).sum().backward()
    assert all(value.grad is None for value in net.trunk[:5].parameters())
    assert all(value.grad is not None for value in net.trunk[5:].parameters())


def test_half_weights_halve_the_file_and_hardly_change_what_comes_out() -> None:
    rng = np.random.default_rng(0)
    weight = numpy_helper.from_array(rng.normal(0, 0.1, (64, 32)).astype(np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 32])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x = rng.normal(0, 1, (3, 64)).astype(np.float32)
    before = model.SerializeToString()
    after = with_half_weights(onnx.load_from_string(before)).SerializeToString()
    assert len(after) < 0.6 * len(before)
    (whole,), (half,) = (
        onnxruntime.InferenceSession(net, providers=["CPUExecutionProvider"]).run(None, {"x": x})
        for net in (before, after)
    )
    np.testing.assert_allclose(half, whole, atol=5e-3)
    assert not np.array_equal(half, whole)
