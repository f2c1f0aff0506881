"""A net of steps: folded, forgotten, and exact at its end."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from avaffect.models.graph import Graph, GraphNet, Step

W = torch.tensor([[1.0, 0.0], [0.0, 3.0]])


def product(name: str, x: str, weights: str) -> Step:
    return Step("product", lambda a, b: a @ b, (x, weights), (name,), heavy=True)


def chain() -> Graph:
    """x -> x W' -> relu -> (. W') -> halves, with W' = 2 W of constants alone."""
    return Graph(
        ("x",),
        ("left", "right"),
        {"w": W, "two": torch.tensor(2.0)},
        (
            Step("twice", torch.mul, ("w", "two"), ("w2",)),
            product("a", "x", "w2"),
            Step("relu", torch.relu, ("a",), ("b",)),
            product("c", "b", "w2"),
            Step("split", lambda x: (x[:, :1], x[:, 1:]), ("c",), ("left", "right")),
        ),
    )


def test_it_computes_its_steps() -> None:
    net = GraphNet(chain())
    left, right = net(torch.tensor([[1.0, 1.0], [-1.0, 2.0]]))
    assert left.tolist() == [[4.0], [0.0]]
    assert right.tolist() == [[36.0], [72.0]]
    with pytest.raises(ValueError, match="zip"):
        net(torch.ones(1, 2), torch.ones(1, 2))


def test_what_depends_on_constants_alone_is_computed_once() -> None:
    calls = []
    graph = chain()
    first = graph.steps[0]
    counted = Step(first.operator, lambda *x: calls.append(1) or torch.mul(*x), first.inputs,
                   first.outputs)  # fmt: skip
    net = GraphNet(
        Graph(graph.inputs, graph.outputs, graph.constants, (counted, *graph.steps[1:]))
    )
    for _ in range(3):
        net(torch.ones(1, 2))
    assert calls == [1]
    assert [tuple(value.shape) for value in net.buffers()] == [(2, 2)]  # W' and nothing else


def test_in_half_precision_the_last_products_are_exact() -> None:
    """2049 is no float16; what lies before the last product with weights may be rounded."""
    met: list[torch.dtype] = []

    def watched(x: Tensor) -> Tensor:
        met.append(x.dtype)
        return torch.relu(x)

    graph = Graph(
        ("x",),
        ("y", "early"),
        {"w": W, "more": torch.tensor([2049.0, 2049.0])},
        (
            product("a", "x", "w"),
            Step("relu", watched, ("a",), ("b",)),
            product("c", "b", "w"),
            Step("add", torch.add, ("c", "more"), ("y",)),
            Step("negative", torch.neg, ("b",), ("early",)),
        ),
    )
    y, early = GraphNet(graph, half=True)(torch.tensor([[1.0, 1.0]]))
    assert met == [torch.float16]
    assert (y.dtype, early.dtype) == (torch.float32, torch.float32)
    assert y.tolist() == [[2050.0, 2058.0]]
    assert early.tolist() == [[-1.0, -3.0]]


def test_values_are_forgotten_after_their_last_use() -> None:
    """Of a deep net with large pictures only what is still needed lies in memory."""
    import weakref

    alive: list[weakref.ref[Tensor]] = []
    most = 0

    def step(x: Tensor) -> Tensor:
        nonlocal most
        y = x + 1
        alive.append(weakref.ref(y))
        most = max(most, sum(each() is not None for each in alive))
        return y

    steps = tuple(Step("add", step, (str(at),), (str(at + 1),)) for at in range(20))
    (y,) = GraphNet(Graph(("0",), ("20",), {}, steps))(torch.zeros(1))
    assert y.item() == 20
    assert most <= 3


def test_whole_numbers_stay_on_the_cpu_and_all_else_moves() -> None:
    """The device "meta" refuses tensors of another, as a GPU does."""
    shape = Step("reshape", lambda x, size: x.reshape(size.tolist()), ("c", "size"), ("y",))
    graph = Graph(
        ("x",), ("y",), {"w": W, "size": torch.tensor([4])}, (product("c", "x", "w"), shape)
    )
    (y,) = GraphNet(graph).to("meta")(torch.ones(2, 2, device="meta"))
    assert y.device.type == "meta"
    assert y.shape == (4,)


def test_floats_made_of_whole_numbers_come_to_the_device() -> None:
    sizes = Step("sizes", lambda x: torch.tensor(x.shape), ("x",), ("s",))
    floats = Step("floats", Tensor.float, ("s",), ("f",))
    graph = Graph(("x",), ("y",), {}, (sizes, floats, Step("add", torch.add, ("x", "f"), ("y",))))
    (y,) = GraphNet(graph).to("meta")(torch.ones(2, 2, device="meta"))
    assert y.device.type == "meta"
    (y,) = GraphNet(graph)(torch.ones(2, 2))
    assert y.tolist() == [[3, 3], [3, 3]]
