"""What each paper's recipe learns here, how fast, and by which command.

    python benchmarks/papers.py --out runs/papers [--recipe abaw5-va ...]
    python benchmarks/papers.py --out runs/papers --data synth --features prepared [--full]

Without `--data` and `--features` a small ARTIFICIAL set is made and preprocessed first, below
`--out`. Where there is a GPU the recipes are trained as they are (`--full`), else with small
faces, short windows, few epochs and a learning rate that suits a random start; the row's command
says which. Nothing is chosen on the validation split: the last epoch counts. What a recipe reaches
there stands beside the constant that is best on the training split. Frames a second are those of
windows in training, of clips in inference, pictures decoded from their files in both.

Rows are kept in `table.json`; a recipe that has one is not trained again.
`abaw3-va-stage2` and the ensembles want other models' opinions: see `avaffect ensemble`.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from avaffect.datasets.split import own_split
from avaffect.files.atomic import write_json
from avaffect.metrics.arrays import score_arrays
from avaffect.networks.apply import apply_network
from avaffect.networks.checkpoint import load_checkpoint
from avaffect.progress import Notice
from avaffect.recipes.library import load_recipe
from avaffect.training.run import DataConfig, load_dataset, read_run, run, run_config
from avaffect.windows.reader import whole_clips

SIZE = 48
# Short windows: more steps in an epoch.
SEQUENCE = ("window.length=8", "train.batch_size=8")
SINGLE = ("train.batch_size=32", "train.augment={flip: 0.5}")
AU3 = (*SEQUENCE, "train.lr=0.3", "train.schedule=none", "train.epochs=6")
# What a CPU takes a minute or two for.
REDUCED: dict[str, tuple[str, ...]] = {
    "abaw2-two-stream": (
        *SEQUENCE,
        "window.overlap=0",
        "branches.spatial.encoder.net=resnet18",
        "train.lr=0.02",
        "train.epochs=4",
    ),
    # RegNetY from random weights learns nothing of this in so few steps.
    "abaw3-va-stage1": (
        *SEQUENCE,
        "branches.face.encoder.net=resnet18",
        "train.lr=1e-4",
        "train.clip_norm=1",
        "train.schedule=none",
        "train.epochs=8",
    ),
    "abaw3-au": AU3,
    "abaw3-au-only-t1": AU3,
    "abaw3-au-t1-as-target": AU3,
    "abaw3-au-weighted-loss": (
        *SEQUENCE,
        "train.lr=0.05",
        "train.schedule=none",
        "train.epochs=8",
    ),
    "abaw5-va": (
        *SINGLE,
        "branches.resnet.encoder.net=resnet18",
        "branches.regnet.encoder.net=mobilenet_v2",
        "branches.efficientnet.encoder.net=resnet18",
        "polarity.epochs=1",
        "train.clip_norm=1",
        "train.epochs=6",
    ),
    "abaw5-expr": (*SINGLE, "train.epochs=5"),
    "abaw5-expr-threshold": (*SINGLE, "train.epochs=5"),
    "abaw5-au": (
        *SEQUENCE,
        "branches.face.encoder.net=regnet_y_400mf",
        "train.lr=0.3",
        "train.momentum=0.9",
        "train.epochs=6",
    ),
}
METRICS = {"va": "mean CCC", "expr": "macro F1", "au": "mean F1"}
TITLES = (
    "recipe",
    "parameters",
    "trained on",
    "validation",
    "best constant",
    "frames/s training",
    "frames/s inference",
    "command",
)


def changes_of(name: str, full: bool) -> list[str]:
    changes = ["train.select=last", "train.patience=0"]
    if full:
        return changes
    chosen = load_recipe(name, REDUCED[name])
    for branch, config in chosen.roots.items():
        changes.append(f"branches.{branch}.encoder.size={SIZE}")
        if config.encoder.kind == "backbone":
            changes.append(f"branches.{branch}.encoder.checkpointing=false")
            changes.append(f"branches.{branch}.encoder.pretrained=false")
            # What is frozen at random teaches nothing.
            changes.append(f"branches.{branch}.encoder.frozen=[]")
    return [*REDUCED[name], *changes]


def make_data(folder: Path, videos: int, seconds: float) -> tuple[Path, Path]:
    """An artificial set and what `preprocess` makes of it, by the command line."""
    data, features = folder / "synth", folder / "prepared"
    avaffect = [sys.executable, "-m", "avaffect"]
    if not data.exists():
        size = ["--videos", str(videos), "--seconds", str(seconds)]
        subprocess.run([*avaffect, "data", "synth", str(data), *size], check=True)
    films = str(data / "videos")
    subprocess.run([*avaffect, "preprocess", films, "-r", "-o", str(features)], check=True)
    return data, features


def constant(task: str, train_clips, val_clips, targets) -> float:
    """What the constant that is best on the training clips scores on the validation clips."""
    if task == "va":
        return 0.0  # a constant has no covariance with anything
    labels = np.concatenate([clip.labels[task] for clip in train_clips if task in clip.labels])
    if task == "expr":
        said = np.bincount(labels[labels >= 0]).argmax()
    else:
        said = (labels == 1).any(axis=0).astype(np.int64)  # "never" has an F1 of 0
    pairs = []
    for clip in val_clips:
        if task in clip.labels:
            truth = clip.labels[task].astype(np.int64)
            pairs.append((np.broadcast_to(said, truth.shape), truth))
    return score_arrays(task, pairs, targets)[0]


def inference(folder: Path, clips, device: torch.device) -> float:
    """Frames a second."""
    checkpoint, network = load_checkpoint(folder)
    network.to(device)
    reader = whole_clips(clips, checkpoint.recipe, {})
    for _ in apply_network(network, reader, device, clips=[0]):  # warms up
        pass
    started = time.perf_counter()
    frames = sum(
        len(next(iter(opinion.values.values())))
        for opinion in apply_network(network, reader, device)
    )
    return frames / (time.perf_counter() - started)


def measure(name: str, data: DataConfig, out: Path, full: bool) -> dict[str, str]:
    """A row of the table."""
    config = run_config(name, data, changes=changes_of(name, full))
    (task,) = config.recipe.task_names
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    resume = (out / "run.json").is_file() and read_run(out).to_dict() == config.to_dict()

    def show(event):
        if isinstance(event, Notice):
            print(event.text, flush=True)

    def epoch_done(epoch):
        score, loss = epoch.scores.get(task, float("nan")), epoch.losses["loss"]
        print(f"  epoch {epoch.epoch}: {score:.3f}, loss {loss:.3f}, {epoch.seconds:.0f} s")

    result = run(
        config, out, resume=resume, overwrite=not resume, on_event=show, on_epoch=epoch_done
    )
    (trained,) = result.parts
    dataset = load_dataset(data, [task])
    labelled = tuple(clip for clip in dataset.clips if task in clip.labels)
    train_clips, val_clips, *_ = own_split(dataset, labelled, config.seed, own=False)
    # The first epoch warms up.
    epochs = trained.epochs[1:] or trained.epochs
    length = config.recipe.window.length
    speed = sum(one.windows for one in epochs) * length / sum(one.seconds for one in epochs)
    memory = f", peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB" if cuda else ""
    looking = inference(trained.folder, val_clips, torch.device("cuda" if cuda else "cpu"))
    _, network = load_checkpoint(trained.folder)
    count = sum(one.numel() for one in network.parameters())
    sizes = {one.encoder.size for one in config.recipe.roots.values()}
    known = [clip.valid(task).reshape(clip.frames, -1).any(axis=1) for clip in train_clips]
    frames = sum(int(one.sum()) for one in known)
    artificial = "generated faces, " if dataset.about.get("synthetic") else ""
    options = [f"--set {shlex.quote(one)}" for one in changes_of(name, full)]
    command = (
        f"avaffect train --data {shlex.quote(str(data.root))} "
        f"--features {shlex.quote(data.features)} --recipe {name} {' '.join(options)} -o {out}"
    )
    return {
        "recipe": name,
        "parameters": f"{count:,}",
        "trained on": f"{artificial}{len(train_clips)} clips, {frames:,} labelled faces of "
        f"{max(sizes)} px, {len(trained.epochs)} epochs",
        "validation": f"{METRICS[task]} {result.scores[task]:.3f}",
        "best constant": f"{constant(task, train_clips, val_clips, dataset.targets[task]):.3f}",
        "frames/s training": f"{speed:,.0f}{memory}",
        "frames/s inference": f"{looking:,.0f}",
        "command": f"`{command}`",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--recipe", action="append", choices=list(REDUCED))
    parser.add_argument("--full", action=argparse.BooleanOptionalAction)
    options = parser.parse_args()
    if (options.data is None) != (options.features is None):
        parser.error("give both of --data and --features, or neither")
    full = torch.cuda.is_available() if options.full is None else options.full
    path = options.out / "table.json"
    rows = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    missing = [name for name in options.recipe or REDUCED if name not in rows]
    if missing:
        root, features = options.data, options.features
        if root is None:
            root, features = make_data(options.out, options.videos, options.seconds)
        for name in missing:
            print(f"{name} ...", flush=True)
            data = DataConfig(str(features), root=str(root))
            rows[name] = measure(name, data, options.out / name, full)
            write_json(path, rows)
    print(f"| {' | '.join(TITLES)} |\n|{'---|' * len(TITLES)}")
    for name in REDUCED:
        if name in rows:
            print(f"| {' | '.join(rows[name][title] for title in TITLES)} |")


if __name__ == "__main__":
    main()
