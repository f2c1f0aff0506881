"""What training reaches on two public datasets, beside a linear model on the same folds.

    python benchmarks/learning.py omg DIR --out runs/
    python benchmarks/learning.py ravdess DIR --voices prepared/ --out runs/

DIR is OMG-Empathy's folder (features_train/, manifest.csv) or RAVDESS' (manifest.csv); `--voices`
is what `avaffect preprocess DIR -r --sound-rate 50` wrote. Networks are trained by the recipes
`table-gru` and `speech-gru`, whose last epoch counts: nothing is chosen on the clips that are
scored. A run that was interrupted goes on.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from avaffect.metrics.arrays import score_arrays
from avaffect.training.run import DataConfig, RunConfig, load_dataset, run, run_config

OMG_FEATURES = "polarity,image_valence,emo_watson,opensmile_valence,opensmile_arousal"


def omg(folder: Path, seed: int) -> RunConfig:
    features = str(folder / "features_train")
    data = DataConfig(
        features,
        labels=features,
        clips=str(folder / "manifest.csv"),
        columns=("clip=path", "group=subject", "valence=valence", f"features={OMG_FEATURES}"),
    )
    changes = ["train.select=last", "train.patience=0"]
    return run_config("table-gru", data, changes=changes, folds="leave-one-out", seed=seed)


def ravdess(folder: Path, voices: Path, seed: int) -> RunConfig:
    columns = ("clip=path", "expression=label", "group=subject", "fold=fold5")
    data = DataConfig(str(voices), labels=str(folder / "manifest.csv"), columns=columns)
    return run_config("speech-gru", data, folds="given", seed=seed)


def folds_of(config, dataset, out: Path):
    from avaffect.datasets.folds import make_folds

    if config.folds == "given":
        return make_folds(dataset.clips, None, by="fold")
    return make_folds(dataset.clips, None, seed=config.seed)


def linear_omg(train, val, targets):
    """Ridge regression of single frames."""
    x = [np.nan_to_num(clip.features.array("table"), nan=0.0) for clip in train]
    y = [clip.labels["va"] for clip in train]
    model = make_pipeline(StandardScaler(), Ridge(1.0))
    model.fit(np.concatenate(x), np.concatenate(y))
    pairs = []
    for clip in val:
        said = model.predict(np.nan_to_num(clip.features.array("table"), nan=0.0))
        pairs.append((said.reshape(len(said), -1), clip.labels["va"]))
    return {"mean CCC": score_arrays("va", pairs, targets["va"])[0]}


def linear_ravdess(columns, statistics):
    def fit(train, val, targets):
        def vectors(clips):
            rows = []
            for clip in clips:
                values = clip.features.array("audio")[:, columns]
                rows.append(np.concatenate([f(values, axis=0) for f in statistics]))
            return np.stack(rows)

        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))
        model.fit(vectors(train), [clip.labels["expr"][0] for clip in train])
        said = model.predict(vectors(val))
        pairs = [(said[i : i + 1], clip.labels["expr"][:1]) for i, clip in enumerate(val)]
        score, parts = score_arrays("expr", pairs, targets["expr"])
        return {"accuracy": parts["accuracy"], "macro F1": score}

    return fit


def table(rows: dict[str, list[dict[str, float]]]) -> None:
    names = list(next(iter(rows.values()))[0])
    print("".join(f"{name:>28}" for name in ["", *names]))
    for label, folds in rows.items():
        cells = []
        for name in names:
            values = [one[name] for one in folds]
            cells.append(f"{np.mean(values):.3f} (sd {np.std(values, ddof=1):.3f})")
        print("".join(f"{cell:>28}" for cell in [label, *cells]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", choices=["omg", "ravdess"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--voices", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.dataset == "omg":
        config = omg(options.folder, options.seed)
        linear = {"ridge, frame by frame": linear_omg}
        wanted = {"mean CCC": "va"}
    else:
        config = ravdess(options.folder, options.voices, options.seed)
        linear = {
            "log-mel mean": linear_ravdess(slice(40, 168), [np.mean]),
            "log-mel mean + sd": linear_ravdess(slice(40, 168), [np.mean, np.std]),
            "MFCC + mel, mean + sd": linear_ravdess(slice(0, 168), [np.mean, np.std]),
        }
        wanted = {"accuracy": "expr accuracy", "macro F1": "expr macro F1"}
    dataset = load_dataset(config.data, config.recipe.task_names)
    folds = folds_of(config, dataset, options.out)
    rows = {
        f"linear: {name}": [
            fit(*folds.split(dataset.clips, i), dataset.targets) for i in folds.numbers
        ]
        for name, fit in linear.items()
    }
    out = options.out / f"{options.dataset}-{options.seed}"
    run(config, out, resume=True, on_fold=lambda name: print(name, flush=True))
    trained = json.loads((out / "summary.json").read_text())["folds"]
    rows[f"{config.recipe.name}, seed {options.seed}"] = [
        {name: fold[key] for name, key in wanted.items()} for fold in trained.values()
    ]
    print(f"{len(folds.numbers)} folds by {'listener' if options.dataset == 'omg' else 'actor'}")
    table(rows)
    for name, fold in trained.items():
        print(name, {key: round(fold[source], 4) for key, source in wanted.items()})


if __name__ == "__main__":
    main()
