"""What a pretrained start is worth: one backbone on single faces, from ImageNet and at random.

    python benchmarks/pretrained_start.py --features faces/ --labels labels.csv --out runs/ \
        --column clip=clip --column expression=expression --column split=split --epochs 3

The pictures and labels are the user's (FER2013, for example) and must have a test split, which
training leaves alone. Both runs have the same epochs, order and seed; the last epoch counts.
Prints accuracy and macro F1 on the test split, accuracy with a 95 % interval over pictures. A run
that is there already is only scored, an interrupted one goes on.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from avaffect.metrics.bootstrap import RESAMPLES, interval
from avaffect.metrics.scores import accuracy, confusion, macro_f1
from avaffect.networks.apply import apply_network
from avaffect.networks.checkpoint import load_checkpoint
from avaffect.training.run import DataConfig, load_dataset, run, run_config
from avaffect.windows.reader import whole_clips


def tested(folder: Path, data: DataConfig) -> tuple[np.ndarray, np.ndarray, int]:
    """What the run in ``folder`` says of the test split, what is true, and how many classes."""
    checkpoint, network = load_checkpoint(folder)
    clips = load_dataset(data, ["expr"]).of("test")
    reader = whole_clips(clips, checkpoint.recipe, {})
    said = np.full(len(clips), -1)
    for predicted in apply_network(network, reader, torch.device("cpu")):
        said[predicted.clip] = predicted.values["expr"][0].argmax()
    true = np.array([clip.labels["expr"][0] for clip in clips])
    return said, true, len(checkpoint.targets["expr"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--features", required=True)
    parser.add_argument("--labels", required=True)
    parser.add_argument("--column", action="append", default=[])
    parser.add_argument("--net", default="efficientnet-lite0")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    data = DataConfig(options.features, labels=options.labels, columns=tuple(options.column))
    print("| start | test accuracy | 95 % | macro F1 | pictures |\n|---|---|---|---|---|")
    for start, pretrained in (("ImageNet", "true"), ("random", "false")):
        changes = [
            f"train.epochs={options.epochs}",
            "train.select=last",
            f"branches.face.encoder.net={options.net}",
            f"branches.face.encoder.pretrained={pretrained}",
        ]
        folder = options.out / f"{options.net}-{start.lower()}"
        if not (folder / "validation").is_dir():
            config = run_config("face-expr", data, changes=changes)
            run(config, folder, resume=(folder / "run.json").is_file())
        said, true, classes = tested(folder, data)
        counts = confusion(said, true, classes)
        right = (said == true).astype(float)
        rng = np.random.default_rng(0)
        draws = rng.integers(0, len(right), (RESAMPLES, len(right)))
        low, high = interval(right[draws].mean(1))
        print(
            f"| {start} | {accuracy(counts):.3f} | {low:.3f}-{high:.3f} | {macro_f1(counts):.3f} "
            f"| {len(true):,} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
