"""What a finished voice net says of corpora that it never heard, as voice_speakers.py writes it.

    python starter_training/voice_hear.py --takes work/voices --out work/starter1 \\
        --net starter-1-voice --unheard nemo casia tess

``--net`` is a name of ``avaffect models list`` or an ONNX file. voice_multi_figures.py makes
figures of what lies in ``--out`` then.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from voice_corpora import CORPORA, read_takes
from voice_net import Heard, window_logits
from voice_said import EMOTIONS, KINDS, told, write_said
from voice_sounds import RATE_HZ

from avaffect.models.fetch import model_path

# Rows from one window to the next.
HOP = RATE_HZ // 2


class Packaged:
    """An ONNX file, called as a net is; arousal is NaN if it says nothing of it."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options)

    def eval(self) -> None:
        """It is always so."""

    def __call__(self, features: Tensor) -> Tensor:
        said = np.column_stack(self._session.run(None, {"features": features.numpy()}))
        missing = EMOTIONS + 1 - said.shape[1]
        return torch.from_numpy(np.pad(said, ((0, 0), (0, missing)), constant_values=np.nan))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--takes", type=Path, required=True, help="folder of takes.csv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--net", required=True)
    parser.add_argument("--unheard", nargs="+", choices=CORPORA, required=True)
    arguments = parser.parse_args()
    takes = read_takes(arguments.takes / "takes.csv")
    file = Path(arguments.net)
    net = Packaged(file if file.exists() else model_path(arguments.net))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for corpus in arguments.unheard:
        mine, said = np.array([i for i, t in enumerate(takes) if t.corpus == corpus]), {}
        for kind in KINDS:
            path = arguments.takes / f"{kind}.npz"
            if not path.exists():
                continue
            heard = Heard.read([path])
            there = mine[heard.speech[0, mine].any(axis=1)]
            found = window_logits(net, heard, 0, there.tolist(), HOP)
            said[kind] = there, found
            print(f"{corpus}, {kind}: {told(takes, there, found)}", flush=True)
        write_said(arguments.out / f"{corpus}.npz", said)


if __name__ == "__main__":
    main()
