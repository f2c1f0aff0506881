"""Fit starter-2-voice: emotions and speakers as Gaussians in what the speaker encoder hears.

    python starter_training/voice_speakers.py --takes work/voices --runs work/voice
    python starter_training/voice_speakers.py --takes work/voices --runs work/voice \\
        --encoder work/resemblyzer/pretrained.pt --onnx work/starter-2-voice.onnx

reads what voice_windows.py left. The first leaves out each corpus, and each fold of speakers, and
writes what is then said of their takes: ``RUNS/COMPANY/NAME.npz``, as voice_multi_figures.py
reads it. The company of a take is what else of its speaker is in the file: ``alone`` nothing;
``half`` half of ten takes neutral, half of the take's emotion; ``mixed`` 29 takes of all emotions;
``same`` nine of the take's emotion; ``two`` as ``mixed``, and as many of another speaker. The
second fits all and writes the package's file.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from voice_corpora import CORPORA, LABELS, LICENCES, Take, read_takes
from voice_said import FOLDS, KINDS, left_out, told, write_said

from avaffect.sound.speakers import Speakers

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

# Shares of an even variance in those within and between speakers; chosen by leaving a second
# corpus out of training.
WITHIN, BETWEEN = 0.3, 0.7
TEMPERATURE, HEED = 4.0, 0.6
# Where directions, from that in which speakers differ most, are taken to be of one spread.
GROUPS = (0, 8, 16, 32, 64, 128, 256)
NEUTRAL = ("neutral", "calm")
# How likely they are before anything is heard, as two of eight labels; the others are alike.
PLAIN = 0.25
# The chance of a class that a model does not know.
LEAST = 1e-9
COMPANIES = ("alone", "half", "mixed", "same", "two")
HALF, MIXED = 5, 29
SCENES = ("scene-1", "scene-2", "scene-3")


@dataclass(frozen=True)
class Fitted:
    """Emotions and speakers.

    Attributes:
        origin: [D], taken off an embedding.
        directions: [D, K], the space of ``speakers``.
        speakers: the model there.
        labels: int64 [C], its classes, of ``LABELS``.
    """

    origin: Array
    directions: Array
    speakers: Speakers
    labels: Numbers

    def place(self, values: NDArray[np.floating]) -> Array:
        """[N, K] of embeddings [N, D]."""
        out: Array = (values - self.origin) @ self.directions
        return out


def fit(
    values: Array,
    label: Numbers,
    speaker: NDArray[np.str_],
    within: float = WITHIN,
    between: float = BETWEEN,
) -> Fitted:
    """Each speaker counts alike, and within one each emotion.

    Args:
        values: [N, D], embeddings of windows.
        label: int64 [N], of ``LABELS``.
        speaker: str [N].
        within, between: shares of an even variance in what is within and between speakers.
    """
    names, who = np.unique(speaker, return_inverse=True)
    labels, label = np.unique(label, return_inverse=True)
    cell = who * len(labels) + label
    weight = 1 / np.bincount(cell)[cell]
    weight /= np.bincount(who, weight)[who] * len(names)
    origin = weight @ values
    size = np.sqrt(weight @ np.square(values - origin)) + 1e-6
    rows = (values - origin) / size
    means, offsets = np.zeros((len(labels), rows.shape[1])), np.zeros((len(names), rows.shape[1]))
    for _ in range(8):
        for k in range(len(labels)):
            mine = label == k
            means[k] = weight[mine] @ (rows[mine] - offsets[who[mine]]) / weight[mine].sum()
        for i in range(len(names)):
            mine = who == i
            offsets[i] = weight[mine] @ (rows[mine] - means[label[mine]]) / weight[mine].sum()
        offsets -= offsets.mean(0)
    rest = rows - means[label] - offsets[who]
    inside = _even((rest * weight[:, None]).T @ rest, within)
    outside = _even(offsets.T @ offsets / len(names), between)
    spread, directions = _few(*eigh(outside, inside), means)
    plain = np.array([LABELS[i] in NEUTRAL for i in labels])
    prior = np.where(plain, PLAIN / max(plain.sum(), 1), (1 - PLAIN) / max((~plain).sum(), 1))
    speakers = Speakers(means @ directions, spread, prior / prior.sum(), HEED)
    return Fitted(origin, directions / size[:, None], speakers, labels)


def _few(spread: Array, directions: Array, means: Array) -> tuple[Array, Array]:
    """Spread [K] and directions [D, K]: those of one spread are turned, so that emotions differ in
    few of them; the others tell nothing."""
    spread, directions = np.maximum(spread[::-1], 1e-3), directions[:, ::-1]
    groups, turned = [], []
    edges = [*(edge for edge in GROUPS if edge < len(spread)), len(spread)]
    for first, last in pairwise(edges):
        mine = directions[:, first:last]
        placed = means @ mine
        _, size, turns = np.linalg.svd(placed - placed.mean(0), full_matrices=False)
        turned.append(mine @ turns[size > 1e-6 * size.max()].T)
        groups.append(np.full(turned[-1].shape[1], spread[first:last].mean()))
    return np.concatenate(groups), np.concatenate(turned, axis=1)


def _even(variance: Array, share: float) -> Array:
    count = len(variance)
    return (1 - share) * variance + share * np.eye(count) * np.trace(variance) / count


class Company:
    """What else is in the file in which a take is heard.

    Args:
        takes: all.
        mine: numbers of those that may be there.
        seed: of what is drawn.
    """

    def __init__(self, takes: Sequence[Take], mine: Numbers, seed: int = 0) -> None:
        self._takes = takes
        self._rng = np.random.default_rng(seed)
        self._by: dict[str, dict[str, list[int]]] = {}
        for i in mine.tolist():
            take = takes[i]
            self._by.setdefault(take.speaker, {}).setdefault(take.label, []).append(i)

    def of(self, kind: str, take: int) -> list[int]:
        """Numbers of other takes; ``kind`` is of ``COMPANIES``."""
        mine = self._takes[take]
        if kind == "alone":
            return []
        if kind == "same":
            return self._some(take, 2 * HALF - 1, (mine.label,))
        if kind == "half":
            others = sorted(set(self._by[mine.speaker]) - set(NEUTRAL))
            second = (str(self._rng.choice(others)),) if mine.label in NEUTRAL else NEUTRAL
            return self._some(take, HALF - 1, (mine.label,)) + self._some(take, HALF, second)
        out = self._mixed(mine.speaker, MIXED, take)
        if kind == "two":
            near = sorted(
                name
                for name, labels in self._by.items()
                if name.split("-")[0] == mine.corpus and name != mine.speaker
            )
            out += self._mixed(str(self._rng.choice(near)), MIXED + 1, take) if near else []
        return out

    def _some(self, take: int, count: int, labels: Sequence[str]) -> list[int]:
        own = self._by[self._takes[take].speaker]
        there = [i for label in labels for i in own.get(label, []) if i != take]
        return self._rng.permutation(there)[:count].astype(int).tolist()

    def _mixed(self, speaker: str, count: int, without: int) -> list[int]:
        """Of all emotions alike."""
        own = self._by[speaker]
        each = -(-count // len(own))
        there = [
            i
            for label in sorted(own)
            for i in self._rng.permutation(own[label])[: each + 1].tolist()
            if i != without
        ]
        return self._rng.permutation(there)[:count].astype(int).tolist()


def said(
    model: Fitted, values: Array, others: Sequence[Sequence[int]], mine: Numbers
) -> list[NDArray[np.float32]]:
    """Of each take in ``mine`` float32 [1, 9], logarithms and no arousal.

    Args:
        model: what judges.
        values: [N, D] by number.
        others: for each take those that are in the file too.
        mine: numbers of takes.
    """
    placed = model.place(values)
    out = []
    for take, more in zip(mine, others, strict=True):
        file = np.array([take, *more])
        # Windows that do not overlap.
        chances = model.speakers.probabilities(
            placed[file], np.arange(len(file)) * 3.0, 3.0, TEMPERATURE
        )
        row = np.full((1, len(LABELS) + 1), np.log(LEAST), np.float32)
        row[0, model.labels] = np.log(np.maximum(chances[0], LEAST))
        row[0, -1] = np.nan
        out.append(row)
    return out


def read_windows(folder: Path, kind: str, count: int) -> Array | None:
    """[count, D] by the number of a take, NaN where it was not heard; None if there is none."""
    path = folder / f"{kind}-windows.npz"
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        out = np.full((count, file["values"].shape[1]), np.nan)
        out[file["take"]] = file["values"]
    return out


def learnt(
    takes: Sequence[Take], heard: Sequence[Array], kept: NDArray[np.bool_]
) -> tuple[Array, Numbers, NDArray[np.str_]]:
    """Embeddings, labels and speakers of all copies of the takes that are ``kept``."""
    label = np.array([LABELS.index(take.label) for take in takes])
    speaker = np.array([take.speaker for take in takes])
    there = [np.flatnonzero(kept & np.isfinite(values[:, 0])) for values in heard]
    rows = np.concatenate(there)
    values = np.concatenate([v[mine] for v, mine in zip(heard, there, strict=True)])
    return values, label[rows], speaker[rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--takes", type=Path, required=True, help="folder of takes.csv")
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument(
        "--never", nargs="*", default=[], choices=CORPORA, help="not to learn from"
    )
    parser.add_argument("--encoder", type=Path, help="resemblyzer/pretrained.pt")
    parser.add_argument("--onnx", type=Path)
    arguments = parser.parse_args()
    takes = read_takes(arguments.takes / "takes.csv")
    corpus = np.array([take.corpus for take in takes])
    allowed = ~np.isin(corpus, arguments.never)
    heard = {
        kind: values
        for kind in ("clean", *SCENES, "degraded")
        if (values := read_windows(arguments.takes, kind, len(takes))) is not None
    }
    lessons = [values for kind, values in heard.items() if kind != "degraded"]
    if arguments.onnx is not None:
        from voice_encoder import Encoder
        from voice_speakers_export import described, export, metadata, tell

        fitted = fit(*learnt(takes, lessons, allowed))
        known = {name: what for name, what in LICENCES.items() if name not in arguments.never}
        encoder = Encoder.pretrained(arguments.encoder)
        worst = export(fitted, encoder, arguments.onnx, metadata(fitted, described(known)))
        print(tell(arguments.onnx))
        print(f"ONNX Runtime and PyTorch differ by at most {worst:.1g} of the largest value")
        return
    for without in (*CORPORA, *FOLDS):
        held = left_out(takes, without)
        model = fit(*learnt(takes, lessons, allowed & ~held))
        for kind in COMPANIES:
            found = {}
            for name in KINDS:
                if name not in heard:
                    continue
                mine = np.flatnonzero(held & np.isfinite(heard[name][:, 0]))
                others = Company(takes, mine)
                found[name] = (
                    mine,
                    said(model, heard[name], [others.of(kind, int(i)) for i in mine], mine),
                )
                print(f"{without}, {kind}, {name}: {told(takes, *found[name])}", flush=True)
            (arguments.runs / kind).mkdir(parents=True, exist_ok=True)
            write_said(arguments.runs / kind / f"{without}.npz", found)


if __name__ == "__main__":
    main()
