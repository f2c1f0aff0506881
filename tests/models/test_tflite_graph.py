"""Nets of small tflite files, made here: torch gives what LiteRT gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder

from avaffect.errors import ModelError
from avaffect.models.graph import GraphNet
from avaffect.models.session import TfliteNet
from avaffect.models.tflite_graph import OPERATORS, read_tflite

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
TYPES = {"float32": 0, "float16": 1, "int32": 2, "int8": 9}


def options(kind: str, **values: Any) -> Any:
    made = getattr(schema, f"{kind}OptionsT")()
    for name, value in values.items():
        setattr(made, name, value)
    return made


class File:
    """A tflite file in the making: tensors, and operators in their order."""

    def __init__(self) -> None:
        self.net, self.model = schema.SubGraphT(), schema.ModelT()
        self.net.tensors, self.net.operators, self.net.inputs = [], [], []
        self.model.version, self.model.buffers = 3, [schema.BufferT()]
        self.model.operatorCodes = []

    def tensor(
        self, shape: Sequence[int], dtype: str = "float32", data: Array | None = None
    ) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type = f"t_{len(self.net.tensors)}", list(shape), TYPES[dtype]
        made.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            made.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.net.tensors.append(made)
        return len(self.net.tensors) - 1

    def input(self, *shape: int) -> int:
        self.net.inputs.append(self.tensor(shape))
        return int(self.net.inputs[-1])

    def fixed(self, values: Any) -> int:
        array = np.asarray(values)
        return self.tensor(array.shape, str(array.dtype), array)

    def add(
        self, name: str, inputs: Sequence[int], shape: Sequence[int], given: Any = None
    ) -> int:
        code = schema.OperatorCodeT()
        number = getattr(schema.BuiltinOperator, name)
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
        self.model.operatorCodes.append(code)
        made, output = schema.OperatorT(), self.tensor(shape)
        made.opcodeIndex = len(self.model.operatorCodes) - 1
        made.inputs, made.outputs = list(inputs), [output]
        if given is not None:
            kind = type(given).__name__.removesuffix("T")
            made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            made.builtinOptions = given
        self.net.operators.append(made)
        return output

    def bytes(self, *outputs: int) -> bytes:
        self.net.outputs = list(outputs)
        self.model.subgraphs = [self.net]
        builder = Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def floats(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


def conv(file: File, x: int, side: int, same: bool, stride: int = 1, dilation: int = 1) -> int:
    weights = file.fixed(floats(4, 3, 3, 3))
    given = options("Conv2D", padding=0 if same else 1, strideH=stride, strideW=stride,
                    dilationHFactor=dilation, dilationWFactor=dilation,
                    fusedActivationFunction=1)  # fmt: skip
    return file.add("CONV_2D", [x, weights, file.fixed(floats(4))], (1, side, side, 4), given)


def depthwise(file: File, x: int, side: int, stride: int) -> int:
    weights = file.fixed(floats(1, 3, 3, 6))
    given = options("DepthwiseConv2D", padding=0, strideH=stride, strideW=stride,
                    depthMultiplier=2, dilationHFactor=1, dilationWFactor=1,
                    fusedActivationFunction=3)  # fmt: skip
    name = "DEPTHWISE_CONV_2D"
    return file.add(name, [x, weights, file.fixed(floats(6))], (1, side, side, 6), given)


def pool(file: File, x: int, side: int, kernel: int, stride: int) -> int:
    given = options("Pool2D", padding=0, strideH=stride, strideW=stride, filterHeight=kernel,
                    filterWidth=kernel, fusedActivationFunction=0)  # fmt: skip
    return file.add("MAX_POOL_2D", [x], (1, side, side, 3), given)


def resize(file: File, x: int, **how: bool) -> int:
    size = file.fixed(np.array([12, 10], np.int32))
    return file.add("RESIZE_BILINEAR", [x, size], (1, 12, 10, 3), options("ResizeBilinear", **how))


def reduce(file: File, x: int, name: str, axes: Sequence[int], shape: Sequence[int]) -> int:
    given = options("Reducer", keepDims=len(shape) == 4)
    return file.add(name, [x, file.fixed(np.array(axes, np.int32))], shape, given)


def taken(file: File, x: int, starts: Sequence[int], stops: Sequence[int],
          shape: Sequence[int], **masks: int) -> int:  # fmt: skip
    places = [file.fixed(np.array(each, np.int32)) for each in (starts, stops, [1, 2, 1, 1])]
    return file.add("STRIDED_SLICE", [x, *places], shape, options("StridedSlice", **masks))


def numbers(file: File, values: Any) -> int:
    return file.fixed(np.array(values, np.int32))


CASES: dict[str, Any] = {
    "convolution": lambda f, x: conv(f, x, 7, True),
    "every second pixel, the odd one behind": lambda f, x: conv(f, x, 4, True, 2),
    "no padding": lambda f, x: conv(f, x, 5, False),
    "dilated": lambda f, x: conv(f, x, 3, False, 1, 2),
    "each channel twice": lambda f, x: depthwise(f, x, 7, 1),
    "each channel twice, every second pixel": lambda f, x: depthwise(f, x, 4, 2),
    "pooled": lambda f, x: pool(f, x, 4, 2, 2),
    "pooled with padding": lambda f, x: pool(f, x, 7, 3, 1),
    "padded": lambda f, x: f.add(
        "PAD", [x, numbers(f, [[0, 0], [1, 0], [0, 2], [0, 3]])], (1, 8, 9, 6),
        options("Pad"),
    ),
    "enlarged": lambda f, x: resize(f, x, halfPixelCenters=True),
    "enlarged corner to corner": lambda f, x: resize(f, x, alignCorners=True),
    "reshaped": lambda f, x: f.add(
        "RESHAPE", [x, numbers(f, [1, 49, 3])], (1, 49, 3), options("Reshape", newShape=[1, 49, 3])
    ),
    "turned": lambda f, x: f.add(
        "TRANSPOSE", [x, numbers(f, [0, 3, 1, 2])], (1, 3, 7, 7), options("Transpose")
    ),
    "one slope a channel": lambda f, x: f.add(
        "PRELU", [x, f.fixed(floats(1, 1, 3))], (1, 7, 7, 3)
    ),
    "one slope a pixel": lambda f, x: f.add("PRELU", [x, f.fixed(floats(7, 7, 3))], (1, 7, 7, 3)),
    "mean": lambda f, x: reduce(f, x, "MEAN", [1, 2], (1, 3)),
    "sum": lambda f, x: reduce(f, x, "SUM", [-1], (1, 7, 7, 1)),
    "taken": lambda f, x: taken(
        f, x, [0, 1, 2, 0], [1, 7, 3, 0], (1, 3, 1, 3), beginMask=8, endMask=8
    ),
    "taken out": lambda f, x: taken(
        f, x, [0, 0, 2, 0], [1, 7, 3, 3], (1, 4, 3), shrinkAxisMask=4
    ),
    "joined with what is fixed": lambda f, x: f.add(
        "CONCATENATION", [x, f.fixed(floats(1, 7, 7, 2))], (1, 7, 7, 5),
        options("Concatenation", axis=-1, fusedActivationFunction=0),
    ),
    "far apart": lambda f, x: f.add(
        "SQUARED_DIFFERENCE", [x, f.fixed(floats(1, 7, 7, 3))], (1, 7, 7, 3),
        options("SquaredDifference"),
    ),
    "root": lambda f, x: f.add("SQRT", [f.add("MUL", [x, x], (1, 7, 7, 3), options("Mul",
        fusedActivationFunction=0))], (1, 7, 7, 3)),
    "negative": lambda f, x: f.add("NEG", [x], (1, 7, 7, 3), options("Neg")),
    "none below 0": lambda f, x: f.add("RELU", [x], (1, 7, 7, 3)),
    "difference": lambda f, x: f.add(
        "SUB", [x, f.fixed(floats(7, 7, 1))], (1, 7, 7, 3),
        options("Sub", fusedActivationFunction=0),
    ),
    "quotient, at most 6": lambda f, x: f.add(
        "DIV", [x, f.fixed(floats(3))], (1, 7, 7, 3), options("Div", fusedActivationFunction=3)
    ),
    "one over the root": lambda f, x: f.add("RSQRT", [f.add("LOGISTIC", [x], (1, 7, 7, 3))],
        (1, 7, 7, 3)),
    "sigmoid": lambda f, x: f.add("LOGISTIC", [x], (1, 7, 7, 3)),
    "sum of two, none below 0": lambda f, x: f.add(
        "ADD", [x, f.fixed(floats(3))], (1, 7, 7, 3), options("Add", fusedActivationFunction=1)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_operator_gives_what_litert_gives(name: str) -> None:
    """For two pictures at once, where LiteRT looks at one after the other."""
    file = File()
    content = file.bytes(CASES[name](file, file.input(1, 7, 7, 3)))
    net, known = GraphNet(read_tflite(content)), TfliteNet(content)
    x = floats(2, 7, 7, 3)
    (both,) = net(torch.from_numpy(x))
    one = np.concatenate([known(x[:1])[0], known(x[1:])[0]])
    assert both.shape == one.shape
    np.testing.assert_allclose(both.numpy(), one, rtol=1e-5, atol=2e-6)


def test_weights_in_half_precision_are_widened_once() -> None:
    file = File()
    x = file.input(1, 4)
    weights = file.fixed(np.array([1, 2, 3, 4], np.float16))
    wide = file.add("DEQUANTIZE", [weights], (4,), options("Dequantize"))
    given = options("Add", fusedActivationFunction=0)
    content = file.bytes(file.add("ADD", [x, wide], (1, 4), given))
    (y,) = GraphNet(read_tflite(content))(torch.ones(3, 4))
    assert y.tolist() == [[2, 3, 4, 5]] * 3


def test_outputs_come_by_the_numbers_in_their_names() -> None:
    file = File()
    x = file.input(1, 4)
    outputs = [file.add("NEG", [x], (1, 4), options("Neg")) for _ in range(11)]
    order = [outputs[10], outputs[0]]
    graph = read_tflite(file.bytes(*order))
    assert graph.outputs == (str(outputs[0]), str(outputs[10]))


@pytest.mark.parametrize(
    ("make", "blamed"),
    [
        (lambda f, x: f.add("COS", [x], (1, 7, 7, 3)), "'COS'"),
        (lambda f, x: resize(f, x), "RESIZE_BILINEAR of another kind"),
        (lambda f, x: reduce(f, x, "MEAN", [0], (7, 7, 3)), "MEAN of another kind"),
        (lambda f, x: f.add("PAD", [x, numbers(f, [[1, 0]] + [[0, 0]] * 3)], (2, 7, 7, 3)), "PAD"),
        (
            lambda f, x: f.add("ADD", [x, f.fixed(np.zeros(3, np.int8))], (1, 7, 7, 3)),
            "weights in INT8",
        ),
    ],
)
def test_what_is_not_known_is_one_line(make: Any, blamed: str) -> None:
    file = File()
    content = file.bytes(make(file, file.input(1, 7, 7, 3)))
    with pytest.raises(ModelError, match=blamed):
        read_tflite(content)


@pytest.mark.parametrize("content", [b"", b"x" * 7, b"\0\0\0\0TFL3" + b"\xff" * 40])
def test_what_is_no_net_is_one_line(content: bytes) -> None:
    with pytest.raises(ModelError):
        read_tflite(content)


def test_each_operator_is_tried() -> None:
    tried = {"DEQUANTIZE"}
    for make in CASES.values():
        file = File()
        tried |= {
            step.operator
            for step in read_tflite(file.bytes(make(file, file.input(1, 7, 7, 3)))).steps
        }
    assert tried == {*OPERATORS, "weights"}
