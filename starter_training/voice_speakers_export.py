"""The package's file of starter-2-voice: the speaker encoder, and emotions in its space."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from voice import EXPRESSION
from voice_corpora import LABELS
from voice_encoder import Encoder
from voice_speakers import TEMPERATURE, Fitted
from voice_windows import WINDOW_S

from avaffect.files.atomic import atomic_path
from avaffect.sound.mel_power import BANDS

HOP_S = 0.5
# Windows begin on a row of this rate.
RATE_HZ = 50
LICENCE = "CC-BY-NC-SA-4.0"


class Placed(nn.Module):
    """Where a window lies in the space of the speakers' model: float32 [B, K] of [B, T, BANDS]."""

    origin: Tensor
    directions: Tensor

    def __init__(self, encoder: Encoder, fitted: Fitted) -> None:
        super().__init__()
        self.encoder = encoder
        self.register_buffer("origin", torch.from_numpy(fitted.origin).float())
        self.register_buffer("directions", torch.from_numpy(fitted.directions).float())

    def forward(self, mel_power: Tensor) -> Tensor:
        return (self.encoder(mel_power) - self.origin) @ self.directions


def metadata(fitted: Fitted, trained_on: str) -> dict[str, str]:
    """What ``avaffect.sound.voice`` and a reader must know, each value as JSON."""
    speakers = fitted.speakers
    values = {
        "rate_hz": RATE_HZ,
        "window_s": WINDOW_S,
        "hop_s": HOP_S,
        "classes": [EXPRESSION[label] for label in LABELS],
        "labels": LABELS,
        "temperature": TEMPERATURE,
        "means": np.round(speakers.means, 5).tolist(),
        "spread": np.round(speakers.spread, 6).tolist(),
        "prior": speakers.prior.tolist(),
        "heed": speakers.heed,
        "licence": LICENCE,
        "trained_on": trained_on,
        "encoder": "Resemblyzer 0.1.4 (Apache-2.0), two lower layers, unchanged",
        "date": date.today().isoformat(),
    }
    return {name: json.dumps(value) for name, value in values.items()}


def export(fitted: Fitted, encoder: Encoder, path: Path, facts: Mapping[str, str]) -> float:
    """Write ONNX for any number of windows and rows; gives the largest difference from PyTorch.

    Raises:
        ValueError: they differ; nothing is written.
    """
    import onnx
    import onnxruntime

    net = Placed(encoder, fitted).eval()
    with atomic_path(path) as temporary:
        with warnings.catch_warnings():
            # The tracer warns of an LSTM's batches; the check below is for that.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                net,
                (torch.rand(2, 298, BANDS),),
                str(temporary),
                input_names=["mel_power"],
                output_names=["embedding"],
                dynamic_axes={"mel_power": {0: "windows", 1: "rows"}, "embedding": {0: "windows"}},
                opset_version=17,
                dynamo=False,
            )
        model = onnx.load(str(temporary))
        onnx.helper.set_model_props(model, dict(facts))
        onnx.checker.check_model(model)
        onnx.save(model, str(temporary))
        session = onnxruntime.InferenceSession(str(temporary), providers=["CPUExecutionProvider"])
        worst = 0.0
        for i, (windows, rows) in enumerate([(1, 298), (3, 298), (2, 97)]):
            x = torch.rand(windows, rows, BANDS, generator=torch.Generator().manual_seed(i)) ** 8
            with torch.inference_mode():
                ours = net(x).numpy()
            (theirs,) = session.run(None, {"mel_power": x.numpy()})
            worst = max(worst, float(np.abs(ours - theirs).max() / np.abs(ours).max()))
        if not worst < 1e-3:
            raise ValueError(f"ONNX Runtime and PyTorch differ by {worst:.2g}")
    return worst


def tell(path: Path) -> str:
    """Its size and SHA-256, which belong in avaffect/models/zoo.py."""
    data = path.read_bytes()
    return f"{len(data):_} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}"


def described(corpora: Mapping[str, str]) -> str:
    """What it was trained on, by corpus its licence."""
    return "acted speech: " + ", ".join(f"{name} ({what})" for name, what in corpora.items())
