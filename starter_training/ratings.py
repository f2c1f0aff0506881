"""Human ratings of AffectNet pictures, and how far values lie from them.

AffectNet-C25's {expression,valence,arousal}_set{1,2}_C25.csv: 25 people gave each of 1,600
pictures an expression, a valence and an arousal. The ratings are not part of this repository.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.labels import EXPRESSIONS
from avaffect.predictors.starter.valence_arousal import DIMENSIONS

Array = NDArray[np.float64]

# The files' codes 0..7; contempt has no place in the challenge's eight classes.
CODES = ("Happiness", "Sadness", "Surprise", "Fear", "Disgust", "Anger", "Contempt", "Neutral")
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
