"""Set starter-1's fusion weights on RAVDESS, and tell what fusion gains there.

    python starter_training/fusion.py --ravdess path/to/ravdess_speech \\
        --units path/to/au_mfcc.npz --voice work/voice/oof.npz

The voice's opinions are those of nets that have not heard the actor (starter_training/voice.py),
of clean and of degraded takes. RAVDESS's pictures are not at hand, only OpenFace's action units
averaged over each take: a logistic regression on them, fitted without the actor, stands in for the
face. Five folds by actor throughout. Rewrites avaffect/predictors/starter/starter1_fusion.json.

What is shipped trusts the voice less than RAVDESS asks for: the voice net knows its two sentences
and its acting, the stand-in for the face is weaker than a net. Elsewhere classes and valence in a
voice are known to travel badly from corpus to corpus, arousal well; no data at hand could tell by
how much, so the voice's power and its share of valence are halved (``ELSEWHERE``).
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from avaffect.arrays import softmax
from avaffect.files.atomic import write_json
from avaffect.labels import EXPRESSIONS
from avaffect.predictors.starter.fusion import FLOOR, weights_path
from avaffect.predictors.starter.valence_arousal import va_of_face

Array = NDArray[np.float64]

LABELS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
# Calm has no class of its own in the challenge.
AS_EXPRESSION = (
    "Neutral", "Neutral", "Happiness", "Sadness", "Anger", "Fear", "Disgust", "Surprise",
)  # fmt: skip
MERGE = np.array([[name == one for one in EXPRESSIONS] for name in AS_EXPRESSION], float)
UNITS = 35
FOLDS = 5
RESAMPLES = 1000
ELSEWHERE = 0.5


@dataclass(frozen=True)
class Takes:
    """RAVDESS's takes.

    Attributes:
        actor, fold: int [N].
        label: int [N], of ``LABELS``.
        units: float64 [N, 35].
        clean, degraded: float64 [N, 8], log probabilities of the voice over ``LABELS``.
    """

    actor: NDArray[np.int64]
    fold: NDArray[np.int64]
    label: NDArray[np.int64]
    units: Array
    clean: Array
    degraded: Array

    def rows(self, kept: NDArray[np.bool_]) -> Takes:
        return replace(self, **{name: value[kept] for name, value in vars(self).items()})


def read(ravdess: Path, units: Path, voice: Path) -> Takes:
    """The takes that all three files know."""
    with (ravdess / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["av_key"]: row for row in csv.DictReader(file)}
    with np.load(units, allow_pickle=False) as table:
        seen = dict(zip(table["names"].tolist(), table["X"][:, :UNITS], strict=True))
    with np.load(voice, allow_pickle=False) as table:
        keys = table["av_key"].tolist()
        heard = {
            name: dict(zip(keys, np.log(softmax(table[name])), strict=True))
            for name in ("logits", "logits_degraded")
        }
    names = [name for name in keys if name in rows and name in seen]
    return Takes(
        actor=np.array([int(rows[name]["subject"]) for name in names]),
        fold=np.array([int(rows[name]["fold5"]) for name in names]),
        label=np.array([LABELS.index(rows[name]["label"]) for name in names]),
        units=np.stack([seen[name] for name in names]).astype(float),
        clean=np.stack([heard["logits"][name] for name in names]),
        degraded=np.stack([heard["logits_degraded"][name] for name in names]),
    )


def face_opinions(train: Takes, test: Takes) -> Array:
    """[n, 8] log probabilities over ``LABELS`` of ``test`` by what ``train`` teaches."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    return np.asarray(model.fit(train.units, train.label).predict_log_proba(test.units))


def unseen_faces(takes: Takes) -> Array:
    """[N, 8]: each fold's opinions by the other folds."""
    out = np.empty((len(takes.label), len(LABELS)))
    for fold in np.unique(takes.fold):
        held = takes.fold == fold
        out[held] = face_opinions(takes.rows(~held), takes.rows(held))
    return out


def fit_powers(
    face: Array, voices: list[Array], label: NDArray[np.int64], voice_power: float | None = None
) -> Array:
    """[2], the powers of face and voice that make the labels likeliest, over all ``voices``.

    With ``voice_power``, that of the face beside it.
    """

    def surprise(powers: Array) -> float:
        total = 0.0
        for voice in voices:
            mixed = np.log(softmax(powers[0] * face + powers[1] * voice))
            total -= float(mixed[np.arange(len(label)), label].mean())
        return total

    voice_bounds = (0, 3) if voice_power is None else (voice_power, voice_power)
    start = np.array([1.0, 1.0 if voice_power is None else voice_power])
    found = minimize(surprise, start, bounds=[(0, 3), voice_bounds])
    return np.asarray(found.x)


def merged(logs: Array) -> Array:
    """[n, 8] log probabilities over ``LABELS`` as those over ``EXPRESSIONS``."""
    return np.log(np.maximum(np.exp(logs) @ MERGE, FLOOR))


def fit_share(face: Array, voice: Array, true: Array) -> float:
    """The voice's share, 0..1, that makes the weighted mean of both closest to ``true``."""
    apart = voice - face
    return float(np.clip((apart * (true - face)).sum() / (apart**2).sum(), 0, 1))


def figures(
    found: NDArray[np.int64], takes: Takes, label: NDArray[np.int64] | None = None
) -> dict[str, Any]:
    """Accuracy and macro F1 with 95 % intervals, actors resampled."""
    label = takes.label if label is None else label
    rng, actors = np.random.default_rng(0), np.unique(takes.actor)
    places = {actor: np.flatnonzero(takes.actor == actor) for actor in actors}
    drawn = []
    for _ in range(RESAMPLES):
        rows = np.concatenate([places[actor] for actor in rng.choice(actors, len(actors))])
        drawn.append(scores(found[rows], label[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    accuracy, f1 = scores(found, label)
    return {
        "accuracy": accuracy,
        "accuracy_interval": [low[0], high[0]],
        "macro_f1": f1,
        "macro_f1_interval": [low[1], high[1]],
    }


def scores(found: NDArray[np.int64], label: NDArray[np.int64]) -> tuple[float, float]:
    """Accuracy and macro F1."""
    return float((found == label).mean()), float(f1_score(label, found, average="macro"))


def evaluate(takes: Takes) -> dict[str, Any]:
    """Each modality alone and both, by folds; the powers come from the other folds."""
    chosen: dict[str, NDArray[np.int64]] = {}

    def keep(name: str, rows: NDArray[np.bool_], logs: Array) -> None:
        chosen.setdefault(name, np.empty(len(takes.label), int))[rows] = logs.argmax(axis=1)

    for fold in range(FOLDS):
        held = takes.fold == fold
        train, test = takes.rows(~held), takes.rows(held)
        powers = fit_powers(unseen_faces(train), [train.clean, train.degraded], train.label)
        face = face_opinions(train, test)
        keep("face", held, face)
        for name, voice in (("clean", test.clean), ("degraded", test.degraded)):
            keep(f"voice, {name}", held, voice)
            keep(f"both, voice {name}", held, powers[0] * face + powers[1] * voice)
    return {name: figures(found, takes) for name, found in chosen.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ravdess", type=Path, required=True)
    parser.add_argument("--units", type=Path, required=True)
    parser.add_argument("--voice", type=Path, required=True)
    options = parser.parse_args()
    takes = read(options.ravdess, options.units, options.voice)
    by_fold = evaluate(takes)

    face, voices = merged(unseen_faces(takes)), [merged(takes.clean), merged(takes.degraded)]
    label = np.array([EXPRESSIONS.index(AS_EXPRESSION[one]) for one in takes.label])
    fitted = fit_powers(face, voices, label)
    powers = fit_powers(face, voices, label, fitted[1] * ELSEWHERE)
    shipped = {
        name: figures((powers[0] * face + powers[1] * logs).argmax(axis=1), takes, label)
        for name, logs in zip(("voice clean", "voice degraded"), voices, strict=True)
    }
    true = va_of_face(np.eye(len(EXPRESSIONS))[label])[0]
    said = [va_of_face(softmax(logs))[0] for logs in (face, *voices)]
    both = np.concatenate(said[1:])
    shares = [
        fit_share(np.tile(said[0][:, d], 2), both[:, d], np.tile(true[:, d], 2)) for d in (0, 1)
    ]
    write_json(
        weights_path("starter1"),
        {
            "weights": {
                "face": powers[0],
                "voice": powers[1],
                "valence": shares[0] * ELSEWHERE,
                "arousal": shares[1],
            },
            "fitted": {
                "face": fitted[0],
                "voice": fitted[1],
                "valence": shares[0],
                "arousal": shares[1],
            },
            "as_shipped": shipped,
            "takes": len(label),
            "eight_labels_by_actor": by_fold,
            "fitted_by": "starter_training/fusion.py",
            "fitted_on": "RAVDESS: action units averaged over the take in the face's place, the "
            "voice clean and degraded; valence and arousal are those of the label",
            "licence": "figures only; RAVDESS is CC BY-NC-SA 4.0",
            "date": date.today().isoformat(),
        },
    )
    for name, one in by_fold.items():
        print(f"{name}: accuracy {one['accuracy']:.3f}, macro F1 {one['macro_f1']:.3f}")
    print(f"fitted {fitted}, shipped {powers}; the voice's shares {shares}; as shipped {shipped}")


if __name__ == "__main__":
    main()
