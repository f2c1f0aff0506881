"""Running nets: LiteRT for tflite files, ONNX Runtime for ONNX files.

Weights come from ``models.content.model_content``, which has checked them. Both kinds of net may
be called from any thread.
"""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from avaffect.errors import ModelError
from avaffect.files.outside import reading
from avaffect.models.content import Content
from avaffect.models.device import device_index, device_kind
from avaffect.models.numbered import by_number

# For a program that imported ONNX Runtime before this package, which switches this off before.
onnxruntime.disable_telemetry_events()

Array = NDArray[Any]

# No net inside a bundle comes near this.
_MOST_MEMBER_BYTES = 256 << 20
_ONNX_ERRORS_ONLY = 3
_CUDA = "CUDAExecutionProvider"


class TfliteNet:
    """A tflite net for one picture at a time.

    Args:
        model: path of the file, or its content, as it was checked or as plain bytes.
        threads: CPU threads.

    Attributes:
        on_gpu: whether a GPU runs it, which none does.

    Raises:
        ModelError: not a tflite net that this LiteRT can run.
    """

    on_gpu = False

    def __init__(self, model: Path | bytes | Content, threads: int = 1) -> None:
        source: dict[str, Any] = (
            {"model_path": str(model)}
            if isinstance(model, Path)
            else {"model_content": _data(model)}
        )
        try:
            # LiteRT greets on stderr, once a process; no option turns that off.
            self._interpreter = Interpreter(num_threads=threads, **source)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise _load_error("LiteRT", model, error) from error
        inputs = self._interpreter.get_input_details()
        outputs = sorted(
            self._interpreter.get_output_details(), key=lambda detail: by_number(detail["name"])
        )
        self.input_shapes = tuple(tuple(map(int, detail["shape"])) for detail in inputs)
        self.output_names = tuple(str(detail["name"]) for detail in outputs)
        self._inputs = [detail["index"] for detail in inputs]
        self._outputs = [detail["index"] for detail in outputs]
        # An interpreter has one set of tensors.
        self._lock = threading.Lock()

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """Run the net.

        Args:
            inputs: one array for each input of the net, in the net's order, with exactly its
                shape and dtype.

        Returns:
            Copies of the outputs in the order of their names (``x_2`` before ``x_10``).

        Raises:
            UsageError: an input does not fit.
        """
        with self._lock:
            for index, array in zip(self._inputs, inputs, strict=True):
                self._interpreter.set_tensor(index, array)
            self._interpreter.invoke()
            return tuple(self._interpreter.get_tensor(index) for index in self._outputs)


class OnnxNet:
    """An ONNX net.

    Args:
        model: path of the file, or its content, as it was checked or as plain bytes.
        threads: CPU threads for one call.
        device: ``cuda`` (the first GPU) or ``cuda:1`` uses the GPU if this ONNX Runtime can, else
            the CPU; see ``providers``.

    Attributes:
        providers: what runs the net, first choice first.
        on_gpu: whether a GPU does.
        input_names, output_names: in the net's order.
        metadata: what its makers wrote into the file beside the net.

    Raises:
        ModelError: not an ONNX net that this ONNX Runtime can run.
    """

    def __init__(
        self, model: Path | bytes | Content, threads: int = 1, device: str = "cpu"
    ) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ONNX_ERRORS_ONLY
        # Waiting threads sleep: the decoder has use for the core.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        wanted: list[Any] = ["CPUExecutionProvider"]
        known = onnxruntime.get_available_providers()
        if device_kind(device) == "cuda" and _CUDA in known:
            number = device_index(device) or 0
            wanted.insert(0, (_CUDA, {"device_id": str(number)}))
        source = str(model) if isinstance(model, Path) else _data(model)
        try:
            self._session = onnxruntime.InferenceSession(source, options, providers=wanted)
        # ONNX Runtime's errors derive from Exception and nothing nearer.
        except Exception as error:
            raise _load_error("ONNX Runtime", model, error) from error
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        self.on_gpu = _CUDA in self.providers
        self.input_names = tuple(item.name for item in self._session.get_inputs())
        self.output_names = tuple(item.name for item in self._session.get_outputs())
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, *inputs: Array) -> tuple[Array, ...]:
        """Run the net on one array for each of its inputs; all outputs, in the net's order.

        Raises:
            UsageError: not one array for each input.
        """
        feed = dict(zip(self.input_names, inputs, strict=True))
        return tuple(np.asarray(output) for output in self._session.run(None, feed))


def read_bundle(bundle: Content, member: str) -> bytes:
    """One file out of a MediaPipe ``.task`` bundle, which is a zip.

    Raises:
        ModelError: no such file in it, or not a bundle.
    """
    hint = "run `avaffect models verify` to see which files are damaged"
    what = f"holds no readable '{member}'"
    with reading(bundle.path, ModelError, what, hint), zipfile.ZipFile(bundle.open()) as archive:
        if archive.getinfo(member).file_size > _MOST_MEMBER_BYTES:
            raise ModelError(f"'{member}' in '{bundle.path}' is too large for a net")
        return archive.read(member)


def _data(model: bytes | Content) -> bytes:
    return model if isinstance(model, bytes) else model.data


def _load_error(runtime: str, model: Path | bytes | Content, error: Exception) -> ModelError:
    path = model.path if isinstance(model, Content) else model
    what = "a net" if isinstance(path, bytes) else f"the net in '{path}'"
    return ModelError(
        f"{runtime} cannot load {what} ({error})",
        "run `avaffect models verify`; if nothing is damaged, update the runtime",
    )
