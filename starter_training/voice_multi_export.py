"""Write starter-2-voice's ONNX file, from the run that heard all corpora.

    python starter_training/voice_multi_export.py --runs work/voice \\
        --onnx avaffect/models/shipped/starter-2-voice.onnx

``figures.json`` beside the runs gives its temperature. Prints the size and SHA-256 that belong in
avaffect/models/zoo.py, and the largest difference between ONNX Runtime and PyTorch; nothing is
written if they differ. What the net says of arousal is left out: the package has no place for it
yet.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from datetime import date
from pathlib import Path

import torch
from torch import Tensor, nn
from voice import EXPRESSION
from voice_corpora import LABELS, LICENCES
from voice_multi import HOP_S
from voice_multi_figures import SPEAKERS
from voice_multi_net import EMOTIONS, MultiNet
from voice_net import LENGTH, export
from voice_sounds import RATE_HZ

# All that the data's licences ask for: share alike, no commerce; TESS's also forbids adaptations
# of its recordings to be passed on, which a net that cannot play them back is not taken to be.
LICENCE = "CC-BY-NC-SA-4.0"
TRAINED_ON = "acted speech: " + ", ".join(f"{name} ({what})" for name, what in LICENCES.items())


class Emotions(nn.Module):
    """The 8 logits alone."""

    def __init__(self, net: MultiNet) -> None:
        super().__init__()
        self.net = net

    def forward(self, features: Tensor) -> Tensor:
        return self.net(features)[:, :EMOTIONS]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=Path, required=True, help="where voice_multi.py wrote")
    parser.add_argument("--run", default="nothing", help="which of them")
    parser.add_argument("--onnx", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    figures = json.loads((arguments.runs / "figures.json").read_text(encoding="utf-8"))
    state = torch.load(arguments.runs / f"{arguments.run}.pt", weights_only=True)
    net = MultiNet(state["share"])
    net.load_state_dict(state["net"])
    values = {
        "rate_hz": RATE_HZ,
        "window_s": LENGTH / RATE_HZ,
        "hop_s": HOP_S,
        "classes": [EXPRESSION[label] for label in LABELS],
        "labels": LABELS,
        "temperature": figures[SPEAKERS]["temperature"],
        "licence": LICENCE,
        "trained_on": TRAINED_ON,
        "steps": state["step"],
        "date": date.today().isoformat(),
    }
    metadata = {name: json.dumps(value) for name, value in values.items()}
    difference = export(Emotions(net), arguments.onnx, metadata)
    data = arguments.onnx.read_bytes()
    print(f"{len(data):_} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")
    print(f"ONNX Runtime and PyTorch differ by at most {difference:.1g}")


if __name__ == "__main__":
    main()
