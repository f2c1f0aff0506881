"""Emotions of unseen actors from sound, action units and both, beside linear models.

    avaffect preprocess DIR -r -o voices/ --sound-rate 50 --no-voice
    python benchmarks/ravdess.py DIR --units au_mfcc.npz --voices voices/ --out runs/

DIR is RAVDESS' speech (manifest.csv with fold5, by actor, and the key of the units); au_mfcc.npz
holds 35 values of OpenFace a take, averaged over its video: every row of a take is given the same
ones. Small nets read tables of ten rows a second; with `--full` there are also `speech-gru` on the
50 rows a second of `voices/`, and two branches joined or late, the units put into the store as
`avaffect features --from` does: hours. All are what `avaffect train --folds given` trains. Nothing
is chosen on takes that are scored: settings were fixed before, and the last epoch counts. A run
that was interrupted goes on; what is not trained yet is left out of the tables, which `--tables`
prints at any time.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import paired
import yaml
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from avaffect.datasets.clip import Clip
from avaffect.datasets.folds import Folds, make_folds
from avaffect.datasets.own_arrays import OwnFeatures, store_own
from avaffect.metrics import scores
from avaffect.metrics.by_video import clip_tally
from avaffect.metrics.tallies import confusion_of
from avaffect.tasks.registry import TASKS
from avaffect.training.run import DataConfig, RunConfig, load_dataset, run, run_config

ARRAY = "openface-units"
SOUND, UNITS = 168, 35  # columns: of the stored sound MFCC and mel, of X the units
EVERY = 5  # rows of the store become one of the tables, their mean
# Not the recipe's default, but fixed before anything was scored.
EPOCHS = 20


@dataclass(frozen=True)
class Net:
    """A network that is trained.

    Attributes:
        recipe: what is in its file.
        features: which columns of the tables it reads; empty if it reads the store.
    """

    recipe: dict[str, object]
    features: str = ""


def small(*layers: dict[str, object], pool: str) -> dict[str, object]:
    """A recipe for takes of at most 5.6 seconds in tables of ten rows a second."""
    return {
        "branches": {"table": {"features": ["table"], "layers": list(layers)}},
        "head": {"pool": pool, "out_dropout": 0.3},
        "tasks": {"expr": {"terms": {"cross_entropy": 1}, "balance": "inverse", "smoothing": 0.1}},
        "window": {"length": 56},
        "train": {
            "epochs": EPOCHS,
            "batch_size": 32,
            "optimiser": "adamw",
            "lr": 3e-3,
            "weight_decay": 0.05,
            "schedule": "cosine",
            "clip_norm": 5,
            "select": "last",
            "augment": {"noise": 0.1, "column_dropout": 0.1},
        },
    }


_DENSE = {"kind": "mlp", "units": [64], "activation": "relu", "dropout": 0.3}
_OVER_TIME = {"kind": "bigru", "units": [32], "dropout": 0.2}
_BRANCH = {"modality": "video", "features": [ARRAY], "layers": [_DENSE]}
NETS = {
    "sound": Net(small(_DENSE, _OVER_TIME, pool="attentive_statistics"), "sound.*"),
    "units": Net(small(_DENSE, pool="mean"), "units.*"),
    "both": Net(small(_DENSE, _OVER_TIME, pool="attentive_statistics"), "sound.*,units.*"),
}
FULL = {
    "speech-gru": Net({"extends": "speech-gru"}),
    "speech-gru and units, joined": Net(
        {"extends": "speech-gru", "change": {"branches.units": _BRANCH}}
    ),
    "speech-gru and units, late": Net(
        {"extends": "speech-gru", "change": {"branches.units": _BRANCH, "fusion.kind": "late"}}
    ),
}
LATE = "both, probabilities averaged"
Probabilities = dict[str, NDArray[np.float64]]


def read(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def units_of(npz: Path, manifest: Path) -> dict[str, NDArray[np.float32]]:
    """By take, its action units."""
    with np.load(npz, allow_pickle=False) as found:
        by_key = dict(zip(found["names"].tolist(), found["X"][:, :UNITS], strict=True))
    return {
        Path(row["path"]).stem: by_key[row["av_key"]].astype(np.float32) for row in read(manifest)
    }


def sound_of(voices: Path, take: str) -> NDArray[np.float32]:
    """float32 [N, SOUND], what `preprocess` stored."""
    path = next((voices / take / "features" / take).glob("audio-*.npy"))
    return np.asarray(np.load(path, allow_pickle=False)[:, :SOUND], np.float32)


def thinned(rows: NDArray[np.float32], every: int = EVERY) -> NDArray[np.float32]:
    """The mean of each so many rows; the last ones may be fewer."""
    starts = np.arange(0, len(rows), every)
    counts = np.diff([*starts, len(rows)])
    return (np.add.reduceat(rows, starts, axis=0) / counts[:, None]).astype(np.float32)


def write(path: Path, **arrays: NDArray[np.float32]) -> None:
    """An npz file, or a npy file of one array called ``rows``; a whole one or none."""
    new = path.with_suffix(".part")
    with new.open("wb") as sink:
        if path.suffix == ".npz":
            np.savez(sink, **arrays)  # type: ignore[arg-type]
        else:
            np.save(sink, arrays["rows"])
    new.replace(path)


def write_tables(units: dict[str, NDArray[np.float32]], voices: Path, out: Path) -> None:
    """A table a take: its sound, and its units beside it."""
    out.mkdir(parents=True, exist_ok=True)
    for take, values in units.items():
        if not (target := out / f"{take}.npz").is_file():
            sound = thinned(sound_of(voices, take))
            write(target, sound=sound, units=np.tile(values, (len(sound), 1)))


def store_units(units: dict[str, NDArray[np.float32]], voices: Path, out: Path) -> None:
    """Put each take's units into its stored features."""
    out.mkdir(parents=True, exist_ok=True)
    for take, values in units.items():
        if not (target := out / f"{take}.npy").is_file():
            write(target, rows=np.tile(values, (len(sound_of(voices, take)), 1)))
    own = OwnFeatures.find(out)
    for take in units:
        store_own(voices / take, own, ARRAY)


def vectors(clip: Clip) -> dict[str, NDArray[np.float64]]:
    """What linear models read of a take: mean and deviation of MFCC and mel, and the units."""
    table = np.asarray(clip.features.array("table"), np.float64)
    sound = table[:, :SOUND]
    return {
        "sound": np.concatenate([sound.mean(axis=0), sound.std(axis=0)]),
        "units": table[0, SOUND:],
    }


def linear(folds: Folds, clips: Sequence[Clip], of: Sequence[str], classes: int) -> Probabilities:
    """Logistic regression of the values named, by take the probabilities of its fold's model."""
    rows = {clip.name: np.concatenate([vectors(clip)[name] for name in of]) for clip in clips}
    found: Probabilities = {}
    for number in folds.numbers:
        learned, held = folds.split(clips, number)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))
        model.fit([rows[clip.name] for clip in learned], [label(clip) for clip in learned])
        said = np.zeros((len(held), classes))
        said[:, model[-1].classes_] = model.predict_proba([rows[clip.name] for clip in held])
        found |= {clip.name: row for clip, row in zip(held, said, strict=True)}
    return found


def label(clip: Clip) -> int:
    return int(clip.labels["expr"][0])


def predicted(folder: Path, names: Sequence[str], folds: Folds) -> Probabilities:
    """By take the probabilities of a run; nothing if a fold is missing."""
    found: Probabilities = {}
    for number in folds.numbers:
        table = folder / f"fold-{number}" / "validation" / "clips.csv"
        if not table.is_file():
            return {}
        for row in read(table):
            found[row["clip"]] = np.array([float(row[name]) for name in names])
    return found


def mean(some: Sequence[Probabilities]) -> Probabilities:
    """The mean of methods' probabilities."""
    return {name: np.mean([each[name] for each in some], axis=0) for name in some[0]}


def sums(said: Probabilities, clips: Sequence[Clip], classes: Sequence[str]) -> list[paired.Sums]:
    """The confusion of each take."""
    return [
        clip_tally(
            "expr", (said[clip.name].argmax(keepdims=True), clip.labels["expr"][:1]), classes
        )
        for clip in clips
    ]


def accuracy(sums: paired.Sums) -> float:
    return scores.accuracy(confusion_of(sums, "expr"))


def macro_f1(sums: paired.Sums) -> float:
    return scores.macro_f1(confusion_of(sums, "expr"))


class Data:
    """The takes with their features, and the folds by actor."""

    def __init__(self, folder: Path, units: Path, voices: Path, out: Path, full: bool) -> None:
        self.manifest, self.voices, self.out = folder / "manifest.csv", voices, out
        self.nets = NETS | (FULL if full else {})
        values = units_of(units, self.manifest)
        write_tables(values, voices, out / "tables")
        if full:
            store_units(values, voices, out / "units")
        dataset = load_dataset(self.config("both", 0).data, ("expr",))
        self.clips, self.classes = dataset.clips, dataset.targets["expr"]
        self.folds = make_folds(self.clips, None, by="fold")

    def config(self, name: str, seed: int) -> RunConfig:
        net = self.nets[name]
        recipe = self.out / f"{name.replace(' ', '-').replace(',', '')}.yaml"
        recipe.write_text(yaml.safe_dump(net.recipe), encoding="utf-8")
        columns = ["clip=path", "expression=label", "group=subject", "fold=fold5"]
        features = self.out / "tables" if net.features else self.voices
        if net.features:
            columns.append(f"features={net.features}")
        data = DataConfig(str(features), labels=str(self.manifest), columns=tuple(columns))
        return run_config(str(recipe), data, folds="given", seed=seed)

    def run_of(self, name: str, seed: int) -> Path:
        return self.out / f"{name.replace(' ', '-').replace(',', '')}-seed-{seed}"

    def train(self, nets: Sequence[str], seeds: int, say: Callable[[str], None]) -> None:
        for seed in range(seeds):
            for name in nets:
                out = self.run_of(name, seed)
                say(out.name)
                run(self.config(name, seed), out, resume=True, export=False)

    def said(self, seeds: int) -> dict[str, paired.Said]:
        """By method, the confusions of all takes."""

        def of(some: Sequence[Probabilities]) -> paired.Said:
            return paired.Said.of([sums(each, self.clips, self.classes) for each in some])

        columns = [TASKS["expr"].value_column(name) for name in self.classes]
        parts = {"sound": ["sound"], "units": ["units"], "both": ["sound", "units"]}
        every = {
            f"linear: {name}": [linear(self.folds, self.clips, part, len(self.classes))]
            for name, part in parts.items()
        }
        for name in self.nets:
            runs = [
                predicted(self.run_of(name, seed), columns, self.folds) for seed in range(seeds)
            ]
            every[f"net: {name}"] = [some for some in runs if some]
        for kind in ("linear", "net"):
            pairs = zip(every[f"{kind}: sound"], every[f"{kind}: units"], strict=False)
            every[f"{kind}: {LATE}"] = [mean(pair) for pair in pairs]
        return {name: of(runs) for name, runs in every.items() if runs}

    @property
    def people(self) -> list[str]:
        return [clip.group for clip in self.clips]


def contrasts(said: dict[str, paired.Said], people: Sequence[str]) -> list[tuple[str, str]]:
    """What is compared: fusion with the better single modality, each net with its linear model."""

    def better(kind: str) -> str:
        alone = [name for name in (f"{kind}: sound", f"{kind}: units") if name in said]
        return max(alone, key=lambda name: paired.estimate(said[name], people, accuracy).value)

    kinds = [kind for kind in ("linear", "net") if f"{kind}: {LATE}" in said]
    found = [
        (name, better(kind)) for kind in kinds for name in said if name.startswith(f"{kind}: both")
    ]
    full = ("net: speech-gru and units, joined", "net: speech-gru and units, late")
    found += [(name, "net: speech-gru") for name in full if name in said]
    nets = [name for name in said if name.startswith("net: ")]
    others = {name: name.replace("net: speech-gru", "net: sound") for name in nets}
    linears = {name: other.replace("net", "linear", 1) for name, other in others.items()}
    return found + [(name, other) for name, other in linears.items() if other in said]


def tables(data: Data, seeds: int) -> str:
    """All tables, in Markdown."""
    said, people = data.said(seeds), data.people
    rows = {}
    for name, some in said.items():
        right, f1 = (paired.estimate(some, people, score) for score in (accuracy, macro_f1))
        takes = " to ".join(paired.shown(end) for end in right.clips)
        rows[name] = [str(some.sums.shape[1]), right.text(), takes, f1.text()]
    heads = [
        "model",
        "seeds",
        "accuracy [95 %, actors drawn]",
        "95 %, takes drawn",
        "macro F1 [95 %, actors drawn]",
    ]
    found = paired.table(heads, rows)
    rows = {
        f"{one} - {other}": [
            paired.difference(said[one], said[other], people, score).text(signed=True)
            for score in (accuracy, macro_f1)
        ]
        for one, other in contrasts(said, people)
    }
    heads = ["difference", "accuracy [95 %, actors drawn]", "macro F1 [95 %, actors drawn]"]
    return f"{found}\n\n{paired.table(heads, rows)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--units", type=Path, required=True)
    parser.add_argument("--voices", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--full", action="store_true", help="speech-gru too, for hours")
    parser.add_argument("--net", action="append", help="train this one alone")
    parser.add_argument("--tables", action="store_true", help="print what there is, train nothing")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    data = Data(options.folder, options.units, options.voices, options.out, options.full)
    if not options.tables:
        nets = options.net or [*data.nets]
        data.train(nets, options.seeds, lambda text: print(text, flush=True))
    print(tables(data, options.seeds))


if __name__ == "__main__":
    main()
