"""The ONNX format: the net of a file as a `models.graph.Graph`.

Whole numbers (shapes, axes, places) stay on the CPU, where a net that asks for the size of its
input works them out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import onnx
import torch
from onnx import helper, numpy_helper
from torch import Tensor
from torch.nn import functional

from avaffect.errors import ModelError
from avaffect.files.outside import reading
from avaffect.models.graph import Graph, Run, Step, unknown_operator

Attributes = Mapping[str, Any]
Builder = Callable[[Attributes], Run]

# Their default axes and attributes are those of these versions of the format.
_OPSETS = range(9, 18)
_HEAVY = {"Conv", "ConvTranspose", "Gemm"}


def read_onnx(content: bytes) -> Graph:
    """The net in ``content``, a whole ONNX file whose hash was checked.

    Raises:
        ModelError: no ONNX net, or one with operators that are not known here.
        MissingPackageError: the package onnx is not installed.
    """
    hint = "run `avaffect models verify` to see which files are damaged"
    with reading("a net", ModelError, "cannot be read as ONNX", hint), torch.no_grad():
        model = onnx.load_from_string(content)
        net, opset = model.graph, max(each.version for each in model.opset_import)
        if opset not in _OPSETS:
            raise ModelError(f"a net is of version {opset} of ONNX, which cannot be run by torch")
        constants = {each.name: _tensor(each) for each in net.initializer}
        steps = []
        for node in net.node:
            attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
            if node.op_type == "Constant":
                constants[node.output[0]] = _constant(attributes)
            elif node.op_type not in OPERATORS:
                raise unknown_operator(node.op_type)
            else:
                run = OPERATORS[node.op_type](attributes)
                names = tuple(node.input), tuple(node.output)
                heavy = node.op_type in _HEAVY
                steps.append(Step(node.op_type, run, *names, heavy=heavy))
        # Old files list their weights among the inputs.
        inputs = tuple(each.name for each in net.input if each.name not in constants)
        return Graph(inputs, tuple(each.name for each in net.output), constants, tuple(steps))


def _tensor(value: onnx.TensorProto) -> Tensor:
    tensor = torch.from_numpy(numpy_helper.to_array(value).copy())
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor


def _constant(attributes: Attributes) -> Tensor:
    if set(attributes) != {"value"}:
        raise unknown_operator("Constant of another kind")
    return _tensor(attributes["value"])


def _require(operator: str, true: bool) -> None:
    if not true:
        raise unknown_operator(f"{operator} of another kind")


def _numbers(value: Tensor) -> list[int]:
    return [int(number) for number in value.reshape(-1).tolist()]


def _pads(operator: str, attributes: Attributes, axes: int) -> list[int]:
    """The pixels before each axis, which are as many as those behind it."""
    _require(operator, attributes.get("auto_pad", b"NOTSET") == b"NOTSET")
    pads = list(attributes.get("pads", [0] * 2 * axes))
    _require(operator, pads[:axes] == pads[axes:])
    return pads[:axes]


def _conv(attributes: Attributes) -> Run:
    axes = len(attributes["kernel_shape"])
    _require("Conv", axes == 2)
    pads = _pads("Conv", attributes, axes)
    stride, dilation = attributes.get("strides", [1, 1]), attributes.get("dilations", [1, 1])
    groups = attributes.get("group", 1)
    return lambda x, weights, bias=None: functional.conv2d(
        x, weights, bias, stride, pads, dilation, groups
    )


def _conv_transpose(attributes: Attributes) -> Run:
    axes = len(attributes["kernel_shape"])
    _require("ConvTranspose", axes == 2 and "output_shape" not in attributes)
    pads = _pads("ConvTranspose", attributes, axes)
    stride, more = attributes.get("strides", [1, 1]), attributes.get("output_padding", [0, 0])
    groups, dilation = attributes.get("group", 1), attributes.get("dilations", [1, 1])
    return lambda x, weights, bias=None: functional.conv_transpose2d(
        x, weights, bias, stride, pads, more, groups, dilation
    )


def _gemm(attributes: Attributes) -> Run:
    _require("Gemm", attributes.get("alpha", 1.0) == attributes.get("beta", 1.0) == 1.0)
    first, second = attributes.get("transA", 0), attributes.get("transB", 0)

    def run(a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
        product = (a.T if first else a) @ (b.T if second else b)
        return product if c is None else product + c

    return run


def _batch_norm(attributes: Attributes) -> Run:
    epsilon = attributes.get("epsilon", 1e-5)
    _require("BatchNormalization", not attributes.get("training_mode", 0))
    return lambda x, scale, bias, mean, variance: functional.batch_norm(
        x, mean, variance, scale, bias, eps=epsilon
    )


def _cast(attributes: Attributes) -> Run:
    types = {
        onnx.TensorProto.FLOAT: torch.float32,
        onnx.TensorProto.INT64: torch.int64,
        onnx.TensorProto.BOOL: torch.bool,
    }
    _require("Cast", attributes["to"] in types)
    return lambda x: x.to(types[attributes["to"]])


def _divided(attributes: Attributes) -> Run:
    # Of whole numbers ONNX gives whole numbers.
    return lambda x, y: torch.div(x, y, rounding_mode=None if x.is_floating_point() else "trunc")


def _clip(attributes: Attributes) -> Run:
    return lambda x, low=None, high=None: torch.clamp(x, low, high)


def _concat(attributes: Attributes) -> Run:
    return lambda *parts: torch.cat(parts, attributes["axis"])


def _flatten(attributes: Attributes) -> Run:
    _require("Flatten", attributes.get("axis", 1) == 1)
    return lambda x: x.flatten(1)


def _filled(attributes: Attributes) -> Run:
    (value,) = _tensor(attributes["value"]) if "value" in attributes else torch.zeros(1)
    return lambda shape: value.expand(_numbers(shape))


def _expand(attributes: Attributes) -> Run:
    return lambda x, shape: x.expand(torch.broadcast_shapes(x.shape, _numbers(shape)))


def _reshape(attributes: Attributes) -> Run:
    _require("Reshape", not attributes.get("allowzero", 0))

    def run(x: Tensor, shape: Tensor) -> Tensor:
        wanted = _numbers(shape)
        return x.reshape([size or x.shape[axis] for axis, size in enumerate(wanted)])

    return run


def _slice(attributes: Attributes) -> Run:
    def run(
        x: Tensor, starts: Tensor, stops: Tensor, axes: Tensor | None = None,
        steps: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        first, last = _numbers(starts), _numbers(stops)
        where = range(len(first)) if axes is None else _numbers(axes)
        strides = [1] * len(first) if steps is None else _numbers(steps)
        for axis, start, stop, step in zip(where, first, last, strides, strict=True):
            places = range(*slice(start, stop, step).indices(x.shape[axis]))
            if step > 0:
                place = [slice(None)] * (axis % x.ndim) + [slice(places.start, places.stop, step)]
                x = x[tuple(place)]
            else:
                x = x.index_select(axis, torch.tensor(places, device=x.device))
        return x

    return run


def _split(attributes: Attributes) -> Run:
    axis = attributes.get("axis", 0)

    def run(x: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        return torch.split(x, _numbers(sizes), axis)

    return run


def _pad(attributes: Attributes) -> Run:
    _require("Pad", attributes.get("mode", b"constant") == b"constant")

    def run(x: Tensor, pads: Tensor, value: Tensor | None = None) -> Tensor:
        widths = _numbers(pads)
        before, behind = widths[: x.ndim], widths[x.ndim :]
        # torch counts from the last axis.
        pairs = [width for pair in zip(before[::-1], behind[::-1], strict=True) for width in pair]
        return functional.pad(x, pairs, value=0.0 if value is None else float(value))

    return run


def _prelu(attributes: Attributes) -> Run:
    return lambda x, slope: torch.where(x > 0, x, x * slope)


def _resize(attributes: Attributes) -> Run:
    kind = attributes.get("mode"), attributes.get("coordinate_transformation_mode")
    _require("Resize", kind == (b"linear", b"half_pixel"))

    def run(x: Tensor, region: None, scales: None, sizes: Tensor) -> Tensor:
        return functional.interpolate(x, _numbers(sizes)[2:], mode="bilinear", align_corners=False)

    return run


def _mean(attributes: Attributes) -> Run:
    keep = bool(attributes.get("keepdims", 1))
    return lambda x: x.mean(attributes["axes"], keepdim=keep)


def _softmax(attributes: Attributes) -> Run:
    return lambda x: x.softmax(attributes.get("axis", -1))


def _transpose(attributes: Attributes) -> Run:
    return lambda x: x.permute(attributes["perm"])


def _plain(function: Callable[..., Tensor]) -> Builder:
    return lambda attributes: function


OPERATORS: dict[str, Builder] = {
    "Add": _plain(torch.add),
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Div": _divided,
    "Equal": _plain(torch.eq),
    "Expand": _expand,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _plain(lambda x: x.mean((2, 3), keepdim=True)),
    "Mul": _plain(torch.mul),
    "PRelu": _prelu,
    "Pad": _pad,
    "ReduceMean": _mean,
    "Relu": _plain(torch.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _plain(lambda x: torch.tensor(x.shape)),
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Sub": _plain(torch.sub),
    "Transpose": _transpose,
    "Where": _plain(torch.where),
}
"""What is known of the format, by the file's names."""
