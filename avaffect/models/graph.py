"""A net read from its file, as a torch module: steps in order, each a function of tensors.

`models.tflite_graph` and `models.onnx_graph` read the two formats; this runs what they give, on
any device, for as many pictures at a time as are given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from avaffect.errors import ModelError

Run = Callable[..., Tensor | tuple[Tensor, ...]]


@dataclass(frozen=True)
class Step:
    """One operator of a net.

    Attributes:
        operator: what the file calls it.
        run: its function.
        inputs: the names of its values; an empty one stands for None.
        outputs: the names of what it gives.
        heavy: whether it multiplies by matrices of weights.
        exact: whether it is computed in float32 where the net is in half precision.
    """

    operator: str
    run: Run
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    heavy: bool = False
    exact: bool = False


@dataclass(frozen=True, eq=False)
class Graph:
    """A net as its file has it.

    Attributes:
        inputs, outputs: names of values.
        constants: weights and the like. What is no float stays on the CPU: shapes and places.
        steps: in the order in which they are computed.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: dict[str, Tensor]
    steps: tuple[Step, ...]


class GraphNet(nn.Module):
    """A net, ready to run: ``net(*inputs)`` gives a tuple of its outputs.

    In half precision all is computed in float16 but what lies behind the last products with
    weights, those included: places in pixels need more than float16's 11 bits.

    Args:
        graph: the net. What depends on constants alone is computed now.
        half: whether in float16, which is for GPUs.
    """

    def __init__(self, graph: Graph, half: bool = False) -> None:
        super().__init__()
        self._inputs, self._outputs = graph.inputs, graph.outputs
        constants, steps = _folded(graph)
        self._steps = _with_exact(steps)
        self._dtype = torch.float16 if half else torch.float32
        exact = {name for step in self._steps if step.exact for name in step.inputs}
        self._plain: dict[str, Tensor] = {}
        self._buffer_of: dict[str, str] = {}
        used = {*graph.outputs, *(name for step in steps for name in step.inputs)}
        for number, name in enumerate(sorted(used & constants.keys())):
            value = constants[name]
            if not value.is_floating_point():
                self._plain[name] = value
                continue
            self._buffer_of[name] = f"constant{number}"
            kept = value.to(torch.float32 if name in exact else self._dtype)
            self.register_buffer(f"constant{number}", kept)
        self._last = _last_uses(self._steps, self._outputs)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs in float32, of one tensor for each input, a picture a row of each."""
        values: dict[str, Tensor] = dict(zip(self._inputs, inputs, strict=True))
        values.update(self._plain)
        values.update((name, getattr(self, buffer)) for name, buffer in self._buffer_of.items())
        where = inputs[0].device
        for step, spent in zip(self._steps, self._last, strict=True):
            given = [values[name] if name else None for name in step.inputs]
            if step.heavy:
                dtype = torch.float32 if step.exact else self._dtype
                given = [_as(dtype, value) for value in given]
            result = step.run(*given)
            results = (result,) if isinstance(result, Tensor) else result
            # What was made of whole numbers is on the CPU.
            moved = [each.to(where) if each.is_floating_point() else each for each in results]
            values.update(zip(step.outputs, moved, strict=True))
            for name in spent:
                del values[name]
        return tuple(values[name].float() for name in self._outputs)


def unknown_operator(operator: str) -> ModelError:
    """The error about a net with an operator that is not known here."""
    return ModelError(f"a net has the operator '{operator[:80]}', which cannot be run by torch")


def _as(dtype: torch.dtype, value: Tensor | None) -> Tensor | None:
    return value if value is None or not value.is_floating_point() else value.to(dtype)


def _folded(graph: Graph) -> tuple[dict[str, Tensor], list[Step]]:
    """The constants, with what follows from them alone, and the steps that are left."""
    constants, steps = dict(graph.constants), []
    for step in graph.steps:
        if all(name in constants or not name for name in step.inputs):
            result = step.run(*(constants[name] if name else None for name in step.inputs))
            results = (result,) if isinstance(result, Tensor) else result
            constants.update(zip(step.outputs, results, strict=True))
        else:
            steps.append(step)
    return constants, steps


def _with_exact(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps, marked ``exact`` if no heavy step depends on what they give."""
    followed: set[str] = set()
    marked = []
    for step in reversed(list(steps)):
        early = any(name in followed for name in step.outputs)
        if early or step.heavy:
            followed.update(step.inputs)
        marked.append(replace(step, exact=not early))
    return tuple(reversed(marked))


def _last_uses(steps: Iterable[Step], outputs: Iterable[str]) -> list[list[str]]:
    """For each step the values that no later one wants, so that they need no memory."""
    wanted = set(outputs)
    spent = []
    for step in reversed(list(steps)):
        names = {name for name in (*step.inputs, *step.outputs) if name} - wanted
        wanted |= names
        spent.append(sorted(names))
    return spent[::-1]
