"""Measure each rule between starter-2's face net and its predictions on films of known truth.

    python starter_training/film_rules.py --films work/films --faces work/faces --out work/films

Two kinds of films are made of what ``film_faces.py`` wrote. **Held:** one still of a set for
``HELD_S`` seconds; its label is the truth of all of it. **Changing:** a person of the Yale Face
Database, at rest between the expressions, in an order of chance; long rests and short ones. Each
rule is left out, or put back as it was, and compared with what is shipped. Reported of the sets
are only pictures that no rule was chosen on (``REPORTED``); of Yale all 15 people were looked at
for that, too. Intervals are 95 %, paired, over films' people or pictures. Writes ``rules.json``
and prints it. Ten minutes on one core.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from face_data import Faces, load_faces
from face_scores import auc, middle
from film_faces import YALE, Takes, load_takes
from numpy.typing import NDArray

from avaffect.files.atomic import write_json
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.metrics.scores import ccc, confusion, f1_per_class
from avaffect.predictions.smooth import parse_smoothing, smooth
from avaffect.predictors.starter.contrast import HAPPINESS, NEUTRAL, contrast
from avaffect.predictors.starter.expressions import prototype_probabilities, with_other
from avaffect.predictors.starter.neutral import frontality
from avaffect.predictors.starter.resting import logits_of, rest_offset, resting_shift
from avaffect.predictors.starter.starter2 import (
    OTHER,
    OTHER_LESS,
    Look,
    Starter2,
    rest,
    with_people,
)
from avaffect.predictors.starter.unit_proxies import unit_proxies

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

HELD_S, FPS = 5.0, 10
# Seconds of each expression, and of each rest between, in films of changing faces.
SHOWN_S, RESTS_S = 3.0, {"long rests": 3.0, "short rests": 0.7}
# Films a person.
ORDERS = 2
# Of every twelve of a set's pictures, those that no rule was chosen on.
REPORTED = (2, 7, 10, 11)
RESAMPLES = 500
# The expression that shows a unit, as ``unit_proxies`` names it, in our classes. AU23 and AU24
# mean nothing (the card).
SHOWN_BY = {
    "AU1": "Surprise",
    "AU2": "Surprise",
    "AU4": "Anger",
    "AU6": "Happiness",
    "AU7": "Anger",
    "AU10": "Disgust",
    "AU12": "Happiness",
    "AU15": "Sadness",
    "AU25": "Surprise",
    "AU26": "Surprise",
}


@dataclass(frozen=True)
class Film:
    """One film of ``N`` frames, or one picture seen in some.

    Attributes:
        said: float32 [N, 22], what the net says of each frame.
        pose: float32 [N, 263].
        seconds: float64 [N], how long each frame stands for.
        label: int64 [N].
        values: float32 [N, 2], NaN where not known.
    """

    said: Floats
    pose: Floats
    seconds: NDArray[np.float64]
    label: Ints
    values: Floats


@dataclass(frozen=True)
class Rules:
    """Which rules are followed; as it stands, those of ``starter-2``.

    Attributes:
        rest: what the net says of the subject at rest is taken off ``by contrast``, ``always`` or
            ``never``.
        friendly: whether Happiness gives way to Neutral where nothing of the face is active.
        other: what is taken off Other's logarithm.
        prototypes: power of what the units say of the expression.
        unsure: whether what is not sure is Other, as in starter-1.
        neutral: from whose neutral face the blendshapes count: the ``subject``'s or ``people``'s.
        share: the blendshapes' share in the units; None: as packaged.
        smooth: as ``predict --smooth``.
    """

    rest: str = "by contrast"
    friendly: bool = True
    other: float = OTHER_LESS
    prototypes: float = 0.0
    unsure: bool = False
    neutral: str = "subject"
    share: float | None = None
    smooth: str = Starter2.smooth


NOW = Rules()
BEFORE = Rules(rest="always", friendly=False, other=0.0)
VARIANTS = {
    "now": NOW,
    "before": BEFORE,
    "none of the rules": Rules("never", friendly=False, other=0.0, smooth="off"),
    "resting face never taken off": replace(NOW, rest="never"),
    "resting face taken off whatever the contrast": replace(NOW, rest="always"),
    "friendly looks stay": replace(NOW, friendly=False),
    "Other as the net says": replace(NOW, other=0.0),
    "Other less 2 nats": replace(NOW, other=2.0),
    "units' say in the expression": replace(NOW, prototypes=0.25),
    "what is unsure is Other": replace(NOW, unsure=True),
    "neutral face of all people": replace(NOW, neutral="people"),
    "units: net alone": replace(NOW, share=0.0),
    "units: blendshapes alone": replace(NOW, share=1.0),
    "not smoothed": replace(NOW, smooth="off"),
    "smoothed over 1 s": replace(NOW, smooth="gaussian:1"),
    "smoothed over 2 s": replace(NOW, smooth="gaussian:2"),
}


@dataclass(frozen=True)
class Shown:
    """What the rules make of a film: [N, 8], [N, 2], and the units' logits [N, 12]."""

    expr: Floats
    va: Floats
    units: NDArray[np.float64]


def follow(film: Film, rules: Rules) -> Shown:
    """What ``starter-2`` predicts of ``film`` by these rules, without a voice."""
    by, proxies, seconds = rest(), unit_proxies(), film.seconds
    raw = proxies.signals(film.pose)
    level = proxies.population.middle
    if rules.neutral == "subject":
        level = proxies.neutral_level(raw, seconds * frontality(film.pose))
    active = proxies.activation(raw, level)
    part = {"never": 0.0, "always": 1.0, "by contrast": contrast(active, seconds)}[rules.rest]
    said = film.said[:, :8]
    look = Look.of(resting_shift(said, active, seconds, by.expression), active, part)
    if not rules.friendly:
        look = replace(look, friendly=look.friendly * 0)
    expr = look.less(said, rules.other)
    if rules.prototypes:
        says = prototype_probabilities(active) + 1e-4
        says[:, OTHER] = np.exp(np.log(says[:, :OTHER]).mean(axis=1))
        expr = expr * says**rules.prototypes
        expr /= expr.sum(axis=1, keepdims=True)
    if rules.unsure:
        expr = with_other(expr)
    values = film.said[:, 8:10]
    values = values - look.of_values(rest_offset(values, active, seconds, by.values))
    logits = logits_of(film.said[:, 10:])
    logits -= part * rest_offset(logits, active, seconds, by.units)
    share = by.share if rules.share is None else np.full(len(by.share), rules.share)
    units = (1 - share) * logits + share * logits_of(proxies.presence(active))
    if rules.smooth != "off" and len(seconds) > 1:
        how, times = parse_smoothing(rules.smooth), np.cumsum(seconds)
        expr, values, units = (
            smooth(each, times, how.of(task).kind, how.of(task).seconds)
            for each, task in ((expr, "expr"), (values, "va"), (units, "au"))
        )
    return Shown(expr, with_people(values, expr, by)[0], units)


def reported(faces: Faces) -> Ints:
    """The labelled pictures of a set's validation part that no rule was chosen on."""
    rows = faces.rows("validation")
    rows = rows[faces.labels.label[rows] >= 0]
    return rows[np.isin(np.arange(len(rows)) % 12, REPORTED)]


def held_films(takes: Takes, rows: Ints) -> dict[int, list[Film]]:
    """A film of each of the pictures ``rows``; its takes share the time."""
    made = {}
    for at in range(len(takes.label)):
        if takes.row[at] not in rows or np.isnan(takes.pose[at]).any():
            continue
        count = takes.said.shape[1]
        made[at] = [
            Film(
                takes.said[at],
                np.repeat(takes.pose[at : at + 1], count, axis=0),
                np.full(count, HELD_S / count),
                np.full(count, takes.label[at]),
                np.repeat(takes.values[at : at + 1], count, axis=0),
            )
        ]
    return made


def changing_films(takes: Takes, rest_s: float) -> dict[int, list[Film]]:
    """Films of each person: a rest before each expression, in an order of chance."""
    chance, made = np.random.default_rng(0), {}
    for person in np.unique(takes.person):
        mine = np.flatnonzero(takes.person == person)
        rests, shows = (mine[(takes.label[mine] == NEUTRAL) == calm] for calm in (True, False))
        made[int(person)] = []
        for _ in range(ORDERS):
            shots = [
                one for show in chance.permutation(shows) for one in (chance.choice(rests), show)
            ]
            frames = [round((rest_s, SHOWN_S)[at % 2] * FPS) for at in range(len(shots))]
            at = np.repeat(shots, frames)
            take = chance.integers(0, takes.said.shape[1], len(at))
            made[int(person)].append(
                Film(
                    takes.said[at, take],
                    takes.pose[at],
                    np.full(len(at), 1 / FPS),
                    takes.label[at],
                    takes.values[at],
                )
            )
    return made


@dataclass(frozen=True)
class Found:
    """All frames of a kind of films as rules see them, and whose they are [N]."""

    shown: Shown
    label: Ints
    values: Floats
    whose: Ints

    def rows(self, some: Ints) -> Found:
        shown = Shown(*(value[some] for value in vars(self.shown).values()))
        return Found(shown, self.label[some], self.values[some], self.whose[some])


def follow_all(films: dict[int, list[Film]], rules: Rules) -> Found:
    parts, label, values, whose = [], [], [], []
    for who, theirs in films.items():
        for film in theirs:
            parts.append(follow(film, rules))
            label.append(film.label)
            values.append(film.values)
            whose.append(np.full(len(film.label), who))
    shown = Shown(*(np.concatenate([vars(p)[n] for p in parts]) for n in vars(parts[0])))
    return Found(shown, *(np.concatenate(each) for each in (label, values, whose)))


def figures(found: Found) -> dict[str, float]:
    """The scores of a kind of films."""
    label, chosen = found.label, found.shown.expr.argmax(axis=1)
    right, calm = chosen == label, label == NEUTRAL
    counts = confusion(chosen, label, len(EXPRESSIONS))
    made = {
        "accuracy": right.mean(),
        "macro F1": f1_per_class(counts)[np.unique(label)].mean(),
        "Neutral found": right[calm].mean(),
        "expressions found": right[~calm].mean(),
        "Neutral called happy": (chosen[calm] == HAPPINESS).mean(),
    }
    known = ~np.isnan(found.values[:, 0])
    for at, name in enumerate(("valence", "arousal")):
        if known.any():
            made[f"CCC {name}"] = ccc(found.shown.va[known, at], found.values[known, at])
    areas, alarms, hits = [], [], []
    for unit, expression in SHOWN_BY.items():
        logits = found.shown.units[:, ACTION_UNITS.index(unit)]
        shows = label == EXPRESSIONS.index(expression)
        if shows.any():
            areas.append(auc(logits[shows], logits[calm]))
            alarms.append((logits[calm] > 0).mean())
            hits.append((logits[shows] > 0).mean())
    made |= {
        "units AUC": np.mean(areas),
        "units at rest": np.mean(alarms),
        "units shown": np.mean(hits),
    }
    return {name: float(value) for name, value in made.items()}


def more(found: Found, other: Found) -> dict[str, list[float]]:
    """95 % intervals of what ``found`` has above ``other``, over people or pictures."""
    chance, people = np.random.default_rng(0), np.unique(found.whose)
    theirs = {who: np.flatnonzero(found.whose == who) for who in people}
    draws: dict[str, list[float]] = {}
    for _ in range(RESAMPLES // (2 if len(people) < 50 else 5)):
        some = np.concatenate([theirs[who] for who in chance.choice(people, len(people))])
        one, two = figures(found.rows(some)), figures(other.rows(some))
        for name, value in one.items():
            draws.setdefault(name, []).append(value - two[name])
    return {name: middle(values) for name, values in draws.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--films", type=Path, required=True, help="what film_faces.py wrote")
    parser.add_argument("--faces", type=Path, required=True, help="what face_points.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    kinds = {
        f"{name}, held": held_films(
            load_takes(options.films, name), reported(load_faces(options.faces, name))
        )
        for name in ("affectnet8", "ferplus", "rafdb")
    }
    yale = load_takes(options.films, YALE)
    kinds |= {f"yale, {name}": changing_films(yale, rest_s) for name, rest_s in RESTS_S.items()}
    made: dict[str, Any] = {}
    for kind, films in kinds.items():
        now = follow_all(films, NOW)
        made[kind] = {"people or pictures": len(films)}
        for name, rules in VARIANTS.items():
            found = now if rules == NOW else follow_all(films, rules)
            row: dict[str, Any] = {key: round(value, 3) for key, value in figures(found).items()}
            if rules != NOW:
                row["now has more"] = more(now, found)
            made[kind][name] = row
            print(kind, "|", name, row, flush=True)
    write_json(options.out / "rules.json", made)


if __name__ == "__main__":
    main()
