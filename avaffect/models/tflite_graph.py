"""The tflite format: the net of a file as a `models.graph.Graph`.

The format is a flatbuffer, read by the classes that come with LiteRT. Its pictures are
[B, H, W, C], and torch's convolutions want [B, C, H, W]: the same memory, seen through
``permute``. A file fixes one picture at a time; here the first axis is as long as what is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import Tensor
from torch.nn import functional

from avaffect.errors import ModelError
from avaffect.files.npy import Array
from avaffect.files.outside import reading
from avaffect.models.graph import Graph, Run, Step, unknown_operator
from avaffect.models.numbered import by_number


def _names(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


_OPERATOR_NAMES = _names(schema.BuiltinOperator)
_TYPES: dict[int, type[np.generic]] = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.FLOAT16: np.float16,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
}
_ACTIVATIONS: dict[int, Callable[[Tensor], Tensor]] = {
    schema.ActivationFunctionType.NONE: lambda x: x,
    schema.ActivationFunctionType.RELU: torch.relu,
    schema.ActivationFunctionType.RELU6: functional.relu6,
}


@dataclass(frozen=True)
class _Operator:
    """One operator: its options, what it reads that is fixed, and the shape of what it gives."""

    name: str
    options: Any
    fixed: tuple[Array | None, ...]
    shape: tuple[int, ...]

    @property
    def activation(self) -> Callable[[Tensor], Tensor]:
        kind = self.options.fusedActivationFunction
        self.require(kind in _ACTIVATIONS)
        return _ACTIVATIONS[kind]

    def whole_numbers(self, number: int) -> list[int]:
        """An input that the file fixes."""
        values = self.fixed[number]
        if values is None or values.dtype.kind != "i":
            raise unknown_operator(f"{self.name} with places that are computed")
        return [int(value) for value in values.reshape(-1)]

    def require(self, true: bool) -> None:
        """Raise ModelError unless ``true``: the operator is used in a way that is not known."""
        if not true:
            raise unknown_operator(f"{self.name} of another kind")


Builder = Callable[[_Operator], Run]


def read_tflite(content: bytes) -> Graph:
    """The net in ``content``, a whole tflite file whose hash was checked.

    Outputs come as of `models.session.TfliteNet`, in the order of the numbers in their names.

    Raises:
        ModelError: no tflite net, or one with operators or weights that are not known here.
    """
    hint = "run `avaffect models verify` to see which files are damaged"
    with reading("a net", ModelError, "cannot be read as tflite", hint), torch.no_grad():
        if not schema.Model.ModelBufferHasIdentifier(content, 0):
            raise ModelError("a net is no tflite file", hint)
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        (net,) = model.subgraphs
        fixed = {
            number: values
            for number, tensor in enumerate(net.tensors)
            if (values := _values(tensor, model.buffers[tensor.buffer].data)) is not None
        }
        steps = [step for each in net.operators for step in _steps(model, net, each, fixed)]
        outputs = sorted(net.outputs, key=lambda at: by_number(_text(net.tensors[at].name)))
        return Graph(
            tuple(map(str, net.inputs)),
            tuple(map(str, outputs)),
            {str(number): torch.from_numpy(values.copy()) for number, values in fixed.items()},
            tuple(steps),
        )


def _steps(model: Any, net: Any, each: Any, fixed: dict[int, Array]) -> list[Step]:
    code = model.operatorCodes[each.opcodeIndex]
    name = _OPERATOR_NAMES.get(max(code.builtinCode, code.deprecatedBuiltinCode), "CUSTOM")
    if name not in OPERATORS:
        raise unknown_operator(name)
    operator = _Operator(
        name,
        each.builtinOptions,
        tuple(fixed.get(int(at)) for at in each.inputs),
        _shape(net.tensors[each.outputs[0]]),
    )
    inputs = ["" if at < 0 else str(at) for at in each.inputs]
    outputs = tuple(map(str, each.outputs))
    if name not in _WEIGHTS_FROM:
        return [Step(name, OPERATORS[name](operator), tuple(inputs), outputs)]
    # The weights as torch wants them, in a step of their own: it depends on them alone.
    turned = f"{inputs[1]} as {name}"
    turn = partial(_turned, order=_WEIGHTS_FROM[name])
    inputs = [inputs[0], turned, *inputs[2:]]
    return [
        Step("weights", turn, (str(each.inputs[1]),), (turned,)),
        Step(name, OPERATORS[name](operator), tuple(inputs), outputs, heavy=True),
    ]


def _values(tensor: Any, data: Any) -> Array | None:
    if data is None or not len(data):
        return None
    if tensor.type not in _TYPES:
        kind = _names(schema.TensorType).get(tensor.type, "unknown numbers")
        raise ModelError(f"a net has weights in {kind}, which cannot be run by torch")
    values = np.frombuffer(bytes(data), np.dtype(_TYPES[tensor.type]).newbyteorder("<"))
    return values.astype(_TYPES[tensor.type]).reshape(_shape(tensor))


def _shape(tensor: Any) -> tuple[int, ...]:
    return () if tensor.shape is None else tuple(map(int, tensor.shape))


def _text(name: bytes | str) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


def _turned(weights: Tensor, order: tuple[int, ...]) -> Tensor:
    return weights.permute(order).contiguous(memory_format=torch.channels_last)


def _padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Zeros before and behind ``size`` pixels of "same" padding: the odd one lies behind."""
    total = max(0, (math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return total // 2, total - total // 2


def _padded(
    x: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    value: float = 0.0,
) -> Tensor:
    """[B, C, H, W] with "same" padding."""
    sizes = (int(x.shape[-2]), int(x.shape[-1]))
    rows, columns = map(_padding, sizes, kernel, stride, dilation)
    return functional.pad(x, (*columns, *rows), value=value) if any((*rows, *columns)) else x


def _conv(operator: _Operator) -> Run:
    options, activation = operator.options, operator.activation
    stride = (options.strideH, options.strideW)
    dilation = (options.dilationHFactor, options.dilationWFactor)
    same = options.padding == schema.Padding.SAME
    each = operator.name == "DEPTHWISE_CONV_2D"

    def run(x: Tensor, weights: Tensor, bias: Tensor | None = None) -> Tensor:
        x = x.permute(0, 3, 1, 2)
        if same:
            x = _padded(x, weights.shape[-2:], stride, dilation)
        groups = int(x.shape[1]) if each else 1
        y = functional.conv2d(x, weights, bias, stride, 0, dilation, groups)
        return activation(y).permute(0, 2, 3, 1)

    return run


def _max_pool(operator: _Operator) -> Run:
    options, activation = operator.options, operator.activation
    kernel = (options.filterHeight, options.filterWidth)
    stride = (options.strideH, options.strideW)
    same = options.padding == schema.Padding.SAME

    def run(x: Tensor) -> Tensor:
        x = x.permute(0, 3, 1, 2)
        if same:
            x = _padded(x, kernel, stride, (1, 1), -math.inf)
        return activation(functional.max_pool2d(x, kernel, stride)).permute(0, 2, 3, 1)

    return run


def _pad(operator: _Operator) -> Run:
    widths = operator.whole_numbers(1)
    operator.require(widths[:2] == [0, 0])
    # torch counts from the last axis.
    pairs = [widths[at : at + 2] for at in range(0, len(widths), 2)]
    flat = [width for pair in reversed(pairs) for width in pair]
    return lambda x, _: functional.pad(x, flat)


def _resize(operator: _Operator) -> Run:
    size, corners = operator.whole_numbers(1), bool(operator.options.alignCorners)
    operator.require(corners or operator.options.halfPixelCenters)

    def run(x: Tensor, _: Tensor) -> Tensor:
        x = x.permute(0, 3, 1, 2)
        y = functional.interpolate(x, size, mode="bilinear", align_corners=corners)
        return y.permute(0, 2, 3, 1)

    return run


def _reshape(operator: _Operator) -> Run:
    one, *rest = operator.shape
    operator.require(one == 1)
    return lambda x, *_: x.reshape(x.shape[0], *rest)


def _transpose(operator: _Operator) -> Run:
    order = operator.whole_numbers(1)
    operator.require(order[0] == 0)
    return lambda x, _: x.permute(order)


def _concatenation(operator: _Operator) -> Run:
    axis, activation = operator.options.axis, operator.activation
    operator.require(axis % len(operator.shape) != 0)

    def run(*parts: Tensor) -> Tensor:
        # What the file fixes is there once, not for each picture.
        rows = max(int(part.shape[0]) for part in parts)
        return activation(torch.cat([part.expand(rows, *part.shape[1:]) for part in parts], axis))

    return run


def _slice(operator: _Operator) -> Run:
    starts, stops, steps = (operator.whole_numbers(at) for at in (1, 2, 3))
    options = operator.options
    operator.require(not (options.ellipsisMask or options.newAxisMask) and min(steps) > 0)
    # The first axis stays as it is, also where the file takes its one picture out of it.
    place: list[slice | int] = [slice(None)]
    for axis, (start, stop, step) in enumerate(zip(starts, stops, steps, strict=True)):
        if axis and options.shrinkAxisMask >> axis & 1:
            place.append(start)
        elif axis:
            first = None if options.beginMask >> axis & 1 else start
            last = None if options.endMask >> axis & 1 else stop
            place.append(slice(first, last, step))
    return lambda x, *_: x[tuple(place)]


def _reduced(reduce: Callable[..., Tensor]) -> Builder:
    def build(operator: _Operator) -> Run:
        axes, keep = operator.whole_numbers(1), bool(operator.options.keepDims)
        rank = len(operator.shape) + (0 if keep else len(axes))
        operator.require(all(axis % rank for axis in axes))
        return lambda x, _: reduce(x, dim=axes, keepdim=keep)

    return build


def _prelu(operator: _Operator) -> Run:
    def run(x: Tensor, slope: Tensor) -> Tensor:
        if slope.numel() != slope.shape[-1]:
            return torch.where(x > 0, x, x * slope)
        y = functional.prelu(x.permute(0, 3, 1, 2), slope.reshape(-1))
        return y.permute(0, 2, 3, 1)

    return run


def _activated(function: Callable[..., Tensor]) -> Builder:
    """Of two tensors, with the activation that the options name."""

    def build(operator: _Operator) -> Run:
        activation = operator.activation
        return lambda x, y: activation(function(x, y))

    return build


def _plain(function: Callable[..., Tensor]) -> Builder:
    return lambda operator: function


# The order of a convolution's axes: of the file's weights as torch wants them.
_WEIGHTS_FROM = {"CONV_2D": (0, 3, 1, 2), "DEPTHWISE_CONV_2D": (3, 0, 1, 2)}

OPERATORS: dict[str, Builder] = {
    "ADD": _activated(torch.add),
    "CONCATENATION": _concatenation,
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _conv,
    "DEQUANTIZE": _plain(Tensor.float),
    "DIV": _activated(torch.div),
    "LOGISTIC": _plain(torch.sigmoid),
    "MAX_POOL_2D": _max_pool,
    "MEAN": _reduced(torch.mean),
    "MUL": _activated(torch.mul),
    "NEG": _plain(torch.neg),
    "PAD": _pad,
    "PRELU": _prelu,
    "RELU": _plain(torch.relu),
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resize,
    "RSQRT": _plain(torch.rsqrt),
    "SQRT": _plain(torch.sqrt),
    "SQUARED_DIFFERENCE": _plain(lambda x, y: (x - y).square()),
    "STRIDED_SLICE": _slice,
    "SUB": _activated(torch.sub),
    "SUM": _reduced(torch.sum),
    "TRANSPOSE": _transpose,
}
"""What is known of the format, by the file's names."""
