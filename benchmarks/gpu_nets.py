"""The nets that look at faces, on a GPU: the first half of `gpu.py`, which runs these parts."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gpu_checks import Check, peak_mb, peaks, seconds
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from avaffect.models.fetch import model_path
from avaffect.models.graph import Graph, GraphNet
from avaffect.models.onnx_graph import read_onnx
from avaffect.models.tflite_graph import read_tflite

ROOT = Path(__file__).parents[1]
CLIP = ROOT / "sample_media" / "one_person.mp4"
PORTRAIT = ROOT / "avaffect" / "datasets" / "synth" / "face.npz"
BATCHES = (1, 16, 64, 256)


@dataclass(frozen=True)
class Case:
    """A net to look at.

    Attributes:
        graph: reads it.
        given: its input for so many faces.
        limits: how far apart outputs may be from those of the CPU: in float32, and in float16
            (None: it is never run in that); pixels for detectors and landmarks.
        anchors: whether its outputs are boxes and scores of anchors, of which only those count
            that see a face.
    """

    graph: Callable[[], Graph]
    given: Callable[[int], Tensor]
    limits: tuple[float, float | None]
    anchors: bool = False

    def apart(self, expected: Sequence[Tensor], there: Sequence[Tensor]) -> float:
        """How far outputs are from those expected; infinite if no face was to be seen."""
        there = [each.cpu() for each in there]
        if self.anchors:
            scores = min(expected, key=lambda each: each.shape[-1])[..., 0]
            expected, there = ([each[scores > 0] for each in some] for some in (expected, there))
        both = zip(expected, there, strict=True)
        return max(float((a - b).abs().max()) if len(a) else float("inf") for a, b in both)


def portraits(side: int, count: int) -> Tensor:
    """float32 [count, side, side, 3] in 0..1: a face, of other sizes and lights."""
    with np.load(PORTRAIT) as data:
        whole = torch.from_numpy(data["image"][:, 22:284]).float().permute(2, 0, 1) / 255
    faces = []
    for number in range(count):
        edge = 8 * (number % 4)
        part = whole[None, :, edge : 262 - edge, edge : 262 - edge]
        square = torch.nn.functional.interpolate(part, (side, side), mode="bilinear")
        faces.append(square[0] * (1 - 0.1 * (number % 3)))
    return torch.stack(faces).permute(0, 2, 3, 1).contiguous()


def points(count: int) -> Tensor:
    """float32 [count, 146, 2], somewhere in a picture of 256 pixels."""
    drawn = torch.Generator().manual_seed(0)
    return 256 * torch.rand(count, 146, 2, generator=drawn)


def _tflite(name: str, member: str | None = None) -> Callable[[], Graph]:
    def read() -> Graph:
        path = model_path(name)
        if member is None:
            return read_tflite(path.read_bytes())
        with zipfile.ZipFile(path) as bundle:
            return read_tflite(bundle.read(member))

    return read


def _onnx(name: str) -> Callable[[], Graph]:
    return lambda: read_onnx(model_path(name).read_bytes())


CASES = {
    "blazeface-full": Case(
        _tflite("blazeface-full"), lambda n: 2 * portraits(192, n) - 1, (0.02, 0.5), True
    ),
    "blazeface-back": Case(
        _tflite("blazeface-back"), lambda n: 2 * portraits(256, n) - 1, (0.02, 0.5), True
    ),
    "centerface": Case(
        _onnx("centerface"), lambda n: 255 * portraits(320, n).permute(0, 3, 1, 2), (1e-3, 0.1)
    ),
    "landmarks": Case(
        _tflite("face-landmarker", "face_landmarks_detector.tflite"),
        lambda n: portraits(256, n),
        (0.02, 0.3),
    ),
    "blendshapes": Case(
        _tflite("face-landmarker", "face_blendshapes.tflite"), points, (1e-3, None)
    ),
    "starter-2-face": Case(
        _onnx("starter-2-face"), lambda n: (255 * portraits(112, n)).byte(), (1e-3, 0.02)
    ),
    "starter-1-face": Case(
        _onnx("starter-1-face"),
        lambda n: 255 * portraits(48, n).mean(3)[:, None],
        (1e-3, 0.02),
    ),
}


def nets(device: torch.device) -> Iterator[Check]:
    """Each net for four faces: the CPU in float32 against the device in both precisions."""
    with _as_the_cpu_computes():
        for name, case in CASES.items():
            graph, x = case.graph(), case.given(4)
            expected = GraphNet(graph)(x)
            for half, limit in zip((False, True), case.limits, strict=True):
                if limit is None:
                    continue
                there = GraphNet(graph, half).to(device)(x.to(device))
                worst = case.apart(expected, there)
                precision = "float16" if half else "float32"
                yield Check(f"{name}, {precision}", f"{worst:.1e} apart", worst < limit)
        yield _embedding(device)


def _embedding(device: torch.device) -> Check:
    from avaffect.faces.efficientnet_lite import load

    net, x = load(model_path("efficientnet-lite0")), portraits(112, 4).permute(0, 3, 1, 2)
    expected = net(2 * x - 1)
    worst = float((net.to(device)((2 * x - 1).to(device)).cpu() - expected).abs().max())
    return Check("efficientnet-lite0, float32", f"{worst:.1e} apart", worst < 1e-2)


class _as_the_cpu_computes:
    """Within, float32 is not rounded to TF32, and nothing is kept for gradients."""

    def __enter__(self) -> None:
        self._exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        self._inference = torch.inference_mode()
        self._exact.__enter__()
        self._inference.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._inference.__exit__(*error)
        self._exact.__exit__(*error)


class Traffic(TorchDispatchMode):
    """Counts the bytes that operators read and write; what only looks differently is none."""

    moved = 0

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = operator(*args, **(kwargs or {}))
        if not operator.is_view:
            given = [each for each in args if isinstance(each, Tensor)]
            made = result if isinstance(result, tuple | list) else [result]
            made = [each for each in made if isinstance(each, Tensor)]
            self.moved += sum(each.nbytes for each in (*given, *made))
        return result


def speed(device: torch.device) -> Iterator[Check]:
    """Faces a second of each net by batch; a GPU's share of busy time; what its roofline allows.

    Busy is the time of the same work as a CUDA graph, where nothing waits for Python, over the
    time of the calls as `predict` makes them.
    """
    cuda = device.type == "cuda"
    at_most = peaks(device)
    with _as_the_cpu_computes():
        for name, case in CASES.items():
            net = GraphNet(case.graph(), half=cuda and case.limits[1] is not None).to(device)
            for batch in BATCHES if cuda else BATCHES[:1]:
                x = case.given(batch).to(device)
                if cuda:
                    torch.cuda.reset_peak_memory_stats(device)
                with FlopCounterMode(display=False) as counter, Traffic() as traffic:
                    net(x)
                called = seconds(lambda net=net, x=x: net(x), device)
                least = at_most.least(counter.get_total_flops(), traffic.moved)
                captured = _captured(net, x, device) if cuda else None
                shown = (
                    f"{batch / called:,.0f} faces/s, {least / called:.0%} of the roofline, "
                    f"{peak_mb(device)} MB"
                )
                if captured is not None:
                    shown += f", busy {captured / called:.0%}, as a graph {batch / captured:,.0f}"
                yield Check(f"{name}, {batch} at a time", shown)


def _captured(net: GraphNet, x: Tensor, device: torch.device) -> float | None:
    """The seconds of a call that was captured as a CUDA graph; None where it cannot be."""
    try:
        aside = torch.cuda.Stream(device)
        aside.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(aside):
            for _ in range(3):
                net(x)
        torch.cuda.current_stream(device).wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            net(x)
        return seconds(graph.replay, device)
    except RuntimeError:
        return None


def passes(device: torch.device) -> Iterator[Check]:
    """The whole pass over a clip (decoding, following, encoding), the CPU against the device."""
    import tempfile

    from avaffect.config import AnalysisConfig
    from avaffect.media.source import open_source
    from avaffect.preprocessing.nets import Nets
    from avaffect.preprocessing.video_pass import analyse

    config = AnalysisConfig(encoders=("starter-2-face",))
    video, found = open_source(CLIP, config.media), []
    where = dict.fromkeys(("cpu", str(device)))
    with tempfile.TemporaryDirectory() as place:
        for name in where:
            nets = Nets.load(config, name)
            began = time.perf_counter()
            result = analyse(video, config, nets, Path(place, name.replace(":", "")), name)
            rate = result.report.frames / (time.perf_counter() - began)
            left = f", on the CPU: {', '.join(nets.on_cpu)}" if name != "cpu" else ""
            yield Check(f"one video, {name}", f"{rate:,.0f} frames/s{left}")
            found.append({t: result.spool.base(t)["points"] for t in result.spool.tracks})
    first, last = found[0], found[-1]
    same = first.keys() == last.keys() and all(len(first[t]) == len(last[t]) for t in first)
    worst = max(float(np.abs(first[t] - last[t]).max()) for t in first) if same else float("inf")
    yield Check("points of faces", f"{worst:.2f} pixels apart", worst < 1)
