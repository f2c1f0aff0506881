"""Set starter-2's fusion weights on corpora that the voice net never heard.

    python starter_training/fusion_elsewhere.py --ravdess RAVDESS --units au_mfcc.npz \\
        --takes work/voices --runs work/voice

reads ``figures.json`` (voice_multi_figures.py) and what the nets say of the corpora left out, and
writes avaffect/predictors/starter/starter2_fusion.json. No weight is set by hand:

* ``temperature`` makes the voice as sure as it is right on corpora that were left out.
* Those corpora have no faces. Each of their takes is put beside faces of the same expression,
  drawn from RAVDESS: action units averaged over a take, as fusion.py has them, read by a model
  that has not seen the actor, as sure as it is right (as starter-2's face net is). The powers,
  what Neutral gains and the shares are those that make the expressions likeliest, and bring
  values closest to theirs. Corpora count alike, and their expressions too, but as much is neutral
  as in conversation (``CONVERSATION``): acted speech seldom is.
* ``elsewhere`` tells what that is worth: the weights are fitted without a corpus, on its takes.
* ``ravdess`` tells what these weights gain on RAVDESS, where face and voice are of one take: with
  nets that have not heard the actor, and with one that has heard nothing of RAVDESS; what would
  have been fitted there stands beside it. It is left out where those nets are not at hand.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from fusion import (
    AS_EXPRESSION,
    LABELS,
    UNITS,
    Array,
    Takes,
    figures,
    fit_share,
    merged,
    read,
    unseen_faces,
)
from numpy.typing import NDArray
from scipy.optimize import minimize
from voice_corpora import CORPORA, read_takes
from voice_multi_figures import UNHEARD, Said, Truth, nameable
from voice_said import KINDS

from avaffect.arrays import softmax
from avaffect.files.atomic import write_json
from avaffect.labels import EXPRESSIONS
from avaffect.metrics.calibration import fit_temperature
from avaffect.predictors.starter.fusion import weights_path
from avaffect.predictors.starter.valence_arousal import va_of_face

PAIRS = 300
"""Of each expression of each corpus but Neutral."""
CONVERSATION = 0.44
"""How much is neutral: of Aff-Wild2's frames with one of the seven expressions .439 are (published
counts of 598,300), and OMG-Empathy's listeners put .437 of their time within .2 of no valence."""
NEUTRAL = EXPRESSIONS.index("Neutral")
POWERS = ("face", "voice", "neutral")
NUMBER = np.array([EXPRESSIONS.index(name) for name in AS_EXPRESSION])


class Pairs(NamedTuple):
    """[M, 8] log probabilities of faces and of voices, and their expressions [M]."""

    face: Array
    voice: Array
    label: NDArray[np.int64]


def joined(parts: Iterable[Pairs]) -> Pairs:
    """All of them."""
    return Pairs(*map(np.concatenate, zip(*parts, strict=True)))


def faces(ravdess: Path, units: Path) -> tuple[Array, NDArray[np.int64]]:
    """[N, 8] calibrated log probabilities of the stand-in for all takes, and true expressions."""
    with (ravdess / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["av_key"]: row for row in csv.DictReader(file)}
    with np.load(units, allow_pickle=False) as table:
        seen = dict(zip(table["names"].tolist(), table["X"][:, :UNITS], strict=True))
    names = [name for name in rows if name in seen]
    silent = np.zeros((len(names), len(LABELS)))
    takes = Takes(
        actor=np.array([int(rows[name]["subject"]) for name in names]),
        fold=np.array([int(rows[name]["fold5"]) for name in names]),
        label=np.array([LABELS.index(rows[name]["label"]) for name in names]),
        units=np.stack([seen[name] for name in names]).astype(float),
        clean=silent,
        degraded=silent,
    )
    return face_of(takes), NUMBER[takes.label]


def face_of(takes: Takes) -> Array:
    """[N, 8] log probabilities of the stand-in, as sure as it is right."""
    logs = merged(unseen_faces(takes))
    return np.log(softmax(logs, fit_temperature(logs, NUMBER[takes.label])))


def voice_of(logs: Array, hot: float) -> Array:
    """[N, 8] log probabilities over ``EXPRESSIONS``, softened, of some over ``LABELS``."""
    return np.log(softmax(merged(logs), hot))


def pairs(
    runs: Path, truth: Truth, seen: tuple[Array, NDArray[np.int64]], hot: float
) -> dict[tuple[str, str], Pairs]:
    """By corpus and kind faces beside voices never heard."""
    rng, out = np.random.default_rng(0), {}
    for corpus in CORPORA:
        path = runs / f"{corpus}.npz"
        for kind in KINDS:
            face, voice, label = [], [], []
            said = Said.read(path, kind) if path.exists() else None
            if said is None:
                continue
            mean = nameable(said, truth).means()
            opinions = voice_of(np.log(softmax(mean.logits)), hot)
            true = NUMBER[truth.label[mean.take]]
            there = np.unique(true)
            plain = round(PAIRS * (len(there) - 1) * CONVERSATION / (1 - CONVERSATION))
            for one in there:
                count = plain if one == NEUTRAL else PAIRS
                voice.append(opinions[rng.choice(np.flatnonzero(true == one), count)])
                face.append(seen[0][rng.choice(np.flatnonzero(seen[1] == one), count)])
                label.append(np.full(count, one))
            out[corpus, kind] = Pairs(*map(np.concatenate, (face, voice, label)))
    return out


def fitted(some: Pairs) -> dict[str, float]:
    """The powers, what Neutral gains, and the shares."""
    face, voice, label = some

    def of(values: Array) -> float:
        return surprise(mixed(some, dict(zip(POWERS, values, strict=True))), label)

    found = minimize(of, np.array([1.0, 1.0, 0.0]), bounds=[(0, 3), (0, 3), (-3, 3)]).x
    true = va_of_face(np.eye(len(EXPRESSIONS))[label])[0]
    seen, heard = (va_of_face(softmax(logs))[0] for logs in (face, voice))
    shares = [fit_share(seen[:, d], heard[:, d], true[:, d]) for d in (0, 1)]
    names = (*POWERS, "valence", "arousal")
    return {name: float(value) for name, value in zip(names, [*found, *shares], strict=True)}


def mixed(some: Pairs, weights: Mapping[str, float]) -> Array:
    """[M, 8], logarithms of both together, as avaffect.predictors.starter.fusion pools them."""
    gain = weights["neutral"] * (np.arange(len(EXPRESSIONS)) == NEUTRAL)
    return weights["face"] * some.face + weights["voice"] * some.voice + gain


def told(some: Pairs, weights: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Of face, voice and both: accuracy, mean recall, recall of Neutral, surprise."""
    out = {}
    for name, logs in zip(
        ("face", "voice", "both"), (some.face, some.voice, mixed(some, weights)), strict=True
    ):
        guess = logs.argmax(axis=1)
        right = {k: float((guess[some.label == k] == k).mean()) for k in np.unique(some.label)}
        row = {
            "accuracy": float((guess == some.label).mean()),
            "UAR": float(np.mean(list(right.values()))),
            "Neutral found": right[NEUTRAL],
            "surprise": surprise(logs, some.label),
        }
        out[name] = {key: round(value, 3) for key, value in row.items()}
    return out


def elsewhere(all_pairs: Mapping[tuple[str, str], Pairs]) -> dict[str, Any]:
    """By corpus and kind what weights say that were fitted without the corpus; and their mean."""
    out: dict[str, Any] = {}
    for (corpus, kind), some in all_pairs.items():
        others = [pairs for (name, _), pairs in all_pairs.items() if name != corpus]
        out[f"{corpus}, {kind}"] = told(some, fitted(joined(others)))
    rows = list(out.values())
    out["mean"] = {
        name: {key: round(float(np.mean([row[name][key] for row in rows])), 3) for key in figure}
        for name, figure in rows[0].items()
    }
    return out


def surprise(logs: Array, label: NDArray[np.int64]) -> float:
    """Mean surprise at the labels, nats."""
    return float(-np.log(softmax(logs))[np.arange(len(label)), label].mean())


def on_ravdess(takes: Takes, weights: Mapping[str, float]) -> dict[str, Any]:
    """What both together name right there, and what the face alone does; what would be fitted."""
    label, hot = NUMBER[takes.label], weights["temperature"]
    voices = {
        "clean": voice_of(takes.clean, hot),
        "degraded": voice_of(takes.degraded, hot),
    }
    some = {name: Pairs(face_of(takes), voice, label) for name, voice in voices.items()}
    out: dict[str, Any] = {}
    for name, mine in some.items():
        for what, logs in {
            "face alone": mine.face,
            f"voice alone, {name}": mine.voice,
            f"both, voice {name}": mixed(mine, weights),
        }.items():
            guess = logs.argmax(axis=1)
            plain = float((guess == NEUTRAL)[label == NEUTRAL].mean())
            out[what] = figures(guess, takes, label) | {
                "Neutral found": round(plain, 3),
                "interval": held(softmax(logs), label),
            }
    out["would be fitted"] = fitted(joined(some.values()))
    return out


def held(chances: Array, label: NDArray[np.int64]) -> dict[str, list[float]]:
    """How often the interval of expressions holds the value of the true one, and its width."""
    low, high = np.moveaxis(va_of_face(chances)[1], 2, 0)
    true = va_of_face(np.eye(len(EXPRESSIONS))[label])[0]
    inside, width = ((low <= true) & (true <= high)).mean(axis=0), (high - low).mean(axis=0)
    return {
        name: [round(float(inside[d]), 3), round(float(width[d]), 3)]
        for d, name in enumerate(("valence", "arousal"))
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--ravdess", type=Path, required=True)
    parser.add_argument("--units", type=Path, required=True)
    parser.add_argument("--takes", type=Path, required=True, help="folder of takes.csv")
    parser.add_argument("--runs", type=Path, required=True, help="voice_multi_figures.py's folder")
    options = parser.parse_args()
    found = json.loads((options.runs / "figures.json").read_text(encoding="utf-8"))
    hot = found[UNHEARD]["temperature"]
    truth = Truth.of(read_takes(options.takes / "takes.csv"))
    by_corpus = pairs(options.runs, truth, faces(options.ravdess, options.units), hot)
    some = joined(by_corpus.values())
    weights = fitted(some) | {"temperature": hot}
    there = {
        name: options.runs / name
        for name in ("folds.npz", "unheard.npz")
        if (options.runs / name).exists()
    }
    table = {
        "weights": weights,
        "pairs": {"count": len(some.label)} | told(some, weights),
        "elsewhere": elsewhere(by_corpus),
        "ravdess": {
            name: on_ravdess(read(options.ravdess, options.units, path), weights)
            for name, path in there.items()
        },
        "voice_elsewhere": {
            corpus: {name: row[name] for name in ("UAR", "UAR, 95 %", "temperature")}
            for corpus, row in found[UNHEARD]["clean"].items()
            if "UAR" in row
        },
        "fitted_by": "starter_training/fusion_elsewhere.py",
        "fitted_on": "voices of corpora that the net never heard, beside faces of RAVDESS with "
        "the same expression (action units averaged over a take); values are the label's",
        "licence": "figures only; RAVDESS and nEMO are CC BY-NC-SA 4.0, TESS CC BY-NC-ND 4.0, "
        "CASIA states none",
        "date": date.today().isoformat(),
    }
    write_json(weights_path("starter2"), table)
    print(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
