"""The face net of starter-2: reading MXNet's file, folding, windows."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).parents[2] / "starter_training"))

from mobile_face_net import EMBEDDING, EPSILON, STEPS, WINDOWS, Bend, FaceNet
from mxnet_params import read_params


def written(arrays):
    """Bytes of a .params file, as MXNet 1.0 writes it."""
    parts = [struct.pack("<QQQ", 0x112, 0, len(arrays))]
    for array in arrays.values():
        parts.append(struct.pack("<Ii", 0xF993FAC9, -1))
        parts.append(struct.pack(f"<I{array.ndim}q", array.ndim, *array.shape))
        parts.append(struct.pack("<iii", 1, 0, 0) + array.astype("<f4").tobytes())
    parts.append(struct.pack("<Q", len(arrays)))
    for name in arrays:
        parts.append(struct.pack("<Q", len(name)) + name.encode())
    return b"".join(parts)


def unit(rng, name, outputs, inputs, kernel, slopes):
    found = {
        f"arg:{name}_conv2d_weight": rng.normal(0, 0.2, (outputs, inputs, kernel, kernel)),
        f"arg:{name}_batchnorm_gamma": rng.uniform(0.5, 1.5, outputs),
        f"arg:{name}_batchnorm_beta": rng.normal(0, 0.2, outputs),
        f"aux:{name}_batchnorm_moving_mean": rng.normal(0, 0.2, outputs),
        f"aux:{name}_batchnorm_moving_var": rng.uniform(0.001, 2, outputs),
    }
    if slopes:
        found[f"arg:{name}_relu_gamma"] = rng.uniform(-1, 1, (outputs,))
    return found


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory):
    """A .params file of the right shapes with random arrays."""
    rng = np.random.default_rng(0)
    arrays = unit(rng, "conv_1", 64, 3, 3, True) | unit(rng, "conv_2_dw", 64, 1, 3, True)
    for step in STEPS:
        arrays |= unit(rng, f"{step.name}_conv_sep", step.middle, step.inputs, 1, True)
        arrays |= unit(rng, f"{step.name}_conv_dw", step.middle, 1, 3, True)
        arrays |= unit(rng, f"{step.name}_conv_proj", step.outputs, step.middle, 1, False)
    arrays |= unit(rng, "conv_6sep", EMBEDDING, 128, 1, True)
    arrays |= unit(rng, "conv_6dw7_7", EMBEDDING, 1, 7, False)
    path = tmp_path_factory.mktemp("start") / "model.params"
    path.write_bytes(written(arrays))
    return path


def test_arrays_come_back_with_name_shape_and_values(tmp_path: Path) -> None:
    arrays = {"arg:w": np.arange(6.0).reshape(2, 3), "aux:v": np.array([0.5])}
    path = tmp_path / "a.params"
    path.write_bytes(written(arrays))
    read = read_params(path)
    assert set(read) == {"w", "v"}
    np.testing.assert_array_equal(read["w"], arrays["arg:w"])
    np.testing.assert_array_equal(read["v"], [0.5])


@pytest.mark.parametrize(
    "spoil", [lambda data: data[:-9], lambda data: b"\0" + data, lambda data: data[:30]]
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, spoil) -> None:
    path = tmp_path / "a.params"
    path.write_bytes(spoil(written({"arg:w": np.ones((4, 4))})))
    with pytest.raises(SystemExit, match="params"):
        read_params(path)


def test_a_folded_bottleneck_says_what_convolution_and_normalisation_say(start) -> None:
    arrays = {name: torch.tensor(value) for name, value in read_params(start).items()}
    net, step = FaceNet(start), STEPS[1]
    x = torch.randn(2, step.inputs, 12, 10)

    def part(x, name, slopes, **how):
        full = f"{step.name}_{name}"
        x = functional.conv2d(x, arrays[f"{full}_conv2d_weight"], **how)
        x = functional.batch_norm(
            x,
            *(arrays[f"{full}_batchnorm_{kind}"] for kind in ("moving_mean", "moving_var")),
            *(arrays[f"{full}_batchnorm_{kind}"] for kind in ("gamma", "beta")),
            eps=EPSILON,
        )
        return functional.prelu(x, arrays[f"{full}_relu_gamma"]) if slopes else x

    expected = part(x, "conv_sep", True)
    expected = part(expected, "conv_dw", True, padding=1, groups=step.middle)
    expected = x + part(expected, "conv_proj", False)
    with torch.no_grad():
        torch.testing.assert_close(net.trunk[5](x), expected, rtol=1e-3, atol=1e-3)


def test_a_window_is_the_whole_net_without_what_lies_outside(start) -> None:
    whole, face = FaceNet(start, WINDOWS["whole"]), FaceNet(start, WINDOWS["face"])
    torch.testing.assert_close(face.trunk[-1].weight, whole.trunk[-1].weight[:, :, 1:, 1:6])
    rng = torch.Generator().manual_seed(0)
    faces = torch.rand(1, 3, 112, 112, generator=rng) * 255
    beyond = faces.clone()
    beyond[:, :, :16] = 0
    beyond[:, :, :, 96:] = 255
    with torch.no_grad():
        torch.testing.assert_close(face.eval().embed(faces), face.embed(beyond))


@pytest.mark.parametrize("name", WINDOWS)
def test_each_window_gives_eight_expressions_two_values_twelve_units(start, name) -> None:
    net = FaceNet(start, WINDOWS[name]).eval()
    side = WINDOWS[name].side
    with torch.no_grad():
        outputs = net(torch.zeros(2, 3, side, side))
    assert [tuple(value.shape) for value in vars(outputs).values()] == [(2, 8), (2, 2), (2, 12)]


def test_frozen_layers_do_not_learn_and_others_do(start) -> None:
    net = FaceNet(start)
    net.freeze(5)
    net(torch.rand(2, 3, 112, 112) * 255).expression.sum().backward()
    assert all(value.grad is None for value in net.trunk[:5].parameters())
    learnt = [value for value in net.trunk[5:].parameters() if value.requires_grad]
    assert all(value.grad is not None for value in learnt)
    assert sum(value.ndim == 4 for value in learnt) > 30


def test_a_bend_is_a_prelu_forth_and_back_that_does_not_learn() -> None:
    prelu, bend = torch.nn.PReLU(4), Bend(4)
    prelu.weight.data = torch.tensor([-1.2, 0.0, 0.4, 1.5])
    bend.weight.data = prelu.weight.data.clone()
    x = torch.randn(3, 4, 5, 6)
    gradients = []
    for module in (prelu, bend):
        into = x.clone().requires_grad_()
        (module(into) ** 2).sum().backward()
        gradients.append(into.grad)
        torch.testing.assert_close(module(x), prelu(x))
    torch.testing.assert_close(*gradients)
    assert bend.weight.grad is None
