"""Valence of listeners whose stories were never heard in training, beside linear models.

    python benchmarks/empathy.py DIR --out runs/

DIR is OMG-Empathy's folder (features_train/, manifest.csv): 10 listeners, 5 stories, 50 clips.
Trained is what `avaffect train --folds 5x5` trains, recipe `table-gru`: 25 folds of two listeners
with one story, each without any clip of these listeners or of that story; beside it `--folds 5`,
where listeners are new and stories are not. Every tenth row is used (2.5 a second). Nothing is
chosen on clips that are scored: settings were fixed before, the last epoch counts, and the width
of a smoothing window is chosen by a linear model within the training clips. A run that was
interrupted goes on; what is not trained yet is left out of the tables, which `--tables` prints at
any time.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import paired
import pyarrow.parquet as parquet
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from avaffect.datasets.clip import Clip
from avaffect.datasets.folds import Folds, counts, make_folds
from avaffect.metrics.by_video import clip_tally, score_of
from avaffect.metrics.scores import ccc
from avaffect.predictions.smooth import smooth
from avaffect.training.run import DataConfig, RunConfig, load_dataset, run, run_config

FEATURES = "polarity,image_valence,emo_watson,opensmile_valence,opensmile_arousal"
EVERY, RATE = 10, 2.5  # of 25 rows a second
LENGTHS = (1, 10, 30, 100)  # rows that the net looks at: one, 4 s, 12 s, 40 s
WIDTHS = (0.0, 4.0, 12.0, 40.0)  # seconds; 0 is no smoothing
CHOSEN = "chosen"
BATCH = 800  # rows: 320 s, as the recipe's 32 windows of 10 s
NEW, KNOWN = "new stories", "known stories"
PARTS = {NEW: "5x5", KNOWN: "5"}
INNER = {NEW: (4, 4), KNOWN: 4}
RIDGE, SCALED = "ridge", "ridge, scaled"

Values = NDArray[np.float64]
# By the width of the window, or CHOSEN, what is said of each clip, by name.
Smoothed = dict[float | str, dict[str, Values]]
Frames = dict[float, dict[str, Values]]
Key = tuple[str, str, float | str]  # part, method, smoothing


def thin(folder: Path, out: Path, every: int = EVERY) -> None:
    """Write every so many rows of each table of ``folder`` into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted(folder.glob("*.csv")):
        target = out / path.name
        if target.is_file():
            continue
        with path.open(newline="", encoding="utf-8") as source:
            head, *rows = csv.reader(source)
        new = target.with_suffix(".part")
        with new.open("w", newline="", encoding="utf-8") as sink:
            csv.writer(sink).writerows([head, *rows[::every]])
        new.replace(target)


def config(tables: Path, clips: Path, length: int, folds: str, seed: int) -> RunConfig:
    """The run of windows of ``length`` rows; those of training do not overlap, so that an epoch
    shows as much for each length. Where the length is 1 a dense layer stands for the GRU."""
    stimulus = ["stimulus=story"] if "x" in folds else []
    columns = ("clip=path", "group=subject", "time=seconds", "valence=valence", *stimulus)
    data = DataConfig(
        str(tables),
        labels=str(tables),
        clips=str(clips),
        columns=(*columns, f"features={FEATURES}"),
    )
    rows = max(length, LENGTHS[1])
    changes = [
        "train.select=last",
        "train.patience=0",
        f"train.batch_size={BATCH // rows}",
        f"window.length={rows}",
        "window.overlap=0",
        f"window.predict_overlap={rows // 2}",
    ]
    if length == 1:
        changes.append("branches.table.layers.1={kind: mlp, units: [64], dropout: 0.3}")
    return run_config("table-gru", data, changes=changes, folds=folds, seed=seed)


def smoothed(values: Values, width: float) -> Values:
    """What `--smooth box:WIDTH` makes of values [N] or [N, K] at RATE."""
    if not width:
        return values
    columns, times = values.reshape(len(values), -1), np.arange(len(values)) / RATE
    return smooth(columns, times, "box", width).astype(np.float64).reshape(values.shape)


class Linear:
    """Ridge regression of single frames, smoothed or not.

    A ridge that knows little says nearly the same always, which CCC punishes and a net trained
    for CCC does not do. So there is a scaled one too: what it says is stretched about its mean,
    after smoothing, until it varies as much over the training clips as their labels do.

    Args:
        frames: by width and clip, smoothed features. A box over features and one over what a
            linear model says of them are the same.
        learned: clips to learn from.
    """

    def __init__(self, frames: Frames, learned: Sequence[Clip]) -> None:
        self._frames = frames
        y = np.concatenate([valence(clip) for clip in learned])
        self._model = make_pipeline(StandardScaler(), Ridge(1.0))
        self._model.fit(np.concatenate([frames[0.0][clip.name] for clip in learned]), y)
        self._mean = float(y.mean())
        self._stretch = {
            width: float(y.std())
            / float(self._model.predict(np.concatenate([of[c.name] for c in learned])).std())
            for width, of in frames.items()
        }

    def __call__(self, clip: Clip, width: float, scaled: bool) -> Values:
        said: Values = self._model.predict(self._frames[width][clip.name])
        if not scaled:
            return said
        return np.clip((said - self._mean) * self._stretch[width] + self._mean, -1, 1)


def frames_of(clips: Iterable[Clip]) -> Frames:
    return {
        width: {clip.name: smoothed(features(clip), width) for clip in clips} for width in WIDTHS
    }


def features(clip: Clip) -> Values:
    return np.nan_to_num(np.asarray(clip.features.array("table"), np.float64), nan=0.0)


def valence(clip: Clip) -> Values:
    return np.asarray(clip.labels["va"][:, 0], np.float64)


def linear(
    folds: Folds, clips: Sequence[Clip], inner: int | tuple[int, int]
) -> tuple[dict[str, Smoothed], dict[str, float]]:
    """What ridge regression says of each clip, by the model of its fold, plain and scaled; and by
    clip the width with which the scaled one did best on the ``inner`` folds of its training clips.
    """
    frames, truth = frames_of(clips), {clip.name: valence(clip) for clip in clips}
    found: dict[str, Smoothed] = {
        name: {width: {} for width in WIDTHS} for name in (RIDGE, SCALED)
    }
    widths: dict[str, float] = {}
    for number in folds.numbers:
        learned, held = folds.split(clips, number)
        parts = make_folds(learned, inner)
        scores = dict.fromkeys(WIDTHS, 0.0)
        for part in parts.numbers:
            some, others = parts.split(learned, part)
            model = Linear(frames, some)
            for width in WIDTHS:
                scores[width] += sum(
                    ccc(model(clip, width, True), truth[clip.name]) for clip in others
                )
        model = Linear(frames, learned)
        for clip in held:
            widths[clip.name] = max(WIDTHS, key=lambda width: scores[width])
            for width in WIDTHS:
                found[RIDGE][width][clip.name] = model(clip, width, False)
                found[SCALED][width][clip.name] = model(clip, width, True)
    return found, widths


def predicted(folder: Path) -> dict[str, Values]:
    """What a run says of its validation clips, by name."""
    found = {}
    for path in sorted(folder.glob("validation/tables/*.parquet")):
        column = parquet.read_table(path, columns=["valence"])["valence"]
        found[path.stem] = np.asarray(column.to_numpy(), np.float64)
    return found


def network(run_of: Path, folds: Folds) -> Smoothed:
    """What a run says of each clip; nothing if a fold is missing."""
    said: dict[str, Values] = {}
    for number in folds.numbers:
        mine = predicted(run_of / f"fold-{number}")
        if mine.keys() != folds.held(number):
            return {}
        said |= mine
    return {
        width: {name: smoothed(values, width) for name, values in said.items()} for width in WIDTHS
    }


def choose(said: Smoothed, widths: Mapping[str, float]) -> Smoothed:
    """With what was said at the width that is each clip's."""
    return {**said, CHOSEN: {name: said[width][name] for name, width in widths.items()}}


def sums(said: Mapping[str, Values], truth: Mapping[str, Values]) -> list[paired.Sums]:
    """Of each clip its CCC, 1, and the sums of all its frames."""
    return [
        np.concatenate([
            [ccc(said[name], values), 1.0],
            clip_tally("va", (said[name][:, None], values[:, None]), ("valence",)),
        ])
        for name, values in truth.items()
    ]  # fmt: skip


def by_clip(sums: paired.Sums) -> float:
    """The mean over clips of their CCC."""
    return float(sums[0] / sums[1])


def together(sums: paired.Sums) -> float:
    """The CCC of all frames of all clips together."""
    return score_of(sums[2:], "va", ("valence",))


def name_of(length: int) -> str:
    return "1 frame" if length == 1 else f"{length / RATE:g} s"


class Data:
    """The thinned tables, their clips, and the folds of a part."""

    def __init__(self, folder: Path, out: Path) -> None:
        self.out, self.tables, self.clips_csv = out, out / "tables", folder / "manifest.csv"
        thin(folder / "features_train", self.tables)
        self.parts: dict[str, tuple[tuple[Clip, ...], Folds]] = {}
        self.widths: dict[str, dict[str, float]] = {}  # by part and clip, the one that was chosen
        for part, folds in PARTS.items():
            wanted = self.config(LENGTHS[0], part, 0)
            clips = load_dataset(wanted.data, ("va",)).clips
            made = make_folds(clips, counts(folds))
            self.parts[part] = (clips, made)
            made.save(out / f"{folds}.json")

    def config(self, length: int, part: str, seed: int) -> RunConfig:
        """A run; whatever the seed, the folds are the same."""
        made = config(self.tables, self.clips_csv, length, PARTS[part], seed)
        return replace(made, folds=str(self.out / f"{PARTS[part]}.json"))

    def run_of(self, length: int, part: str, seed: int) -> Path:
        return self.out / part.replace(" ", "-") / f"{length}-rows-seed-{seed}"

    def train(
        self, parts: Sequence[str], lengths: Sequence[int], seeds: int, say: Callable[[str], None]
    ) -> None:
        for seed in range(seeds):
            for part in parts:
                for length in lengths:
                    out = self.run_of(length, part, seed)
                    say(f"{out.relative_to(self.out)}")
                    run(self.config(length, part, seed), out, resume=True, export=False)

    def said(self, part: str, seeds: int) -> dict[tuple[str, float | str], paired.Said]:
        """By method and smoothing, what was said of all clips."""
        clips, folds = self.parts[part]
        truth = {clip.name: valence(clip) for clip in clips}
        found = {}
        ridges, widths = linear(folds, clips, INNER[part])
        self.widths[part] = widths
        for name, said in ridges.items():
            for width, values in choose(said, widths).items():
                found[name, width] = paired.Said.of([sums(values, truth)])
        for length in LENGTHS:
            runs = [network(self.run_of(length, part, seed), folds) for seed in range(seeds)]
            done = [choose(some, widths) for some in runs if some]
            for width in (*WIDTHS, CHOSEN) if done else ():
                found[name_of(length), width] = paired.Said.of(
                    [sums(some[width], truth) for some in done]
                )
        return found

    @property
    def people(self) -> list[str]:
        """The listener of each clip; in all parts the clips are the same, in one order."""
        return [clip.group for clip in self.parts[NEW][0]]


def contrasts(methods: Sequence[str]) -> list[tuple[str, Key, Key]]:
    """What is compared: a name, and twice part, method and smoothing."""
    nets = [name for name in map(name_of, LENGTHS) if name in methods]
    found = [
        (f"{name} - {SCALED}, {words}", (NEW, name, key), (NEW, SCALED, key))
        for key, words in ((0.0, "not smoothed"), (CHOSEN, "smoothed as chosen"))
        for name in nets
    ]
    first = name_of(LENGTHS[0])
    found += [
        (f"length: {name} - {first}", (NEW, name, 0.0), (NEW, first, 0.0))
        for name in nets
        if name != first and first in nets
    ]
    found += [
        (f"smoothing: {name}, as chosen - not", (NEW, name, CHOSEN), (NEW, name, 0.0))
        for name in (SCALED, *nets)
    ]
    return found + [
        (f"{KNOWN} - {NEW}: {name}", (KNOWN, name, 0.0), (NEW, name, 0.0))
        for name in (RIDGE, SCALED, *nets)
    ]


def tables(data: Data, seeds: int) -> str:
    """All tables, in Markdown."""
    said = {(part, *key): some for part in PARTS for key, some in data.said(part, seeds).items()}
    people = data.people
    lines = []
    for part in PARTS:
        methods = list(dict.fromkeys(method for where, method, _ in said if where == part))
        rows = {
            method: [
                str(said[part, method, 0.0].sums.shape[1]),
                *(
                    paired.estimate(said[part, method, key], people, by_clip).text()
                    for key in (*WIDTHS, CHOSEN)
                ),
            ]
            for method in methods
        }
        heads = [
            "model",
            "seeds",
            "not smoothed",
            *(f"{width:g} s" for width in WIDTHS[1:]),
            CHOSEN,
        ]
        lines += [f"\n{part}: mean over clips of CCC [95 %, listeners drawn]\n"]
        lines += [paired.table(heads, rows)]
        rows = {}
        for method in methods:
            plain = said[part, method, 0.0]
            each, whole = (paired.estimate(plain, people, score) for score in (by_clip, together))
            clips = " to ".join(paired.shown(end) for end in each.clips)
            rows[method] = [clips, paired.shown(each.spread), whole.text()]
        heads = ["not smoothed", "95 %, clips drawn", "sd of seeds", "CCC of all frames together"]
        lines += ["", paired.table(heads, rows), "", "Chosen, number of clips: "]
        for width, count in sorted(Counter(data.widths[part].values()).items()):
            lines[-1] += f"{width:g} s {count}; "
    rows = {
        name: [paired.difference(said[one], said[other], people, by_clip).text(signed=True)]
        for name, one, other in contrasts([method for _, method, _ in said])
        if one in said and other in said
    }
    lines += ["", paired.table(["difference", "of mean CCC [95 %, listeners drawn]"], rows)]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", choices=[*PARTS], action="append", help="train this part alone")
    parser.add_argument("--rows", type=int, choices=LENGTHS, action="append", help="likewise")
    parser.add_argument("--tables", action="store_true", help="print what there is, train nothing")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    data = Data(options.folder, options.out)
    if not options.tables:
        parts, lengths = options.part or [*PARTS], options.rows or LENGTHS
        data.train(parts, lengths, options.seeds, lambda text: print(text, flush=True))
    print(tables(data, options.seeds))


if __name__ == "__main__":
    main()
