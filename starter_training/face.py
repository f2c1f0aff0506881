"""Train, calibrate, test and write the face net of starter-1.

    python starter_training/fer2013.py --fer2013 path/to/fer2013 --out work/fer2013.npz
    python starter_training/face.py --data work/fer2013.npz --out work/face

EfficientNet-Lite0 from ImageNet, fine-tuned on FER2013's training part (without the pictures that
look like one of the other parts), AdamW, two cosines, the weights' moving average; the temperature
is fitted on the validation part; the test part is looked at once, at the end. About 80 minutes on
one core. Interrupted, the same command goes on from the last epoch. Writes

    work/face/starter-1-face.onnx   48 x 48 grey to probabilities, weights as float16
    work/face/figures.json          what docs/models/starter-1.md says
    work/face/test.npz              logits of validation and test, for benchmarks/starter.py
"""

from __future__ import annotations

import argparse
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from face_net import SIZE, Calibrated, FaceNet
from face_pictures import spoiled, upright
from fer2013 import Fer2013
from numpy.typing import NDArray
from onnx_half import with_half_weights
from torch import nn
from torch.nn import functional

from avaffect.arrays import softmax
from avaffect.faces.encoders import stretched
from avaffect.files.atomic import atomic_path, write_json
from avaffect.labels import EXPRESSIONS
from avaffect.metrics.calibration import expected_calibration_error, fit_temperature
from avaffect.models.fetch import model_path
from avaffect.predictors.starter.resting import FIGURES as RESTING

CLASSES = EXPRESSIONS[:7]
BATCH = 64
WEIGHT_DECAY, WARMUP = 0.03, 200
SMOOTHING, AVERAGE, CLIP_NORM = 0.1, 0.998, 2.0
# The stem and the first three blocks stay ImageNet's.
FROZEN = 5


@dataclass(frozen=True)
class Phase:
    """Some epochs in which the learning rate falls to nothing along a cosine.

    Attributes:
        epochs: how many.
        rate: the learning rate at their beginning.
        spoilt: the share of pictures that are spoilt like a video's.
    """

    epochs: int
    rate: float
    spoilt: float


# Spoilt pictures first; then mostly clean ones, on which the net can still learn.
PHASES = (Phase(14, 5e-4, 1.0), Phase(4, 2.5e-4, 0.3))


class Averaged:
    """A moving average of a net's weights, which does better than any one of them."""

    def __init__(self, net: nn.Module) -> None:
        self.weights = {name: value.clone() for name, value in net.state_dict().items()}

    def update(self, net: nn.Module, step: int) -> None:
        rate = 1 - min(AVERAGE, (1 + step) / (10 + step))
        for name, value in net.state_dict().items():
            self.weights[name].lerp_(value, rate)


def train(data: Fer2013, out: Path, seed: int) -> FaceNet:
    """The trained net with averaged weights; goes on from ``out/state.pt`` if that is there."""
    torch.manual_seed(seed)
    labels = np.array([CLASSES.index(name) for name in data.label])
    rows = np.flatnonzero(data.usable)
    # Half way between every class as often as it is, and every class as often as every other.
    weights = np.bincount(labels[rows], minlength=len(CLASSES))[labels[rows]] ** -0.5
    weights /= weights.sum()
    net = FaceNet(model_path("efficientnet-lite0")).to(memory_format=torch.channels_last)
    net.freeze(FROZEN)
    learnt = [value for value in net.parameters() if value.requires_grad]
    optimiser = torch.optim.AdamW(
        [
            {"params": [v for v in learnt if v.ndim > 1], "weight_decay": WEIGHT_DECAY},
            {"params": [v for v in learnt if v.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=PHASES[0].rate,
    )
    averaged = Averaged(net)
    per_epoch = len(rows) // BATCH
    epochs = sum(phase.epochs for phase in PHASES)
    first, state = 0, out / "state.pt"
    if state.exists():
        saved = torch.load(state, weights_only=True)
        net.load_state_dict(saved["net"])
        optimiser.load_state_dict(saved["optimiser"])
        averaged.weights, first = saved["averaged"], saved["step"]
    losses, began = [], time.monotonic()
    net.train()
    for step in range(first, epochs * per_epoch):
        phase, done = phase_at(step / per_epoch)
        rate = phase.rate * (1 + math.cos(math.pi * done)) / 2
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (step + 1) / WARMUP)
        # Each step has its own generator, so that an interrupted run goes on as it would have.
        rng = np.random.default_rng((seed, step))
        batch = rng.choice(rows, BATCH, p=weights)
        pictures = np.stack([spoiled(data, row, SIZE, rng, phase.spoilt) for row in batch])
        logits = net(torch.from_numpy(pictures)[:, None])
        loss = functional.cross_entropy(
            logits, torch.from_numpy(labels[batch]), label_smoothing=SMOOTHING
        )
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learnt, CLIP_NORM)
        optimiser.step()
        averaged.update(net, step)
        losses.append(loss.item())
        if (step + 1) % per_epoch == 0:
            with atomic_path(state) as target:
                torch.save(
                    {
                        "net": net.state_dict(),
                        "optimiser": optimiser.state_dict(),
                        "averaged": averaged.weights,
                        "step": step + 1,
                    },
                    target,
                )
            score = accuracy(best(averaged), data, data.split == "validation")
            print(
                f"epoch {(step + 1) // per_epoch}/{epochs}: loss {np.mean(losses):.3f}, "
                f"validation accuracy {score:.4f}, {time.monotonic() - began:.0f} s",
                flush=True,
            )
            losses = []
    return best(averaged)


def phase_at(epoch: float) -> tuple[Phase, float]:
    """The phase that ``epoch`` lies in, and how much of it is done (0..1)."""
    for phase in PHASES:
        if epoch < phase.epochs:
            return phase, epoch / phase.epochs
        epoch -= phase.epochs
    raise ValueError("training is over")


def best(averaged: Averaged) -> FaceNet:
    """The net with the averaged weights, for inference."""
    net = FaceNet(None)
    net.load_state_dict(averaged.weights)
    return net.eval().to(memory_format=torch.channels_last)


def logits_of(net: FaceNet, data: Fer2013, part: NDArray[np.bool_]) -> NDArray[np.float32]:
    """float32 [n, 7] for the pictures of ``part``, cut out as at inference."""
    crops = np.stack([upright(data, row) for row in np.flatnonzero(part)])
    found = []
    with torch.inference_mode():
        for at in range(0, len(crops), 128):
            batch = np.stack([stretched(crop) for crop in crops[at : at + 128]])
            found.append(net(torch.from_numpy(batch)[:, None]).numpy())
    return np.concatenate(found)


def accuracy(net: FaceNet, data: Fer2013, part: NDArray[np.bool_]) -> float:
    """The share of ``part`` that the net gets right."""
    found = np.array(CLASSES)[logits_of(net, data, part).argmax(axis=1)]
    return float((found == data.label[part]).mean())


def export(net: FaceNet, temperature: float, path: Path) -> None:
    """Write the calibrated net as ONNX, its weights as float16."""
    import onnx

    with atomic_path(path) as target:
        torch.onnx.export(
            Calibrated(net, temperature).eval(),
            (torch.zeros(1, 1, 48, 48),),
            str(target),
            dynamo=False,
            input_names=["faces"],
            output_names=["probabilities"],
            dynamic_axes={"faces": {0: "batch"}, "probabilities": {0: "batch"}},
            opset_version=17,
        )
        model = with_half_weights(onnx.load(target))
        facts = {
            "classes": ",".join(CLASSES),
            "input": "grey face, 48 x 48, 0..255, aligned to the template fer2013",
            "temperature": f"{temperature:.4f}",
            "trained_on": "FER2013, training part without near duplicates of the other parts",
        }
        onnx.helper.set_model_props(model, facts)
        onnx.save(model, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="what fer2013.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", 1)))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    data = Fer2013.load(options.data)
    net = train(data, options.out, options.seed)

    parts = {name: data.split == name for name in ("validation", "test")}
    logits = {name: logits_of(net, data, part) for name, part in parts.items()}
    labels = {
        name: np.array([CLASSES.index(label) for label in data.label[part]])
        for name, part in parts.items()
    }
    temperature = fit_temperature(logits["validation"], labels["validation"])
    export(net, temperature, options.out / "starter-1-face.onnx")
    arrays = {f"{name}_logits": logits[name] for name in parts}
    arrays |= {f"{name}_labels": labels[name] for name in parts}
    arrays["temperature"] = np.array(temperature)
    arrays |= {f"{name}_rows": np.flatnonzero(part) for name, part in parts.items()}
    with atomic_path(options.out / "test.npz") as target:
        np.savez(target, **arrays)
    neutral = softmax(logits["validation"], temperature)[labels["validation"] == 0]
    write_json(
        RESTING,
        {
            "mean_log_probability": dict(
                zip(CLASSES, np.log(np.maximum(neutral, 1e-4)).mean(axis=0).tolist(), strict=True)
            ),
            "pictures": len(neutral),
            "made_by": "starter_training/face.py, on FER2013's validation part, label neutral",
        },
    )
    right = logits["test"].argmax(axis=1) == labels["test"]
    write_json(
        options.out / "figures.json",
        {
            "trained_on": int(data.usable.sum()),
            "epochs": sum(phase.epochs for phase in PHASES),
            "temperature": temperature,
            "test_pictures": int(parts["test"].sum()),
            "test_accuracy": float(right.mean()),
            "test_accuracy_without_copies": float(right[~data.copied[parts["test"]]].mean()),
            "ece_before": expected_calibration_error(logits["test"], labels["test"], 1.0),
            "ece_after": expected_calibration_error(logits["test"], labels["test"], temperature),
        },
    )


if __name__ == "__main__":
    main()
