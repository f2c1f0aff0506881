"""Nets where they were asked for: LiteRT and ONNX Runtime on the CPU, torch on a GPU.

On a GPU both kinds of file become a torch module (`models.graph`), in half precision and for as
many pictures at a time as are given. What torch cannot run stays where ONNX Runtime or LiteRT runs
it, and ``on_gpu`` tells.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from avaffect.errors import ModelError, explained
from avaffect.extras import is_installed
from avaffect.files.npy import Array
from avaffect.models.content import Content
from avaffect.models.device import device_kind
from avaffect.models.session import OnnxNet, TfliteNet

if TYPE_CHECKING:
    from avaffect.models.graph import Graph


class Net(Protocol):
    """A net that is ready to run.

    Attributes:
        on_gpu: whether a GPU runs it.
    """

    on_gpu: bool

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """The outputs for one array an input."""
        ...


class TorchNet:
    """A net that torch runs, for whole batches; to be called from any thread.

    Args:
        graph: the net.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        half: whether in float16 but for its last layers, see `models.graph.GraphNet`.
        scale: what bytes are multiplied by when they are on the device; None leaves them.

    Raises:
        ModelError: torch cannot compute on that device.
    """

    def __init__(
        self, graph: Graph, device: str, *, half: bool = True, scale: float | None = None
    ) -> None:
        from avaffect.models.graph import GraphNet

        self.on_gpu = device_kind(device) == "cuda"
        self._device, self._scale = device, scale
        try:
            self._net = GraphNet(graph, half).eval().to(device)
        except (AssertionError, RuntimeError) as error:  # what torch says where there is no GPU
            if (ours := explained(error)) is not None:
                raise ours from error
            reason = str(error).partition("\n")[0]
            hint = 'use device="cpu" or device="auto"'
            raise ModelError(f"torch cannot compute on '{device}' ({reason})", hint) from error

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """Run the net.

        Args:
            inputs: one array [B, ...] for each input.

        Returns:
            float32 [B, ...] for each output.
        """
        import torch

        # Products of float32 as on the CPU: not in TF32's 11 bits.
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with torch.inference_mode(), exact:
            given = [
                torch.from_numpy(np.ascontiguousarray(each)).to(self._device) for each in inputs
            ]
            if self._scale is not None:
                given = [each.float() * self._scale for each in given]
            return tuple(output.cpu().numpy() for output in self._net(*given))


def tflite_net(
    model: Path | bytes | Content,
    device: str = "cpu",
    threads: int = 1,
    *,
    half: bool = True,
    scale: float | None = None,
) -> TfliteNet | TorchNet:
    """A tflite net.

    Args:
        model: path of the file, or its content, as it was checked or as plain bytes.
        device: ``cpu``: one picture at a time, in float32. ``cuda``, ``cuda:N``: see `TorchNet`.
        threads: CPU threads.
        half, scale: see `TorchNet`; they do not count on the CPU.

    Raises:
        ModelError: not such a net, or on a GPU one that torch cannot run.
    """
    if device_kind(device) != "cuda":
        return TfliteNet(model, threads)
    from avaffect.models.tflite_graph import read_tflite

    return TorchNet(read_tflite(_content(model)), device, half=half, scale=scale)


def onnx_net(
    model: Path | bytes | Content, device: str = "cpu", threads: int = 1
) -> OnnxNet | TorchNet:
    """An ONNX net; on a GPU by torch if it can, else by ONNX Runtime, see `OnnxNet`.

    Args:
        model: path of the file, or its content, as it was checked or as plain bytes.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        threads: CPU threads for one call.

    Raises:
        ModelError: not such a net, or there is no GPU.
    """
    if device_kind(device) == "cuda" and is_installed("onnx"):
        from avaffect.models.onnx_graph import read_onnx

        try:
            graph = read_onnx(_content(model))
        except ModelError:
            pass  # an operator that is not known there
        else:
            return TorchNet(graph, device)
    return OnnxNet(model, threads, device)


def _content(model: Path | bytes | Content) -> bytes:
    if isinstance(model, Content):
        return model.data
    return model if isinstance(model, bytes) else model.read_bytes()
