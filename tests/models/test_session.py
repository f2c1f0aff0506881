import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import Builder
from onnx import TensorProto, helper

from avaffect.errors import ModelError
from avaffect.models.content import Content
from avaffect.models.session import OnnxNet, TfliteNet, read_bundle


def tflite_net() -> bytes:
    """[1, 4] float32 -> ``out_10`` = 2 x and, after it in the file, ``out_2`` = x squared."""

    def tensor(name: str) -> schema.TensorT:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, [1, 4], schema.TensorType.FLOAT32, 0
        return made

    def operator(code: int, output: int, options_type: int, options: object) -> schema.OperatorT:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, [0, 0], [output]
        made.builtinOptionsType, made.builtinOptions = options_type, options
        return made

    def code(builtin: int) -> schema.OperatorCodeT:
        made = schema.OperatorCodeT()
        made.builtinCode = made.deprecatedBuiltinCode = builtin
        made.version = 1
        return made

    graph = schema.SubGraphT()
    graph.tensors = [tensor("in"), tensor("out_10"), tensor("out_2")]
    graph.inputs, graph.outputs = [0], [1, 2]
    options = schema.BuiltinOptions
    graph.operators = [
        operator(0, 1, options.AddOptions, schema.AddOptionsT()),
        operator(1, 2, options.MulOptions, schema.MulOptionsT()),
    ]
    model = schema.ModelT()
    model.version = 3
    model.operatorCodes = [
        code(schema.BuiltinOperator.ADD),
        code(schema.BuiltinOperator.MUL),
    ]
    model.subgraphs, model.buffers = [graph], [schema.BufferT()]
    builder = Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def onnx_net() -> bytes:
    """[n, 4] float32 -> ``sum`` = a + b, ``product`` = a b."""
    shape = ["n", 4]
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name in ("a", "b", "sum", "product")
    }
    graph = helper.make_graph(
        [
            helper.make_node("Add", ["a", "b"], ["sum"]),
            helper.make_node("Mul", ["a", "b"], ["product"]),
        ],
        "tiny",
        [values["a"], values["b"]],
        [values["sum"], values["product"]],
    )
    opset = [helper.make_opsetid("", 17)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opset, ir_version=9)
    return model.SerializeToString()


X = np.array([[1, 2, 3, 4]], np.float32)


@pytest.mark.parametrize("from_file", [False, True])
def test_tflite_outputs_come_by_the_numbers_in_their_names(
    from_file: bool, tmp_path: Path
) -> None:
    model: bytes | Path = tflite_net()
    if from_file:
        model = tmp_path / "net.tflite"
        model.write_bytes(tflite_net())
    net = TfliteNet(model, threads=2)
    assert net.output_names == ("out_2", "out_10")
    assert net.input_shapes == ((1, 4),)
    squared, doubled = net(X)
    np.testing.assert_array_equal(squared, X**2)
    np.testing.assert_array_equal(doubled, 2 * X)


def test_tflite_outputs_are_copies() -> None:
    net = TfliteNet(tflite_net())
    first = net(X)[0]
    net(X + 1)
    np.testing.assert_array_equal(first, X**2)


@pytest.mark.parametrize("wrong", [X.astype(np.float64), X[0], np.zeros((2, 4), np.float32)])
def test_tflite_refuses_what_does_not_fit(wrong) -> None:
    with pytest.raises(ValueError, match=r"[Cc]annot set tensor"):
        TfliteNet(tflite_net())(wrong)


def test_tflite_wants_every_input() -> None:
    with pytest.raises(ValueError, match="zip"):
        TfliteNet(tflite_net())(X, X)


@pytest.mark.parametrize("build", [lambda: TfliteNet(tflite_net()), lambda: OnnxNet(onnx_net())])
def test_one_net_serves_many_threads(build) -> None:
    net = build()
    inputs = [np.full((1, 4), i, np.float32) for i in range(200)]
    onnx_too = (lambda x: net(x, x)[1]) if isinstance(net, OnnxNet) else (lambda x: net(x)[0])
    with ThreadPoolExecutor(4) as pool:
        for given, got in zip(inputs, pool.map(onnx_too, inputs), strict=True):
            np.testing.assert_array_equal(got, given**2)


def test_stderr_stays_where_it_is(tmp_path: Path) -> None:
    """A host program's stderr is its own, also while a net is made."""
    script = (
        "import os, sys, threading; from avaffect.models import session\n"
        "real, places = session.Interpreter, {os.fstat(2).st_ino}\n"
        "def watched(**options): places.add(os.fstat(2).st_ino); return real(**options)\n"
        "session.Interpreter = watched\n"
        "session.TfliteNet(sys.stdin.buffer.read())\n"
        "places.add(os.fstat(2).st_ino); print(len(places))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=tflite_net(), capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, b"1\n")


def test_a_process_without_stderr_can_run_nets(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(tflite_net())
    script = (
        "import os, sys; from pathlib import Path; os.close(2)\n"
        "from avaffect.models.session import TfliteNet\n"
        "print(TfliteNet(Path(sys.argv[1])).output_names)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "net.tflite")],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    assert "out_2" in done.stdout


@pytest.mark.parametrize("from_file", [False, True])
def test_onnx_batches(from_file: bool, tmp_path: Path) -> None:
    model: bytes | Path = onnx_net()
    if from_file:
        model = tmp_path / "net.onnx"
        model.write_bytes(onnx_net())
    net = OnnxNet(model, threads=2)
    assert net.input_names == ("a", "b")
    assert net.output_names == ("sum", "product")
    batch = np.repeat(X, 3, axis=0)
    total, product = net(batch, 2 * batch)
    np.testing.assert_array_equal(total, 3 * batch)
    np.testing.assert_array_equal(product, 2 * batch**2)
    with pytest.raises(ValueError, match="zip"):
        net(batch)


@pytest.mark.parametrize(("device", "number"), [("cuda", "0"), ("cuda:1", "1"), ("cpu", None)])
def test_which_gpu_an_onnx_net_is_given(
    monkeypatch: pytest.MonkeyPatch, device: str, number: str | None
) -> None:
    asked = []

    def session(source, options, providers):
        asked.extend(providers)
        raise RuntimeError("no GPU here")

    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: both)
    monkeypatch.setattr("onnxruntime.InferenceSession", session)
    with pytest.raises(ModelError):
        OnnxNet(onnx_net(), device=device)
    cuda = [("CUDAExecutionProvider", {"device_id": number})] if number else []
    assert asked == [*cuda, "CPUExecutionProvider"]


def test_onnx_without_cuda_falls_back_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
    net = OnnxNet(onnx_net(), device="cuda")
    assert (net.providers, net.on_gpu) == (("CPUExecutionProvider",), False)


@pytest.mark.parametrize("kind", [TfliteNet, OnnxNet])
@pytest.mark.parametrize(
    "content", [b"", b"not a net at all", b"\x1c\x00\x00\x00TFL3" + b"\0" * 99]
)
def test_what_is_no_net_is_a_model_error(kind, content, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot load a net"):
        kind(content)
    (tmp_path / "net").write_bytes(content)
    with pytest.raises(ModelError, match="cannot load the net in"):
        kind(tmp_path / "net")


def test_a_missing_file_is_a_model_error(tmp_path: Path) -> None:
    for kind in (TfliteNet, OnnxNet):
        with pytest.raises(ModelError):
            kind(tmp_path / "none")


def test_read_bundle(tmp_path: Path) -> None:
    path = tmp_path / "x.task"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("a.tflite", b"net")
    assert read_bundle(Content(path, path.read_bytes()), "a.tflite") == b"net"
    with pytest.raises(ModelError, match=r"holds no readable 'b\.tflite'"):
        read_bundle(Content(path, path.read_bytes()), "b.tflite")
    path.write_bytes(b"no zip")
    with pytest.raises(ModelError):
        read_bundle(Content(path, path.read_bytes()), "a.tflite")


def test_a_damaged_bundle_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "x.task"
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr("a.tflite", b"net" * 100)
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError):
        read_bundle(Content(path, path.read_bytes()), "a.tflite")
