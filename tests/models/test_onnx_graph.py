"""Nets of small ONNX files, made here: torch gives what ONNX Runtime gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from avaffect.errors import ModelError
from avaffect.models.graph import GraphNet
from avaffect.models.onnx_graph import OPERATORS, read_onnx
from avaffect.models.session import OnnxNet

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)


def floats(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


def whole(*values: int) -> Array:
    return np.array(values, np.int64)


def node(name: str, inputs: Sequence[str] = ("x",), outputs: Sequence[str] = ("y",), **given: Any):
    return helper.make_node(name, list(inputs), list(outputs), **given)


def file(
    nodes: Sequence[onnx.NodeProto],
    fixed: Mapping[str, Array],
    opset: int = 17,
    outputs: Sequence[str] = ("y",),
) -> bytes:
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4, 6, 5])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(values, name) for name, values in fixed.items()],
    )
    imports = [helper.make_opsetid("", opset)]
    made: onnx.ModelProto = helper.make_model(graph, opset_imports=imports, ir_version=8)
    return made.SerializeToString()


def filled(value: float) -> onnx.TensorProto:
    return helper.make_tensor("value", TensorProto.FLOAT, [1], [value])


CASES: dict[str, tuple[list[onnx.NodeProto], dict[str, Array]]] = {
    "convolution": (
        [node("Conv", ["x", "w", "b"], pads=[1, 2, 1, 2], strides=[2, 1], kernel_shape=[3, 3])],
        {"w": floats(3, 4, 3, 3), "b": floats(3)},
    ),
    "each channel, dilated": (
        [node("Conv", ["x", "w"], group=4, dilations=[2, 2], kernel_shape=[2, 2])],
        {"w": floats(4, 1, 2, 2)},
    ),
    "the other way round": (
        [node("ConvTranspose", ["x", "w", "b"], strides=[2, 2], pads=[1, 1, 1, 1],
              output_padding=[1, 0], kernel_shape=[3, 3])],
        {"w": floats(4, 2, 3, 3), "b": floats(2)},
    ),
    "batch statistics": (
        [node("BatchNormalization", ["x", "s", "b", "m", "v"], epsilon=1e-3)],
        {name: floats(4) if name != "v" else floats(4) ** 2 for name in "sbmv"},
    ),
    "flat, times a matrix": (
        [node("Flatten", outputs=["f"]), node("Gemm", ["f", "w", "b"], transB=1)],
        {"w": floats(3, 120), "b": floats(3)},
    ),
    "clipped, as in the file before 11": (
        [node("Clip", ["x", "low", "high"]), ],
        {"low": np.float32(-0.5) * np.ones((), np.float32), "high": np.ones((), np.float32)},
    ),
    "clipped at one end": ([node("Clip", ["x", "low"])], {"low": np.zeros((), np.float32)}),
    "in parts": (
        [node("Split", ["x", "s"], ["a", "b"], axis=1), node("Concat", ["b", "a"], axis=2),],
        {"s": whole(2, 2)},
    ),
    "parts of it": (
        [node("Slice", ["x", "from", "to", "axes", "steps"])],
        {"from": whole(-1, 0), "to": whole(-(2**63), 5), "axes": whole(1, -1),
         "steps": whole(-1, 2)},
    ),
    "parts of it, without axes": (
        [node("Slice", ["x", "from", "to"])], {"from": whole(0, 1), "to": whole(2**62, 3)}
    ),
    "as large as another": (
        [node("Shape", outputs=["s"]), node("Slice", ["s", "0", "2"], ["first"]),
         node("Concat", ["first", "rest"], ["size"], axis=0), node("Reshape", ["x", "size"])],
        {"0": whole(0), "2": whole(2), "rest": whole(30)},
    ),
    "zero keeps an axis": ([node("Reshape", ["x", "s"])], {"s": whole(0, -1, 5)}),
    "padded": (
        [node("Pad", ["x", "pads", "value"])],
        {"pads": whole(0, 0, 1, 2, 0, 0, 3, 0), "value": np.float32(7) * np.ones((), np.float32)},
    ),
    "enlarged": (
        [node("Resize", ["x", "", "", "size"], mode="linear",
              coordinate_transformation_mode="half_pixel")],
        {"size": whole(2, 4, 9, 13)},
    ),
    "one slope a channel": ([node("PRelu", ["x", "s"])], {"s": floats(4, 1, 1)}),
    "mean of each channel": ([node("GlobalAveragePool")], {}),
    "mean": ([node("ReduceMean", axes=[2, 3], keepdims=0)], {}),
    "turned": ([node("Transpose", perm=[0, 2, 3, 1])], {}),
    "shares": ([node("Softmax", axis=1)], {}),
    "sigmoid": ([node("Sigmoid")], {}),
    "none below 0": ([node("Relu")], {}),
    "arithmetic": (
        [node("Add", ["x", "w"], ["a"]), node("Sub", ["a", "x"], ["b"]),
         node("Mul", ["b", "x"], ["c"]), node("Div", ["c", "w"])],
        {"w": floats(4, 1, 1)},
    ),
    "whole numbers are divided into whole numbers": (
        [node("Shape", outputs=["s"]), node("Div", ["s", "two"], ["halves"]),
         node("Cast", ["halves"], ["h"], to=TensorProto.FLOAT), node("Add", ["h", "zero"])],
        {"two": whole(2), "zero": np.zeros(4, np.float32)},
    ),
    "made of a size": (
        [node("Shape", outputs=["s"]), node("ConstantOfShape", ["s"], ["f"], value=filled(2.5)),
         node("Add", ["f", "x"])],
        {},
    ),
    "where it is equal": (
        [node("Equal", ["x", "x"], ["same"]), node("Where", ["same", "x", "w"], ["e"]),
         node("Expand", ["e", "size"])],
        {"w": floats(4, 1, 1), "size": whole(3, 1, 4, 1, 1)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_operator_gives_what_onnx_runtime_gives(name: str) -> None:
    content = file(*CASES[name])
    x = floats(2, 4, 6, 5)
    (expected,) = OnnxNet(content)(x)
    (got,) = GraphNet(read_onnx(content))(torch.from_numpy(x))
    assert got.shape == expected.shape
    np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5, atol=2e-6)


def test_each_operator_is_tried() -> None:
    assert {each.op_type for nodes, _ in CASES.values() for each in nodes} == {*OPERATORS}


def test_constants_are_nodes_too() -> None:
    value = numpy_helper.from_array(floats(5), "value")
    content = file([node("Constant", [], ["c"], value=value), node("Add", ["x", "c"])], {})
    net = GraphNet(read_onnx(content))
    np.testing.assert_array_equal(
        net(torch.zeros(1, 4, 6, 5))[0][0, 0, 0].numpy(), numpy_helper.to_array(value)
    )


@pytest.mark.parametrize(
    ("nodes", "fixed", "opset", "blamed"),
    [
        ([node("Cos")], {}, 17, "'Cos'"),
        ([node("Relu")], {}, 18, "version 18"),
        ([node("Pad", ["x", "p"], mode="edge")], {"p": whole(*[0] * 8)}, 17, "Pad of another"),
        (
            [node("Conv", ["x", "w"], auto_pad="SAME_UPPER", kernel_shape=[3, 3])],
            {"w": floats(3, 4, 3, 3)},
            17,
            "Conv of another",
        ),
        (
            [node("Conv", ["x", "w"], pads=[0, 0, 1, 1], kernel_shape=[3, 3])],
            {"w": floats(3, 4, 3, 3)},
            17,
            "Conv of another",
        ),
        ([node("Constant", [], ["y"], value_float=1.0)], {}, 17, "Constant of another"),
    ],
)
def test_what_is_not_known_is_one_line(
    nodes: list[onnx.NodeProto], fixed: dict[str, Array], opset: int, blamed: str
) -> None:
    with pytest.raises(ModelError, match=blamed):
        read_onnx(file(nodes, fixed, opset))


@pytest.mark.parametrize("content", [b"", b"x" * 50])
def test_what_is_no_net_is_one_line(content: bytes) -> None:
    with pytest.raises(ModelError):
        read_onnx(content)
