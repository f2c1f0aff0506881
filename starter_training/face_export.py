"""Write starter-2's face net as ONNX files, and measure what they cost.

    python starter_training/face_export.py --faces work/faces --net work/face/net.pt \\
        --out work/face

The temperature is fitted on the sets' validation parts. Writes

    starter-2-face.onnx        weights as float16, arithmetic in float32
    starter-2-face-int8.onnx   weights and arithmetic in 8 bits
    export.json                temperature, sizes, accuracy of both, milliseconds a face

A face is uint8 [B, 112, 112, 3] RGB, cut out by ArcFace's template. What comes out is float32
[B, 22]: the probabilities of the 8 expressions, valence, arousal, the probabilities of 12 units.
"""

from __future__ import annotations

import argparse
import copy
import time
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from face_data import Faces, load_all
from face_multi import load_net
from face_scores import opinions
from face_sets import SETS
from face_spoils import upright
from mobile_face_net import FaceNet
from numpy.typing import NDArray
from onnx_half import with_half_weights
from torch import Tensor, nn

from avaffect.files.atomic import atomic_path, write_json
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.metrics.calibration import expected_calibration_error, fit_temperature

NAME = "starter-2-face"
# Faces that set the range of 8 bits, and faces that both files are compared on.
CALIBRATION, COMPARED, TIMED = 256, 600, 100
NEXT_TO_1 = 0.004


class Slopes(nn.Module):
    """A PReLU over a factor that the next convolution makes up for: ``relu(x) + x a / (1 - a)``.

    ONNX Runtime leaves its fast layout for a PReLU and comes back after it, which doubled the time
    of the whole net.
    """

    def __init__(self, ratio: Tensor) -> None:
        super().__init__()
        channels = len(ratio)
        self.straight = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
        self.straight.weight.data = ratio.view(-1, 1, 1, 1).clone()

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x) + self.straight(x)


class Shipped(nn.Module):
    """uint8 [B, S, S, 3] to [B, 22]: calibrated probabilities, values in -1..1, units."""

    def __init__(self, net: FaceNet, temperature: float) -> None:
        super().__init__()
        self.net, self.temperature = without_prelu(net), temperature

    def forward(self, faces: Tensor) -> Tensor:
        said = self.net(faces.permute(0, 3, 1, 2).float())
        expression = (said.expression / self.temperature).softmax(1)
        return torch.cat([expression, said.va.clamp(-1, 1), said.units.sigmoid()], dim=1)


def without_prelu(net: FaceNet) -> FaceNet:
    """A copy of ``net`` that says the same, each PReLU as :class:`Slopes`, or as a ReLU."""
    made = copy.deepcopy(net).eval().float().to(memory_format=torch.contiguous_format)
    factor: Tensor | None = None

    def walk(parent: nn.Module) -> None:
        nonlocal factor
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.PReLU):
                slope = child.weight.detach()
                if not (slope != 0).any():
                    setattr(parent, name, nn.ReLU())
                    continue
                factor = 1 - slope
                # A slope of 1 has no such form; one next to it has.
                factor = torch.where(factor.abs() < NEXT_TO_1, NEXT_TO_1, factor)
                setattr(parent, name, Slopes((1 - factor) / factor))
            elif isinstance(child, nn.Conv2d):
                if factor is not None:
                    alone = child.groups > 1
                    child.weight.data *= (
                        factor.view(-1, 1, 1, 1) if alone else factor[:, None, None]
                    )
                    factor = None
            else:
                walk(child)

    # Its layers in the order of the forward pass: after each PReLU a convolution takes all of it.
    walk(made.trunk)
    return made


def fit(net: FaceNet, sets: Mapping[str, Faces]) -> tuple[float, float]:
    """The temperature that suits all sets' validation parts, and the calibration error then."""
    logits, labels = [], []
    for faces in sets.values():
        rows = faces.rows("validation")
        rows = rows[faces.labels.label[rows] >= 0]
        said = opinions(net, faces, rows).expression
        said[:, SETS[faces.name].classes :] = -50
        logits.append(said)
        labels.append(faces.labels.label[rows])
    all_logits, all_labels = np.concatenate(logits), np.concatenate(labels)
    temperature = fit_temperature(all_logits, all_labels)
    return temperature, expected_calibration_error(all_logits, all_labels, temperature)


def export(net: FaceNet, temperature: float, path: Path) -> None:
    """Write the net with float32 weights."""
    side = net.window.side
    with atomic_path(path) as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's notes on itself
        torch.onnx.export(
            Shipped(net, temperature).eval(),
            (torch.zeros(1, side, side, 3, dtype=torch.uint8),),
            str(target),
            dynamo=False,
            input_names=["faces"],
            output_names=["opinions"],
            dynamic_axes={"faces": {0: "batch"}, "opinions": {0: "batch"}},
            opset_version=17,
        )


def halve(path: Path, to: Path, facts: Mapping[str, str]) -> None:
    """The file ``path`` with weights as float16 and ``facts`` as its properties."""
    model = with_half_weights(onnx.load(path))
    onnx.helper.set_model_props(model, dict(facts))
    with atomic_path(to) as target:
        onnx.save(model, target)


def to_int8(path: Path, to: Path, faces: NDArray[np.uint8], facts: Mapping[str, str]) -> None:
    """The file ``path`` in 8 bits; ``faces`` [N, S, S, 3] show the range of each layer."""
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(faces)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            face = next(self._left, None)
            return None if face is None else {"faces": face[None]}

    with atomic_path(to) as target:
        quantization.quantize_static(
            path,
            target,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=["Conv", "Add", "Relu"],
        )
        model = onnx.load(target)
        onnx.helper.set_model_props(model, dict(facts))
        onnx.save(model, target)


def session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def says(path: Path, faces: Iterable[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """float32 [N, 22], what the file says of each face."""
    run = session(path)
    return np.concatenate([run.run(None, {"faces": face[None]})[0] for face in faces])


def milliseconds(path: Path) -> float:
    """Processor time of one face on one thread, the median of some calls."""
    run = session(path)
    known = run.get_inputs()[0]
    shape = [size if isinstance(size, int) else 1 for size in known.shape]
    kind = np.uint8 if known.type == "tensor(uint8)" else np.float32
    x = np.random.default_rng(0).integers(0, 256, shape).astype(kind)
    taken = []
    for _ in range(TIMED):
        before = time.thread_time()
        run.run(None, {known.name: x})
        taken.append(time.thread_time() - before)
    return round(float(np.median(taken)) * 1000, 2)


def some_faces(
    sets: Mapping[str, Faces], split: str, count: int, side: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """``count`` faces of all sets in turn, with their labels and how many classes those know."""
    chance, faces, labels, classes = np.random.default_rng(0), [], [], []
    for each in sets.values():
        rows = each.rows(split)
        rows = rows[each.labels.label[rows] >= 0]
        rows = chance.permutation(rows)[: -(-count // len(sets))]
        faces += [upright(each.pictures[row], each.matrices[row], side) for row in rows]
        labels += each.labels.label[rows].tolist()
        classes += [SETS[each.name].classes] * len(rows)
    return np.stack(faces), np.array(labels), np.array(classes)


def accuracy(
    said: NDArray[np.float32], labels: NDArray[np.int64], classes: NDArray[np.int64]
) -> float:
    """How many of the faces are named right, among the classes their labels know."""
    asked = np.arange(len(EXPRESSIONS)) < classes[:, None]
    chosen = np.where(asked, said[:, : len(EXPRESSIONS)], -1).argmax(axis=1)
    return round(float((chosen == labels).mean()), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, required=True, help="what face_points.py wrote")
    parser.add_argument("--net", type=Path, required=True, help="what face_multi.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--beside", type=Path, help="another ONNX file to time beside it")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets, net = load_all(options.faces), load_net(options.net)
    side = net.window.side
    temperature, error = fit(net, sets)
    facts = {
        "expressions": ",".join(EXPRESSIONS),
        "units": ",".join(ACTION_UNITS),
        "input": f"colour face, {side} x {side}, uint8 RGB, aligned to the template affwild2",
        "temperature": f"{temperature:.4f}",
        "trained_on": "FER+, RAF-DB, AffectNet; for research only",
    }
    whole = options.out / f"{NAME}-float32.onnx"
    half, small = options.out / f"{NAME}.onnx", options.out / f"{NAME}-int8.onnx"
    export(net, temperature, whole)
    halve(whole, half, facts)
    to_int8(whole, small, some_faces(sets, "train", CALIBRATION, side)[0], facts)
    faces, labels, classes = some_faces(sets, "validation", COMPARED, side)
    figures: dict[str, Any] = {"temperature": temperature, "calibration_error": error}
    reference = says(whole, faces)
    for path in (half, small):
        said = says(path, faces)
        figures[path.name] = {
            "bytes": path.stat().st_size,
            "ms": milliseconds(path),
            "accuracy": accuracy(said, labels, classes),
            "largest_difference": round(float(np.abs(said - reference).max()), 4),
            "mean_difference": round(float(np.abs(said - reference).mean()), 4),
        }
    if options.beside:
        figures[f"beside {options.beside.name}"] = {"ms": milliseconds(options.beside)}
    whole.unlink()
    write_json(options.out / "export.json", figures)
    for name, value in figures.items():
        print(name, value)


if __name__ == "__main__":
    main()
