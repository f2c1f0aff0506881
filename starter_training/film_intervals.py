"""Fit the intervals of starter-2's valence and arousal to what people say of faces.

    python starter_training/film_intervals.py --films work/films --faces work/faces \\
        --ratings path/to/affectnet_c25

No picture is at hand that both people rated and the net sees. But ten people said of each of
FER+'s pictures what it expresses, and 25 said so of each of AffectNet-C25's and rated its valence
and arousal too. So a FER+ picture gets the ratings of those ``NEAREST`` rated pictures of which
people said most nearly the same: the votes tell valence with r .95 and arousal with .85, and what
they leave open stays in as the spread of those pictures. What the net sees beyond the votes is not
counted, so the intervals are rather too wide.

Split conformal (Vovk et al. 2005) for each expression: half of the FER+ pictures, with half of the
rated ones, set how far the interval reaches below and above the value, each picture counting as
much as the net gives it that expression; the other halves say what it then holds. ``SPLITS``
times;
the packaged reach is the mean. Writes
``avaffect/predictors/starter/starter2_intervals.json`` with all figures. Seconds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from face_data import load_faces
from face_scores import RESAMPLES, middle
from face_sets import OWN_LABEL_VOTES
from film_faces import load_takes
from numpy.typing import NDArray
from ratings import CODES, read_ratings

from avaffect.files.atomic import write_json
from avaffect.labels import EXPRESSIONS
from avaffect.metrics.scores import ccc
from avaffect.predictors.starter.resting import shifted
from avaffect.predictors.starter.starter2 import (
    INTERVALS,
    OTHER,
    OTHER_LESS,
    rest,
    with_people,
)
from avaffect.predictors.starter.valence_arousal import DIMENSIONS, LEVEL, va_of_face

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
# Values [n, 2] from the net's probabilities [n, 8] and values [n, 2].
Way = Callable[[Doubles, Doubles], Doubles]

NEAREST = 10
# Other rated pictures than those of the fit are held a little less often: it aims so much higher.
MARGIN = 0.02
SPLITS = 8
# FER+'s raters; the sets whose pictures have values by nets.
VOTERS, VALUED = 10, ("rafdb", "affectnet8")


@dataclass(frozen=True)
class Rated:
    """Rated pictures: votes [M, 8], shares of raters; means [M, 2] of valence and arousal."""

    votes: Doubles
    means: Doubles

    def like(self, votes: Doubles) -> Doubles:
        """[n, NEAREST, 2], ratings of the pictures whose votes are nearest to ``votes`` [n, 8]."""
        far = ((votes[:, None] - self.votes[None]) ** 2).sum(axis=2)
        return self.means[np.argsort(far, axis=1, kind="stable")[:, :NEAREST]]

    def rows(self, some: NDArray[np.bool_]) -> Rated:
        return Rated(self.votes[some], self.means[some])


@dataclass(frozen=True)
class Frames:
    """What the net says of pictures, several frames each: [n, 8] and [n, 2]; the pictures [n]."""

    probabilities: Doubles
    values: Doubles
    picture: Ints

    def of(self, pictures: NDArray[np.bool_]) -> Frames:
        """The frames of some of the pictures."""
        some = pictures[self.picture]
        return Frames(self.probabilities[some], self.values[some], self.picture[some])


def read_rated(folder: Path) -> Rated:
    """Both sets of AffectNet-C25; contempt is *Other*."""
    sets = [read_ratings(folder, number) for number in (1, 2)]
    names = [EXPRESSIONS.index("Other" if name == "Contempt" else name) for name in CODES]
    votes = [np.eye(len(EXPRESSIONS))[np.array(names)[one.codes]].mean(axis=1) for one in sets]
    return Rated(np.concatenate(votes), np.concatenate([one.means() for one in sets]))


def frames_of(films: Path, name: str) -> Frames:
    """What ``starter-2`` says of each frame on its own: Other counts less than the net says."""
    takes = load_takes(films, name)
    count = takes.said.shape[1]
    flat = takes.said.reshape(-1, takes.said.shape[2])
    picture = np.repeat(np.arange(len(takes.label)), count)
    return Frames(_other(flat[:, :8], OTHER_LESS), flat[:, 8:10].astype(np.float64), picture)


def _other(probabilities: NDArray[np.floating], less: float) -> Doubles:
    shift = np.eye(len(EXPRESSIONS), dtype=np.float32)[OTHER] * np.float32(less)
    return shifted(probabilities.astype(np.float32), shift).astype(np.float64)


def peoples_votes(target: NDArray[np.floating], own: Ints) -> Doubles:
    """[N, 8], shares of FER+'s raters, without FER2013's own label that ``face_sets`` adds."""
    known = np.eye(len(EXPRESSIONS))[np.maximum(own, 0)] * (own >= 0)[:, None]
    votes = np.maximum(target - known * OWN_LABEL_VOTES / (VOTERS + OWN_LABEL_VOTES), 0)
    return np.asarray(votes / votes.sum(axis=1, keepdims=True), np.float64)


def _net(probabilities: Doubles, values: Doubles) -> Doubles:
    return values


def _shifted(probabilities: Doubles, values: Doubles) -> Doubles:
    moved = values.copy()
    moved[:, 0] += probabilities @ rest().valence_shift
    return np.clip(moved, -1, 1)


def _people(probabilities: Doubles, values: Doubles) -> Doubles:
    return va_of_face(probabilities)[0].astype(np.float64)


def _halved(probabilities: Doubles, values: Doubles) -> Doubles:
    return (_shifted(probabilities, values) + _people(probabilities, values)) / 2


def _chosen(probabilities: Doubles, values: Doubles) -> Doubles:
    return with_people(values, probabilities, rest())[0]


WAYS: dict[str, Way] = {
    "net": _net,
    "net, valence shifted (before)": _shifted,
    "half of that, half people's of such expressions": _halved,
    "people's of such expressions": _people,
    "now: of these the second and the third": _chosen,
}


def before(frames: Frames) -> Doubles:
    """[n, 2, 2], the interval as it was: the class interval, made wider to hold the value."""
    said = _other(frames.probabilities, -OTHER_LESS)
    value, interval = _shifted(said, frames.values), va_of_face(said)[1]
    ends = np.minimum(interval[..., 0], value), np.maximum(interval[..., 1], value)
    return np.stack(ends, axis=-1)


def reach(frames: Frames, people: Doubles) -> Doubles:
    """[8, 2, 2], how far below and above the value the interval reaches for each expression.

    Args:
        frames: n frames.
        people: [N, NEAREST, 2], what people say of each picture.
    """
    off = people[frames.picture] - _chosen(frames.probabilities, frames.values)[:, None]
    level = LEVEL + MARGIN
    ends = ((1 - level) / 2, (1 + level) / 2)
    weights = np.repeat(frames.probabilities, off.shape[1], axis=0)
    flat = off.reshape(-1, 2)
    return np.array(
        [[weighted_quantiles(flat[:, d], each, ends) for d in (0, 1)] for each in weights.T]
    )


def weighted_quantiles(values: Doubles, weights: Doubles, parts: tuple[float, ...]) -> Doubles:
    """The values below which these parts of the weight lie."""
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order]) - weights[order] / 2
    return np.interp(np.array(parts) * weights.sum(), below, values[order])


def around(frames: Frames, reached: Doubles) -> Doubles:
    """[n, 2, 2], the interval."""
    value = _chosen(frames.probabilities, frames.values)
    reaches = np.einsum("nk,kde->nde", frames.probabilities, reached)
    return np.clip(value[..., None] + reaches, -1, 1)


def held(interval: Doubles, truth: Doubles) -> Doubles:
    """[n, 2], the share of ``truth`` [n, R, 2] in ``interval`` [n, 2, 2]."""
    inside = (interval[:, None, :, 0] <= truth) & (truth <= interval[:, None, :, 1])
    return inside.mean(axis=1)


def coverage(frames: Frames, interval: Doubles, truth: Doubles) -> dict[str, Any]:
    """Share held, with its 95 % interval over pictures, and mean width, by dimension."""
    shares, chance = held(interval, truth), np.random.default_rng(0)
    pictures, at = np.unique(frames.picture, return_inverse=True)
    by_picture = np.stack(
        [np.bincount(at, shares[:, d]) / np.bincount(at) for d in (0, 1)], axis=1
    )
    draws = [
        by_picture[chance.integers(0, len(pictures), len(pictures))].mean(0)
        for _ in range(RESAMPLES)
    ]
    sure = frames.probabilities.max(axis=1)
    low, high = np.quantile(sure, (1 / 3, 2 / 3))
    return {
        name: {
            "held": [
                round(float(shares[:, d].mean()), 3),
                *middle([float(one[d]) for one in draws]),
            ],
            "held where unsure, sure": [
                round(float(shares[some, d].mean()), 3) for some in (sure <= low, sure >= high)
            ],
            "width": round(float(np.ptp(interval[:, d], axis=1).mean()), 3),
        }
        for d, name in enumerate(DIMENSIONS)
    }


@dataclass(frozen=True)
class Split:
    """One split: the reach [8, 2, 2] of its fit, the frames kept for the test, their ratings."""

    reached: Doubles
    kept: Frames
    people: Doubles


def split(frames: Frames, votes: Doubles, rated: Rated, seed: int) -> Split:
    chance = np.random.default_rng(seed)
    half = chance.permutation(len(votes)) < len(votes) // 2
    some = chance.permutation(len(rated.means)) < len(rated.means) // 2
    reached = reach(frames.of(half), rated.rows(some).like(votes))
    return Split(reached, frames.of(~half), rated.rows(~some).like(votes))


def mean_of(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean of the same figures of several splits."""
    return {
        name: {
            key: np.mean([one[name][key] for one in found], axis=0).round(3).tolist()
            for key in row
        }
        for name, row in found[0].items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--films", type=Path, required=True, help="what film_faces.py wrote")
    parser.add_argument("--faces", type=Path, required=True, help="what face_points.py wrote")
    parser.add_argument("--ratings", type=Path, required=True, help="AffectNet-C25's folder")
    parser.add_argument("--out", type=Path, default=INTERVALS, help="default: %(default)s")
    options = parser.parse_args()
    rated = read_rated(options.ratings)
    faces, takes = load_faces(options.faces, "ferplus"), load_takes(options.films, "ferplus")
    frames = frames_of(options.films, "ferplus")
    votes = peoples_votes(faces.labels.target[takes.row], faces.labels.own[takes.row])
    splits = [split(frames, votes, rated, seed) for seed in range(SPLITS)]
    reached = np.mean([one.reached for one in splits], axis=0).round(3)
    now, old, errors = [], [], []
    for one in splits:
        kept, people = one.kept, one.people[one.kept.picture]
        now.append(coverage(kept, around(kept, one.reached), people))
        old.append(coverage(kept, before(kept), people))
        off = [tell(kept.probabilities, kept.values)[:, None] - people for tell in WAYS.values()]
        errors.append([np.sqrt((each**2).mean(axis=(0, 1))) for each in off])
    held_by_people = {"now": mean_of(now), "before": mean_of(old)}
    rmse = np.mean(errors, axis=0).round(3).tolist()
    values: dict[str, Any] = {
        way: {"rmse with people": dict(zip(DIMENSIONS, row, strict=True))}
        for way, row in zip(WAYS, rmse, strict=True)
    }
    made: dict[str, Any] = {
        "meaning": "how far the ends of the interval lie from the value, by expression",
        "around": {
            name: dict(zip(DIMENSIONS, ends.tolist(), strict=True))
            for name, ends in zip(EXPRESSIONS, reached, strict=True)
        },
        "people, FER+ by votes, halves not fitted to": held_by_people,
    }
    for name in VALUED:
        frames, truth = frames_of(options.films, name), load_takes(options.films, name).values
        truth = truth[frames.picture].astype(np.float64)
        made[f"the nets' values, {name}"] = {
            "now": coverage(frames, around(frames, reached), truth[:, None]),
            "before": coverage(frames, before(frames), truth[:, None]),
        }
        for way, tell in WAYS.items():
            said = tell(frames.probabilities, frames.values)
            values[way][f"ccc with the nets' values, {name}"] = {
                dimension: round(ccc(said[:, d], truth[:, d]), 3)
                for d, dimension in enumerate(DIMENSIONS)
            }
    made |= {"values": values, "made_by": "starter_training/film_intervals.py"}
    write_json(options.out, made)
    for name, figures in made.items():
        print(name, figures)


if __name__ == "__main__":
    main()
