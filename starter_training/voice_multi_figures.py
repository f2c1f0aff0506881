"""What voice nets are worth on speakers, and on corpora, that they never heard.

    python starter_training/voice_multi_figures.py --takes work/voices --runs work/voice/alone

reads the runs that are there and writes ``figures.json`` (and prints it short), ``folds.npz`` and
``unheard.npz``: what is said of RAVDESS's takes by nets that have heard other actors of it, and by
the one that has heard nothing of it, if that can name all labels. fusion_elsewhere.py tells what
the voice's weights are worth by them.

Everything is of expressions, calm and neutral being one, but for ``RAVDESS, 8 labels``. Of a
corpus that was left out only its own classes count. Intervals are 95 %: speakers are drawn with
replacement, and takes within each; TESS has two speakers and CASIA four, so theirs are too narrow.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import spearmanr
from voice_corpora import CORPORA, EXCITED, LABELS, Take, arousal_ranks, read_takes
from voice_figures import confusion, macro_f1
from voice_said import EMOTIONS, FOLDS, KINDS

from avaffect.arrays import softmax
from avaffect.files.atomic import atomic_path, write_json

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

DRAWS = 500
SPEAKERS, UNHEARD = "speakers never heard", "corpora never heard"
# A class whose chance is never above this is one that the net does not know.
UNKNOWN = 1e-7
EXPRESSIONS = ("neutral", *LABELS[2:])
# Logarithms of what a temperature may be.
COLD, HOT = np.log(0.2), np.log(30.0)


@dataclass(frozen=True)
class Said:
    """What a run says of the takes that it has not learnt from, a row a window.

    Attributes:
        take: int64 [W], the take's number in takes.csv.
        logits: float64 [W, 8], of ``LABELS``.
        arousal: float64 [W], only their order counts.
    """

    take: Labels
    logits: Array
    arousal: Array

    @classmethod
    def read(cls, path: Path, kind: str) -> Said | None:
        """None if the run has heard nothing of that kind."""
        with np.load(path, allow_pickle=False) as file:
            if kind not in file:
                return None
            values, take = file[kind].astype(float), file[f"{kind}_take"]
        logits, arousal = values[:, :EMOTIONS], values[:, EMOTIONS]
        # A net that says nothing of arousal: that which its emotions have.
        excited = softmax(logits) @ np.array([EXCITED[label] for label in LABELS])
        return cls(take, logits, np.where(np.isnan(arousal), excited, arousal))

    @classmethod
    def joined(cls, parts: Sequence[Said]) -> Said:
        return cls(
            *(np.concatenate([getattr(one, name) for one in parts]) for name in vars(parts[0]))
        )

    def of(self, kept: NDArray[np.bool_]) -> Said:
        """The windows of those takes, bool by number."""
        return self.rows(kept[self.take])

    def rows(self, kept: NDArray[np.bool_]) -> Said:
        """Some windows, bool [W]."""
        return Said(self.take[kept], self.logits[kept], self.arousal[kept])

    def means(self) -> Said:
        """A row a take: the mean of its windows."""
        takes, at = np.unique(self.take, return_inverse=True)
        count = np.bincount(at)[:, None]
        values = np.column_stack([self.logits, self.arousal])
        total = np.zeros((len(takes), values.shape[1]))
        np.add.at(total, at, values)
        mean = total / count
        return Said(takes, mean[:, :EMOTIONS], mean[:, EMOTIONS])


def as_expressions(chances: Array) -> Array:
    """[N, 8] over ``LABELS`` as [N, 7] over ``EXPRESSIONS``."""
    return np.column_stack([chances[:, 0] + chances[:, 1], chances[:, 2:]])


def expression(label: Labels) -> Labels:
    return np.maximum(label - 1, 0)


@dataclass(frozen=True)
class Truth:
    """What is true of all takes."""

    label: Labels
    corpus: NDArray[np.str_]
    speaker: NDArray[np.str_]
    arousal: NDArray[np.float32]

    @classmethod
    def of(cls, takes: Sequence[Take]) -> Truth:
        speaker, label = [take.speaker for take in takes], [take.label for take in takes]
        return cls(
            np.array([LABELS.index(name) for name in label]),
            np.array([take.corpus for take in takes]),
            np.array(speaker),
            arousal_ranks(speaker, label, [take.intensity for take in takes]),
        )


def nameable(said: Said, truth: Truth) -> Said:
    """Without takes of an expression that no corpus of the training had: it cannot be named."""
    known = as_expressions(softmax(said.logits)).max(axis=0) > UNKNOWN
    return said.rows(known[expression(truth.label[said.take])])


def recall(truth: Labels, guess: Labels) -> float:
    """The mean recall of the classes that occur (UAR)."""
    count = np.bincount(truth)
    right = np.bincount(truth[guess == truth], minlength=len(count))
    return float((right[count > 0] / count[count > 0]).mean())


def interval(truth: Labels, guess: Labels, speaker: NDArray[np.str_], score: Any) -> list[float]:
    """95 % of a score, speakers and their takes drawn with replacement."""
    rng = np.random.default_rng(0)
    people = [np.flatnonzero(speaker == one) for one in np.unique(speaker)]
    drawn = []
    for _ in range(DRAWS):
        chosen = [people[i] for i in rng.integers(len(people), size=len(people))]
        rows = np.concatenate([rng.choice(rows, len(rows)) for rows in chosen])
        drawn.append(score(truth[rows], guess[rows]))
    return np.quantile(drawn, [0.025, 0.975]).round(3).tolist()


def centred(logits: Array, speaker: NDArray[np.str_]) -> Array:
    """Less what is said of each speaker on the whole: as if their voice at large were known."""
    out = logits.copy()
    for one in np.unique(speaker):
        out[speaker == one] -= logits[speaker == one].mean(axis=0)
    return out


def of_corpus(said: Said, truth: Truth) -> dict[str, Any]:
    """Figures of one corpus's takes, over the expressions that it has."""
    mean = said.means()
    label, speaker = expression(truth.label[mean.take]), truth.speaker[mean.take]
    classes = np.unique(label)

    def guessed(logits: Array) -> Labels:
        return classes[as_expressions(softmax(logits))[:, classes].argmax(axis=1)]

    guess = guessed(mean.logits)
    ranks = [
        spearmanr(mean.arousal[speaker == one], truth.arousal[mean.take][speaker == one])[0]
        for one in np.unique(speaker)
    ]
    return {
        "takes": len(label),
        "expressions": [EXPRESSIONS[i] for i in classes],
        "UAR": round(recall(label, guess), 3),
        "UAR, 95 %": interval(label, guess, speaker, recall),
        "UAR, each speaker's mean taken off": round(
            recall(label, guessed(centred(mean.logits, speaker))), 3
        ),
        "recall": {
            EXPRESSIONS[i]: round(float((guess[label == i] == i).mean()), 3) for i in classes
        },
        "arousal, rank correlation within speakers": round(float(np.mean(ranks)), 3),
    }


def weights(said: Said, truth: Truth) -> Array:
    """Corpora alike, within them expressions, within those takes."""
    out = np.ones(len(said.take))
    label, corpus = expression(truth.label[said.take]), truth.corpus[said.take]
    out /= np.bincount(said.take)[said.take]
    for keys in (np.char.add(corpus, label.astype(str)), corpus):
        _, at = np.unique(keys, return_inverse=True)
        out /= np.bincount(at, out)[at]
    return out / out.sum()


def surprise(said: Said, truth: Truth, hot: float = 1.0) -> float:
    """Mean surprise at the true expressions, nats; ln 7 is that of knowing nothing.

    Args:
        said: by windows.
        truth: of all takes.
        hot: what expressions' logarithms are divided by, as avaffect.predictors.starter.fusion
            does.
    """
    chances = as_expressions(softmax(said.logits)) ** (1 / hot)
    chances /= chances.sum(axis=1, keepdims=True)
    right = chances[np.arange(len(chances)), expression(truth.label[said.take])]
    return float(-(weights(said, truth) * np.log(np.maximum(right, 1e-12))).sum())


def temperature(said: Said, truth: Truth) -> float:
    """That which makes the true expressions likeliest."""

    def of(log: float) -> float:
        return surprise(said, truth, float(np.exp(log)))

    return float(np.exp(minimize_scalar(of, bounds=(COLD, HOT), method="bounded").x))


def calibration(said: Said, truth: Truth) -> dict[str, float]:
    best = temperature(said, truth)
    return {
        "temperature": round(best, 3),
        "surprise": round(surprise(said, truth), 3),
        "surprise, calibrated": round(surprise(said, truth, best), 3),
    }


def labels_of_ravdess(said: Said, truth: Truth) -> dict[str, Any]:
    """Accuracy and macro F1 of its 8 labels, as starter-1-voice's are given."""
    mean = said.means()
    label, guess = truth.label[mean.take], mean.logits.argmax(axis=1)
    out: dict[str, Any] = {"takes": len(label)}
    for name, score in {
        "accuracy": lambda a, b: float((a == b).mean()),
        "macro F1": lambda a, b: macro_f1(confusion(a, b, EMOTIONS)),
    }.items():
        out[name] = round(score(label, guess), 3)
        out[f"{name}, 95 %"] = interval(label, guess, truth.speaker[mean.take], score)
    return out


def write_opinions(path: Path, takes: Sequence[Take], by_kind: dict[str, Said]) -> None:
    """Logits of RAVDESS's takes that were heard in both kinds, as voice.py writes them."""
    clean, worse = (by_kind[kind].means() for kind in KINDS)
    both = np.intersect1d(clean.take, worse.take)
    with atomic_path(path) as temporary:
        np.savez(
            temporary,
            av_key=np.array([takes[i].key for i in both]),
            labels=np.array(LABELS),
            logits=clean.logits[np.isin(clean.take, both)],
            logits_degraded=worse.logits[np.isin(worse.take, both)],
        )


def of_runs(paths: Sequence[Path], truth: Truth) -> tuple[dict[str, Any], dict[str, Said]]:
    """Figures of some runs together, and what they say by kind."""
    by_kind, out = {}, {"runs": [path.stem for path in paths]}
    for kind in KINDS:
        parts = [
            nameable(said, truth) for path in paths if (said := Said.read(path, kind)) is not None
        ]
        if not parts:
            continue
        said = by_kind[kind] = Said.joined(parts)
        out[kind] = {
            str(corpus): of_corpus(mine, truth) | calibration(mine, truth)
            for corpus in np.unique(truth.corpus[said.take])
            for mine in [said.of(truth.corpus == corpus)]
        } | {"all": calibration(said, truth)}
    out["temperature"] = calibration(Said.joined(list(by_kind.values())), truth)["temperature"]
    return out, by_kind


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--takes", type=Path, required=True, help="folder of takes.csv")
    parser.add_argument(
        "--runs", type=Path, required=True, help="of voice_speakers.py or voice_hear.py"
    )
    arguments = parser.parse_args()
    takes = read_takes(arguments.takes / "takes.csv")
    truth, result = Truth.of(takes), {}
    for title, names, opinions in (
        (SPEAKERS, FOLDS, "folds.npz"),
        (UNHEARD, CORPORA, "unheard.npz"),
    ):
        paths = [p for name in names if (p := arguments.runs / f"{name}.npz").exists()]
        if not paths:
            continue
        result[title], by_kind = of_runs(paths, truth)
        mine = {kind: said.of(truth.corpus == "ravdess") for kind, said in by_kind.items()}
        for kind, said in mine.items():
            if title == SPEAKERS and len(said.take):
                result[title][kind]["RAVDESS, 8 labels"] = labels_of_ravdess(said, truth)
            tell(f"{title}, {kind}", result[title][kind])
        if len(mine) == len(KINDS) and len(np.unique(truth.label[mine["clean"].take])) == EMOTIONS:
            write_opinions(arguments.runs / opinions, takes, mine)
        print(f"{title}: temperature {result[title]['temperature']}")
    write_json(arguments.runs / "figures.json", result)


def tell(title: str, table: dict[str, Any]) -> None:
    for name, row in table.items():
        said = {key: value for key, value in row.items() if not isinstance(value, dict)}
        print(f"{title}, {name}: {said}")


if __name__ == "__main__":
    main()
