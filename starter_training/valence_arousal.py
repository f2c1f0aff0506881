"""Fit starter-1's valence and arousal of a face, with intervals, to human ratings.

    python starter_training/valence_arousal.py --ratings path/to/affectnet_c25

reads {expression,valence,arousal}_set{1,2}_C25.csv and rewrites
avaffect/predictors/starter/starter1_va.json. The same ratings give the same file, but for the
date.

The ratings tell how people vote and rate. What is needed is the rating given a net's calibrated
probabilities, and no picture with both is at hand. So nets are simulated (simulated_nets.py).
Values are fitted to those that see pictures; intervals need no net: they come from the ratings of
pictures that most people gave the same expression.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ratings import FOLDS, OTHER, Ratings, errors, read_ratings
from simulated_nets import MIDDLE, NETS, NOISE, Net, Pictures, Seen, look

from avaffect.files.atomic import write_json
from avaffect.labels import EXPRESSIONS
from avaffect.predictors.starter.valence_arousal import (
    DIMENSIONS,
    FACE,
    GRID,
    LEVEL,
    FaceRatings,
    terms,
)

Array = NDArray[np.float64]

LEVELS = (0.5, 0.8, 0.9)
SCORES = ("rmse", "ccc")
# Random halves of the raters.
HALVES = 5


def fit(seen: Seen) -> FaceRatings:
    """The model: values by least squares, distributions by plurality."""
    x, y = seen.fitted_on()
    votes, means = seen.pictures.votes, seen.pictures.means
    first, unsure = votes.argmax(axis=1), means[votes.max(axis=1) < 0.5]
    groups = [*(means[first == k] for k in range(OTHER)), means]
    if not all(map(len, (*groups, unsure))):
        raise SystemExit("the ratings lack an expression, or pictures on which people disagree")
    *values, bend = np.linalg.lstsq(terms(x), y, rcond=None)[0]
    values.append(unsure.mean(axis=0))
    shares = [[(group[:, d, None] <= GRID).mean(axis=0) for group in groups] for d in (0, 1)]
    return FaceRatings(np.round(values, 4), np.round(bend, 4), np.round(shares, 4))


def eight(probabilities: Array) -> Array:
    """[N, 8] with nothing on Other."""
    return np.pad(probabilities, ((0, 0), (0, 1)))


# Other ways to a value: from what was seen in training to a function of probabilities.
Way = Callable[[Seen], Callable[[Array], Array]]


def _regression(of: Callable[[Array], Array]) -> Way:
    def way(seen: Seen) -> Callable[[Array], Array]:
        x, y = seen.fitted_on()
        weights = np.linalg.lstsq(of(x), y, rcond=None)[0]
        return lambda p: of(p) @ weights

    return way


def _by_plurality(seen: Seen) -> Callable[[Array], Array]:
    first = np.eye(OTHER)[seen.pictures.votes.argmax(axis=1)]
    weights = np.linalg.lstsq(first, seen.pictures.means, rcond=None)[0]
    return lambda p: p @ weights


VALUE = "chosen: linear, bent for Neutral"
VALUES: dict[str, Way] = {
    VALUE: _regression(terms),
    "linear": _regression(lambda p: p),
    "linear and all squares": _regression(lambda p: np.hstack([p, p**2])),
    "means by plurality": _by_plurality,
}


# Ways to an interval: to a function of probabilities and level that gives [N, 2, 2].
def _mixture(seen: Seen) -> Callable[[Array, float], Array]:
    model = fit(seen)
    return lambda p, level: model.estimate(eight(p), level)[1]


def _least_squares(seen: Seen) -> Callable[[Array, float], Array]:
    x, y = seen.fitted_on()
    shares = np.array([np.linalg.lstsq(x, y[:, d, None] <= GRID, rcond=None)[0] for d in (0, 1)])
    shares = np.maximum.accumulate(np.clip(shares, 0, 1), axis=2)
    shares[:, :, -1] = 1
    model = replace(fit(seen), distributions=np.pad(shares, ((0, 0), (0, 1), (0, 0))))
    return lambda p, level: model.estimate(eight(p), level)[1]


def _scaled_residuals(seen: Seen) -> Callable[[Array, float], Array]:
    x, y = seen.fitted_on()
    weights = np.linalg.lstsq(x, y, rcond=None)[0]
    squares = np.linalg.lstsq(x, (y - x @ weights) ** 2, rcond=None)[0]

    def scale(p: Array) -> Array:
        return np.sqrt(np.maximum(p @ squares, 0.05**2))

    z = (y - x @ weights) / scale(x)

    def interval(p: Array, level: float) -> Array:
        bounds = np.quantile(z, [(1 - level) / 2, (1 + level) / 2], axis=0).T
        return np.clip((p @ weights)[:, :, None] + scale(p)[:, :, None] * bounds, -1, 1)

    return interval


INTERVAL = "chosen: mixture by plurality"
INTERVALS: dict[str, Callable[[Seen], Callable[[Array, float], Array]]] = {
    INTERVAL: _mixture,
    "mixture by least squares": _least_squares,
    "scaled residuals": _scaled_residuals,
}


def folds(count: int) -> list[NDArray[np.bool_]]:
    """For each fold, bool [N], which pictures are held out."""
    fold = np.random.default_rng(0).permutation(count) % FOLDS
    return [fold == k for k in range(FOLDS)]


def out_of_fold(seen: Seen, way: Callable[[Seen], Any], *arguments: Any) -> dict[Net, Array]:
    """What a way fitted on the other folds says, for every net."""
    found: dict[Net, Array] = {}
    for held in folds(len(seen.pictures.means)):
        tell = way(seen.rows(~held))
        for net, p in seen.probabilities.items():
            told = tell(p[held], *arguments)
            found.setdefault(net, np.empty((len(held), *told.shape[1:])))[held] = told
    return found


def inside(intervals: Array, means: Array) -> NDArray[np.bool_]:
    """[N, 2], whether the mean ratings lie in the intervals."""
    return (intervals[..., 0] <= means) & (means <= intervals[..., 1])


def thirds(probabilities: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """The third of pictures with the lowest highest probability, and that with the highest."""
    sure = probabilities.max(axis=1)
    low, high = np.quantile(sure, [1 / 3, 2 / 3])
    return sure <= low, sure >= high


def rounded(values: Any) -> Any:
    return np.round(values, 3).tolist()


def spread(values: Sequence[float]) -> list[float]:
    """Least, mean, most."""
    return rounded([np.min(values), np.mean(values), np.max(values)])


def figures_of_nets(seen: Seen) -> dict[str, Any]:
    """Each middle net: how good it is, and how good values and intervals are, out of fold."""
    values = out_of_fold(seen, VALUES[VALUE])
    way = INTERVALS[INTERVAL]
    intervals = {level: out_of_fold(seen, way, level) for level in LEVELS}
    means, table = seen.pictures.means, {}
    for net in MIDDLE:
        p, labels = seen.probabilities[net], seen.labels[net]
        unsure, sure = thirds(p)
        covered = {level: inside(intervals[level][net], means) for level in LEVELS}
        error = errors(values[net], means)
        table[str(net)] = {
            "accuracy": rounded((p.argmax(axis=1) == labels.argmax(axis=1)).mean()),
            "mean highest probability": rounded(p.max(axis=1).mean()),
        }
        for d, name in enumerate(DIMENSIONS):
            table[str(net)][name] = {
                "rmse": rounded(error[name]["rmse"]),
                "ccc": rounded(error[name]["ccc"]),
                **{f"in {level:.0%}": rounded(covered[level][:, d].mean()) for level in LEVELS},
                "in 90%, unsure third": rounded(covered[LEVEL][unsure, d].mean()),
                "in 90%, sure third": rounded(covered[LEVEL][sure, d].mean()),
                "width of 90%": rounded(np.ptp(intervals[LEVEL][net][:, d], axis=1).mean()),
            }
    return table


def compare_values(seen: Seen) -> dict[str, Any]:
    """Means over nets."""
    means = seen.pictures.means
    table: dict[str, Any] = {f"sees {sees}": {} for sees in NOISE}
    for name, way in VALUES.items():
        told = out_of_fold(seen, way)
        for sees in NOISE:
            nets = [net for net in NETS if net.sees == sees]
            found = [errors(told[net], means) for net in nets]
            calm = [seen.probabilities[net][:, 0] >= 0.85 for net in nets]
            off = [(told[net] - means)[rows] for net, rows in zip(nets, calm, strict=True)]
            table[f"sees {sees}"][name] = {
                dimension: {
                    **{k: rounded(np.mean([f[dimension][k] for f in found])) for k in SCORES},
                    "sure Neutral off by": rounded(np.concatenate(off)[:, d].mean()),
                }
                for d, dimension in enumerate(DIMENSIONS)
            }
    return table


def compare_intervals(seen: Seen) -> dict[str, Any]:
    means, table = seen.pictures.means, {}
    for name, way in INTERVALS.items():
        told = out_of_fold(seen, way, LEVEL)
        table[name] = {}
        for d, dimension in enumerate(DIMENSIONS):
            held = {net: inside(told[net], means)[:, d] for net in NETS}
            ends = {net: thirds(seen.probabilities[net]) for net in NETS}
            table[name][dimension] = {
                "all": spread([held[net].mean() for net in NETS]),
                "unsure third": spread([held[net][ends[net][0]].mean() for net in NETS]),
                "sure third": spread([held[net][ends[net][1]].mean() for net in NETS]),
                "width": spread([np.ptp(told[net][:, d], axis=1).mean() for net in NETS]),
            }
    return table


def elsewhere(trials: Sequence[tuple[Seen, Seen, Array]]) -> dict[str, Any]:
    """Means over the middle nets that see pictures, and over trials.

    Args:
        trials: what is fitted to, what is seen in the test, and its ratings.
    """
    table: dict[str, dict[str, list[float]]] = {d: {} for d in DIMENSIONS}
    nets = [net for net in MIDDLE if net.sees == "picture"]
    for (fitted, tested, means), net in product(trials, nets):
        values, intervals = fit(fitted).estimate(eight(tested.probabilities[net]))
        for d, (name, error) in enumerate(errors(values, means).items()):
            share = inside(intervals, means)[:, d].mean()
            for key, value in (("rmse", error["rmse"]), ("ccc", error["ccc"]), ("in 90%", share)):
                table[name].setdefault(key, []).append(value)
    return {d: {key: rounded(np.mean(v)) for key, v in row.items()} for d, row in table.items()}


def two_panels(sets: Sequence[Ratings]) -> list[tuple[Seen, Seen, Array]]:
    """Fits to half of the raters, tested on the ratings of the others."""
    rng, trials = np.random.default_rng(0), []
    for _ in range(HALVES):
        some, others = np.array_split(rng.permutation(sets[0].codes.shape[1]), 2)
        seen = look(pictures(sets, some, some))
        trials.append((seen, seen, pictures(sets, some, others).means))
    return trials


def pictures(sets: Sequence[Ratings], voters: Any = slice(None), raters: Any = None) -> Pictures:
    """All pictures: the votes of some people, the mean ratings of the same or others."""
    raters = voters if raters is None else raters
    votes = np.concatenate([one.shares(voters)[:, :OTHER] for one in sets])
    return Pictures(votes, np.concatenate([one.means(raters) for one in sets]))


def by_class(table: Array) -> dict[str, Any]:
    """[2, 8, ...] as names."""
    return {
        d: dict(zip(EXPRESSIONS, rows.tolist(), strict=True))
        for d, rows in zip(DIMENSIONS, table, strict=True)
    }


def facts(folder: Path) -> dict[str, Any]:
    """The model and all figures, ready for JSON."""
    sets = [read_ratings(folder, number) for number in (1, 2)]
    seen = look(pictures(sets))
    model, votes, means = fit(seen), seen.pictures.votes, seen.pictures.means
    first, second = (
        np.repeat([one is chosen_set for one in sets], [len(one.codes) for one in sets])
        for chosen_set in sets
    )
    counts = np.bincount(votes.argmax(axis=1), minlength=OTHER).tolist()
    return {
        "what": "valence and arousal of a face, with an interval, from a net's calibrated "
        "probabilities of expressions",
        "measured": "no picture with both a net's probabilities and ratings was at hand: nets are "
        "simulated, their probabilities calibrated; a net that is not, or that sees faces unlike "
        "these web pictures, does worse, and nothing here was measured on video",
        "values": by_class(model.values.T),
        "bend": dict(zip(DIMENSIONS, model.bend.tolist(), strict=True)),
        "distributions": by_class(model.distributions),
        "grid": "41 values from -1 to 1, and at each the share of the class's pictures whose mean "
        "rating is not above it",
        "other": "value: mean rating of the "
        f"{int((votes.max(axis=1) < 0.5).sum())} pictures on which no expression got half the "
        "votes; distribution: all pictures",
        "contempt": "votes left out and the rest brought back to a sum of one, since the "
        "challenge's classes have no contempt; pictures mostly called so are kept",
        "pictures": {"all": len(votes), **dict(zip(EXPRESSIONS[:OTHER], counts, strict=True))},
        "raters_per_picture": sets[0].codes.shape[1],
        f"{FOLDS} folds by picture": figures_of_nets(seen),
        "tried": {
            "values": {
                "meaning": "means over 12 nets each of three accuracies, same folds; chosen: "
                "the simplest without a great error on sure neutral faces (85 % and more), the "
                "most frequent in video; it shrinks less than means by plurality",
                **compare_values(seen),
            },
            "intervals": {
                "meaning": "share of mean ratings in the 90 % interval, least, mean and most of "
                "24 nets; chosen: what covers best where a net is sure and wrong",
                **compare_intervals(seen),
            },
        },
        "other pictures and raters": {
            "meaning": "means over the 4 nets of middle accuracy that see pictures; half of the "
            f"raters: {HALVES} random halves, on the same pictures. Raters differ in what arousal "
            "they call 0 (their means have a standard deviation of 0.23), so that a small panel's "
            "mean is another scale",
            "set 1 to set 2": elsewhere([(seen.rows(first), seen.rows(second), means[second])]),
            "set 2 to set 1": elsewhere([(seen.rows(second), seen.rows(first), means[first])]),
            "half of the raters to the others": elsewhere(two_panels(sets)),
        },
        "source": "AffectNet-C25: 25 ratings each of 1,600 pictures of AffectNet (Mollahosseini, "
        "Hasani, Mahoor 2019, doi 10.1109/TAFFC.2017.2740923), research use; no rating is here",
        "fitted_by": "starter_training/valence_arousal.py",
        "date": date.today().isoformat(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--ratings", type=Path, required=True, help="folder of the six CSV files")
    parser.add_argument("--out", type=Path, default=FACE, help="default: %(default)s")
    arguments = parser.parse_args()
    result = facts(arguments.ratings)
    write_json(arguments.out, result)
    for net, figures in result[f"{FOLDS} folds by picture"].items():
        print(net, figures)
    print(f"written: {arguments.out}")


if __name__ == "__main__":
    main()
