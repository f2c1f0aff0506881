"""Fit starter-0's valence and arousal to human ratings of AffectNet pictures.

    python starter_training/fit_starter_va.py --ratings path/to/affectnet_c25

reads {expression,valence,arousal}_set{1,2}_C25.csv and rewrites
avaffect/predictors/starter/starter_va.json: coefficients, cross-validated error, and how they came
about. The same ratings give the same file, but for the date. The ratings themselves are not part
of this repository.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.files.atomic import write_json
from avaffect.labels import EXPRESSIONS
from avaffect.predictors.starter.valence_arousal import COEFFICIENTS, FEATURES, features

Array = NDArray[np.float64]

# The files' codes 0..7; contempt has no place in the challenge's eight classes.
CODES = ("Happiness", "Sadness", "Surprise", "Fear", "Disgust", "Anger", "Contempt", "Neutral")
DIMENSIONS = ("valence", "arousal")
FOLDS = 10
OTHER = EXPRESSIONS.index("Other")


@dataclass(frozen=True)
class Ratings:
    """One set: codes int [N, R] of R raters, valence and arousal [N, R, 2]."""

    codes: NDArray[np.int64]
    scores: Array

    def shares(self, raters: slice = slice(None)) -> Array:
        """[N, 8] share of votes for each of EXPRESSIONS. Votes for contempt are left out, as no
        net of ours can give them; Other stays 0."""
        codes = self.codes[:, raters]
        votes = [
            (codes == CODES.index(name)).sum(axis=1) if name in CODES else np.zeros(len(codes))
            for name in EXPRESSIONS
        ]
        table = np.stack(votes, axis=1)
        return table / table.sum(axis=1, keepdims=True)

    def means(self, raters: slice = slice(None)) -> Array:
        """[N, 2] mean valence and arousal."""
        return self.scores[:, raters].mean(axis=1)


def read_ratings(folder: Path, number: int) -> Ratings:
    """Read set 1 or 2; every file must list the same pictures in the same order."""
    tables, pictures = {}, {}
    for kind in ("expression", *DIMENSIONS):
        path = folder / f"{kind}_set{number}_C25.csv"
        with path.open(newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        if header[:2] != ["index", "filename"]:
            raise SystemExit(f"{path}: not the columns of AffectNet-C25")
        pictures[kind] = [row[1] for row in rows]
        tables[kind] = np.array([row[2:] for row in rows], dtype=np.float64)
        if pictures[kind] != pictures["expression"]:
            raise SystemExit(f"{path}: not the pictures of expression_set{number}_C25.csv")
    codes = tables["expression"]
    scores = np.stack([tables[d] for d in DIMENSIONS], axis=2)
    if not np.isin(codes, range(len(CODES))).all() or not (np.abs(scores) <= 1).all():
        raise SystemExit(f"{folder}: set {number} holds codes or scores out of range")
    return Ratings(codes.astype(np.int64), scores)


def entropy(x: Array) -> Array:
    """Shares and their entropy."""
    return np.hstack([x, -(x * np.log(np.maximum(x, 1e-12))).sum(axis=1, keepdims=True)])


# Without Other, of which the ratings say nothing.
MODELS: dict[str, Callable[[Array], Array]] = {
    "shares": lambda x: x[:, :OTHER],
    "shares and entropy": lambda x: entropy(x[:, :OTHER]),
    "shares and squares": lambda x: np.hstack([x[:, :OTHER], x[:, :OTHER] ** 2]),
    "shares and sqrt(Neutral)": lambda x: np.delete(features(x), OTHER, axis=1),
}
CHOSEN = {"valence": "shares", "arousal": "shares and sqrt(Neutral)"}
TERMS = {
    "shares": FEATURES[:OTHER],
    "shares and sqrt(Neutral)": (*FEATURES[:OTHER], *FEATURES[OTHER + 1 :]),
}


def least_squares(x: Array, y: Array) -> Array:
    return np.linalg.lstsq(x, y, rcond=None)[0]


def chosen(x: Array, y: Array, to: Array) -> Array:
    """Both dimensions of ``to`` by the chosen models, fitted to ``x`` and ``y``."""
    columns = []
    for d, name in enumerate(DIMENSIONS):
        model = MODELS[CHOSEN[name]]
        columns.append(model(to) @ least_squares(model(x), y[:, d]))
    return np.stack(columns, axis=1)


def out_of_fold(predict: Callable[[Array, Array, Array], Array], x: Array, y: Array) -> Array:
    """Predictions of pictures by fits that have not seen them."""
    fold = np.random.default_rng(0).permutation(len(x)) % FOLDS
    predicted = np.empty_like(y)
    for k in range(FOLDS):
        held = fold == k
        predicted[held] = predict(x[~held], y[~held], x[held])
    return predicted


def errors(predicted: Array, truth: Array) -> dict[str, dict[str, float]]:
    """RMSE, MAE and CCC for valence and arousal."""
    table = {}
    for d, name in enumerate(DIMENSIONS):
        p, t = predicted[:, d], truth[:, d]
        shared = 2 * np.mean((p - p.mean()) * (t - t.mean()))
        ccc = shared / (p.var() + t.var() + (p.mean() - t.mean()) ** 2)
        figures = {
            "rmse": np.sqrt(np.mean((p - t) ** 2)),
            "mae": np.abs(p - t).mean(),
            "ccc": ccc,
        }
        table[name] = {key: round(float(value), 4) for key, value in figures.items()}
    return table


def by_dimension(values: Array) -> dict[str, float]:
    return {name: round(float(v), 4) for name, v in zip(DIMENSIONS, values, strict=True)}


def fit(sets: list[Ratings]) -> dict[str, Any]:
    """Coefficients and all figures, ready for JSON."""
    x = np.concatenate([s.shares() for s in sets])
    y = np.concatenate([s.means() for s in sets])
    spread = np.concatenate([s.scores.std(axis=1, ddof=1) for s in sets]).mean(axis=0)

    # Other stands for "nothing is sure": what people see in faces that they cannot agree upon.
    unsure = x.max(axis=1) < 0.5
    coefficients = {}
    for d, name in enumerate(DIMENSIONS):
        weights = least_squares(MODELS[CHOSEN[name]](x), y[:, d])
        table = dict(zip(TERMS[CHOSEN[name]], weights, strict=True))
        table["Other"] = y[unsure, d].mean()
        coefficients[name] = {term: round(float(weight), 6) for term, weight in table.items()}

    held = out_of_fold(chosen, x, y)
    tried = {}
    for name, model in MODELS.items():
        other = out_of_fold(lambda a, b, c, m=model: m(c) @ least_squares(m(a), b), x, y)
        tried[name] = {d: figures["rmse"] for d, figures in errors(other, y).items()}
    first, second = sets
    raters = first.codes.shape[1]
    few, rest = slice(0, raters // 2), slice(raters // 2, None)
    x_few = np.concatenate([s.shares(few) for s in sets])
    y_rest = np.concatenate([s.means(rest) for s in sets])
    return {
        "what": "valence and arousal as a linear function of expression probabilities",
        "coefficients": coefficients,
        "other": f"not fitted: the mean rating of the {int(unsure.sum())} pictures on which no "
        "expression got half the votes",
        "contempt": "votes left out and the rest brought back to a sum of one, since the "
        "challenge's classes have no contempt",
        "error": {
            "meaning": "error of the mean rating, given the raters' TRUE distribution of votes "
            "and not a net's output: the best that the formula can do, to which a net's own "
            "errors are added; on still pictures, not on Aff-Wild2",
            f"{FOLDS} folds by picture": errors(held, y),
            "set 1 to set 2": errors(
                chosen(first.shares(), first.means(), second.shares()), second.means()
            ),
            "set 2 to set 1": errors(
                chosen(second.shares(), second.means(), first.shares()), first.means()
            ),
            f"votes of {raters // 2} raters to the mean of the others": errors(
                out_of_fold(chosen, x_few, y_rest), y_rest
            ),
            "residual_sd": by_dimension((held - y).std(axis=0, ddof=1)),
        },
        "disagreement": {
            "meaning": "mean over pictures of the standard deviation between single raters",
            **by_dimension(spread),
        },
        "tried": {
            "meaning": f"RMSE over the same {FOLDS} folds; chosen: "
            + ", ".join(f"{name} by {model}" for name, model in CHOSEN.items())
            + " (for valence the others gain 3 % at most, and the chosen one is the simplest)",
            **tried,
        },
        "pictures": len(x),
        "raters_per_picture": raters,
        "source": "AffectNet-C25: 25 ratings each of 1,600 pictures of AffectNet (Mollahosseini, "
        "Hasani, Mahoor 2019, doi 10.1109/TAFFC.2017.2740923), research use; no rating is here",
        "fitted_by": "starter_training/fit_starter_va.py",
        "date": date.today().isoformat(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--ratings", type=Path, required=True, help="folder of the six CSV files")
    parser.add_argument("--out", type=Path, default=COEFFICIENTS, help="default: %(default)s")
    arguments = parser.parse_args()
    result = fit([read_ratings(arguments.ratings, number) for number in (1, 2)])
    write_json(arguments.out, result)
    for name, figures in result["error"][f"{FOLDS} folds by picture"].items():
        print(name, figures)
    print(f"written: {arguments.out}")


if __name__ == "__main__":
    main()
