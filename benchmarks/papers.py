"""What each recipe learns here with three seeds, how fast, and by which settings.

    python benchmarks/papers.py --out runs/papers [--recipe abaw5-va ...] [--seeds 3]
    python benchmarks/papers.py --out runs/papers --data synth --features prepared [--full]

Without `--data` and `--features` an ARTIFICIAL set of 72 videos is made and preprocessed first,
below `--out`; the hash of its labels is printed. Where there is a GPU the recipes are trained as
they are (`--full`), else reduced: five or so convolutions in place of each backbone, small faces,
short windows, and a learning rate that suits a random start. Nothing is chosen on the validation
split: the last epoch counts. What a recipe reaches there stands beside the constant that is best
on the training split, and beside a linear model of single frames on the same features: of
pictures, their grey values at 24 pixels. Frames a second are those of windows in training, of
clips in inference, pictures decoded in both.

Each run is kept in `table.json`; what is there is not trained again, and a run that was cut off
goes on.

Left out: `abaw1-paper-inputs` (wants the paper's own features), `abaw3-va-stage2` and the
ensembles (other models' opinions, `avaffect ensemble`), `speech-gru` and `table-gru` (real data,
`empathy.py` and `ravdess.py`), `face-expr` and `face-mtl` (pictures, docs/public_sets.md).
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from avaffect.datasets.split import own_split
from avaffect.files.atomic import write_json
from avaffect.metrics.arrays import score_arrays
from avaffect.networks.apply import apply_network
from avaffect.networks.backbones import BACKBONES, BackboneSpec
from avaffect.networks.checkpoint import load_checkpoint
from avaffect.progress import Notice
from avaffect.recipes.library import load_recipe
from avaffect.training.run import DataConfig, load_dataset, read_run, run, run_config
from avaffect.windows.reader import whole_clips

SIZE, WIDTH = 48, 80
# Short windows: more steps in an epoch.
SEQUENCE = ("window.length=8", "window.overlap=0", "train.batch_size=8")
SINGLE = ("train.batch_size=32", "train.augment={flip: 0.5}")
ABAW2 = (*SEQUENCE, "train.lr=0.005", "train.schedule_epochs=6", "train.epochs=8")
AU3 = (*SEQUENCE, "train.lr=0.3", "train.schedule=none", "train.epochs=8")
# The paper's 1e-4 is for a set a hundred times as large.
VECTORS = ("train.lr=1e-3", "train.epochs=15")
# What `preprocess` stores, in place of what is named: embeddings by encoders, nets trained before.
GATE = ("branches.face.features=[efficientnet-lite0]", "branches.speech.features=[audio]")
FOUR = (
    "branches.units.features=[efficientnet-lite0]",
    "branches.expression.features=[face_pose]",
    "branches.speech.features=[audio]",
    "branches.speaker.features=[audio]",
)
WINNERS = ("train.batch_size=8", "train.warmup=20", "train.epochs=15")
# What a CPU takes some minutes for.
REDUCED: dict[str, tuple[str, ...]] = {
    # Its phase differences take four times as long.
    "abaw2-two-stream": (
        *SEQUENCE,
        "train.lr=0.005",
        "train.schedule_epochs=4",
        "train.epochs=5",
    ),
    "abaw2-spatial": ABAW2,
    "abaw2-spatial-without-lds": ABAW2,
    "abaw3-va-stage1": (*SEQUENCE, "train.clip_norm=1", "train.schedule=none", "train.epochs=8"),
    "abaw3-au": AU3,
    "abaw3-au-only-t1": AU3,
    "abaw3-au-t1-as-target": AU3,
    "abaw3-au-weighted-loss": AU3,
    "abaw5-va": (*SINGLE, "train.lr=1e-3", "polarity.epochs=2", "train.epochs=8"),
    "abaw5-expr": (*SINGLE, "train.epochs=8"),
    "abaw5-expr-threshold": (*SINGLE, "train.epochs=8"),
    "abaw5-au": (*SEQUENCE, "train.lr=0.3", "train.momentum=0.9", "train.epochs=8"),
    "abaw1-av-gru": VECTORS,
    "abaw1-av-bilstm": VECTORS,
    "mtl-av-gru": ("train.epochs=15",),
    "abaw10-expr-gate-fold": (*GATE, *WINNERS),
    "va-multifeature-bigru": (*FOUR, "window.length=32", "window.overlap=16", *WINNERS),
    "va-multifeature-transformer": (*FOUR, "window.length=32", "window.overlap=16", *WINNERS),
    "au-av-transformer": (*GATE, "window.length=32", "window.overlap=16", *WINNERS),
}
METRICS = {"va": "mean CCC", "expr": "macro F1", "au": "mean F1"}
TITLES = (
    "recipe",
    "parameters",
    "validation: mean, spread",
    "linear model",
    "best constant",
    "frames/s training",
    "frames/s inference",
    "reduced by",
)


class SmallNet(nn.Module):
    """Convolutions in as many stages as the net ``name``, whose place they take."""

    def __init__(self, width: int, stages: int, name: str) -> None:
        super().__init__()
        widths = (3, 16, 32, *[width] * (stages - 2))
        self.parts = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(widths[i], widths[i + 1], 3, stride=2 if i < 4 else 1, padding=1),
                nn.BatchNorm2d(widths[i + 1]),
                nn.ReLU(),
            )
            for i in range(stages)
        )
        self.classifier = nn.Identity()


def small(spec: BackboneSpec, width: int) -> BackboneSpec:
    """A backbone under its own name and with its own stages, but small."""
    return replace(
        spec,
        width=width,
        build=partial(SmallNet, width, len(spec.stages)),
        cut=lambda net: list(net.parts),
        classifier="classifier",
    )


def make_backbones_small() -> None:
    for name, spec in BACKBONES.items():
        BACKBONES[name] = small(spec, WIDTH)


def changes_of(name: str, full: bool) -> list[str]:
    changes = ["train.select=last", "train.patience=0"]
    if full:
        return changes
    chosen = load_recipe(name, REDUCED[name])
    for branch, config in chosen.roots.items():
        if config.encoder is None:
            continue
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


def labels_hash(root: Path) -> str:
    """Of all annotations: the set's name, the same on every machine."""
    digest = hashlib.sha256()
    for path in sorted((root / "annotations").glob("**/*.txt")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:12]


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


def frames_of(clip, arrays) -> np.ndarray:
    """float32 [N, D]: what a linear model gets of each frame."""
    columns = []
    for name in arrays:
        values = clip.features.array(name)
        if values.ndim == 4:  # pictures
            grey = values.mean(axis=3).astype(np.uint8)
            small = [cv2.resize(each, (24, 24), interpolation=cv2.INTER_AREA) for each in grey]
            values = np.array(small, np.float32)
        columns.append(np.nan_to_num(values.reshape(len(values), -1).astype(np.float32)))
    return np.concatenate(columns, axis=1)


def linear(task: str, arrays, train_clips, val_clips, targets) -> float:
    """What a linear model of single frames scores: ridge, or logistic regression."""

    def rows(clips):
        for clip in clips:
            if task in clip.labels:
                known = clip.valid(task).reshape(clip.frames, -1).all(axis=1)
                yield frames_of(clip, arrays), clip.labels[task], known

    kept = [(x[known], y[known]) for x, y, known in rows(train_clips)]
    x, y = (np.concatenate(part) for part in zip(*kept, strict=True))
    base = Ridge(100.0) if task == "va" else LogisticRegression(C=1e-3, max_iter=300)
    if task == "au":
        # A unit that is never there has nothing to be learnt: it is said to be never there.
        told = [unit for unit in range(y.shape[1]) if len(np.unique(y[:, unit])) > 1]
        base, y = MultiOutputClassifier(base), y[:, told]
    model = make_pipeline(StandardScaler(), base).fit(x, y)

    def said(values: np.ndarray) -> np.ndarray:
        if task != "au":
            return model.predict(values)
        units = np.zeros((len(values), len(targets)), np.int64)
        units[:, told] = model.predict(values)
        return units

    pairs = [(said(values), truth) for values, truth, _ in rows(val_clips)]
    if task == "va":
        pairs = [(np.clip(said, -1, 1).astype(np.float32), truth) for said, truth in pairs]
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


def measure(name: str, seed: int, data: DataConfig, out: Path, full: bool) -> dict[str, Any]:
    """What one run reached, and the figures beside it."""
    config = run_config(name, data, changes=changes_of(name, full), seed=seed)
    tasks = config.recipe.task_names
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.reset_peak_memory_stats()
    resume = (out / "run.json").is_file() and read_run(out).to_dict() == config.to_dict()

    def show(event):
        if isinstance(event, Notice):
            print(event.text, flush=True)

    def epoch_done(epoch):
        scores = ", ".join(f"{task} {score:.3f}" for task, score in epoch.scores.items())
        loss = epoch.losses["loss"]
        print(
            f"  epoch {epoch.epoch}: {scores}, loss {loss:.3f}, {epoch.seconds:.0f} s", flush=True
        )

    result = run(
        config, out, resume=resume, overwrite=not resume, on_event=show, on_epoch=epoch_done
    )
    (trained,) = result.parts
    dataset = load_dataset(data, list(tasks))
    labelled = tuple(clip for clip in dataset.clips if set(tasks) & set(clip.labels))
    train_clips, val_clips, *_ = own_split(dataset, labelled, config.seed, own=False)
    # The first epoch warms up.
    epochs = trained.epochs[1:] or trained.epochs
    length = config.recipe.window.length
    speed = sum(one.windows for one in epochs) * length / sum(one.seconds for one in epochs)
    _, network = load_checkpoint(trained.folder)
    return {
        "parameters": sum(one.numel() for one in network.parameters()),
        "scores": {task: result.scores[task] for task in tasks},
        "constants": {
            task: constant(task, train_clips, val_clips, dataset.targets[task]) for task in tasks
        },
        "clips": [len(train_clips), len(val_clips)],
        "training": speed,
        "inference": inference(trained.folder, val_clips, torch.device("cuda" if cuda else "cpu")),
        "gib": torch.cuda.max_memory_allocated() / 2**30 if cuda else None,
    }


def linear_scores(name: str, data: DataConfig, full: bool) -> dict[str, float]:
    """By task, what the linear model reaches on the features of a recipe."""
    recipe = run_config(name, data, changes=changes_of(name, full)).recipe
    arrays = sorted({array for branch in recipe.roots.values() for array in branch.features})
    dataset = load_dataset(data, list(recipe.task_names))
    train_clips, val_clips, *_ = own_split(dataset, tuple(dataset.clips), 0, own=False)
    return {
        task: linear(task, arrays, train_clips, val_clips, dataset.targets[task])
        for task in recipe.task_names
    }


def row(name: str, runs: list[dict[str, Any]], linears: dict[str, float], full: bool) -> list[str]:
    """A line of the table."""
    reached, beside, least = [], [], []
    for task in runs[0]["scores"]:
        scores = [one["scores"][task] for one in runs]
        spread = f" ± {np.std(scores, ddof=1):.3f}" if len(scores) > 1 else ""
        reached.append(f"{METRICS[task]} {np.mean(scores):.3f}{spread}")
        beside.append(f"{linears[task]:.3f}")
        least.append(f"{runs[0]['constants'][task]:.3f}")
    changes = ", ".join(f"`{one}`" for one in (() if full else REDUCED[name]))
    gib = runs[0]["gib"]
    memory = f", peak {gib:.1f} GiB" if gib else ""
    return [
        f"`{name}`",
        f"{runs[0]['parameters']:,}",
        "; ".join(reached),
        "; ".join(beside),
        "; ".join(least),
        f"{np.median([one['training'] for one in runs]):,.0f}{memory}",
        f"{np.median([one['inference'] for one in runs]):,.0f}",
        changes,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--videos", type=int, default=72)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--recipe", action="append", choices=list(REDUCED))
    parser.add_argument("--full", action=argparse.BooleanOptionalAction)
    options = parser.parse_args()
    if (options.data is None) != (options.features is None):
        parser.error("give both of --data and --features, or neither")
    full = torch.cuda.is_available() if options.full is None else options.full
    if not full:
        make_backbones_small()
    root, features = options.data, options.features
    if root is None:
        root, features = make_data(options.out, options.videos, options.seconds)
    path = options.out / "table.json"
    kept = json.loads(path.read_text("utf-8")) if path.is_file() else {"runs": {}, "linear": {}}
    data = DataConfig(str(features), root=str(root))
    names = options.recipe or list(REDUCED)
    # Seed by seed: whoever stops early has one of each.
    for seed in range(options.seeds):
        for name in names:
            if f"{name}/{seed}" not in kept["runs"]:
                print(f"{name}, seed {seed} ...", flush=True)
                folder = options.out / f"{name}-{seed}"
                kept["runs"][f"{name}/{seed}"] = measure(name, seed, data, folder, full)
                write_json(path, kept)
            if name not in kept["linear"]:
                kept["linear"][name] = linear_scores(name, data, full)
                write_json(path, kept)
    clips = kept["runs"][f"{names[0]}/0"]["clips"]
    print(f"labels {labels_hash(root)}: {clips[0]} clips to train on, {clips[1]} to validate on")
    print(f"| {' | '.join(TITLES)} |\n|{'---|' * len(TITLES)}")
    for name in names:
        runs = [kept["runs"][f"{name}/{seed}"] for seed in range(options.seeds)]
        print(f"| {' | '.join(row(name, runs, kept['linear'][name], full))} |")


if __name__ == "__main__":
    main()
