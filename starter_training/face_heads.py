"""Measure how much of what a set misses is its convention: offsets and heads of its own.

    python starter_training/face_heads.py --faces work/faces --seen work/face/seen --out work/face

FER+'s majority, FER2013's own label, RAF-DB and AffectNet call the same faces differently. On the
validation part of each is scored

* ``net``: what the net says, one head for all;
* ``offsets``: the same with an offset for each class, fitted on the set's training part;
* ``head``: a linear head on the net's embedding (dropout off) that learnt this label alone, on
  the training part; it starts from the net's own head, and is held to it by a weight that one
  half of the validation part chooses for the other;
* ``fresh``: such a head learnt on four fifths of the validation part, scored on the last: few
  pictures, but none that the net knows by heart.

Beside it stands what labels can: how often both of two copies of one photo bear the same, how
often FER+'s majority is FER2013's own label, and how many validation pictures have a copy in the
set's training part as it is published (ours leaves those out). Three minutes on one core. Writes
``heads.json``; reads what ``face_embeddings.py`` wrote.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from face_data import Faces, load_all
from face_embeddings import load_seen
from face_scores import RESAMPLES, Floats, Ints, middle
from face_sets import SETS
from face_twins import SAME, Twins, order
from torch import Tensor
from torch.nn import functional

from avaffect.files.atomic import write_json
from avaffect.metrics.scores import accuracy, confusion, f1_per_class

# How much a head is held to the net's own: per picture, the square of each weight.
HELD = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
FOLDS, ROUNDS = 5, 40
# Above this likeness a pair is one photo beyond doubt.
COPY = 0.9


@dataclass(frozen=True)
class Task:
    """One kind of label of a set.

    Attributes:
        name: of the label.
        classes: how many it knows, from the first on.
        labels: int64 [N], -1 where there is none.
    """

    name: str
    classes: int
    labels: Ints


def tasks(faces: Faces) -> Iterator[Task]:
    yield Task(faces.name, SETS[faces.name].classes, faces.labels.label)
    if (faces.labels.own >= 0).any():
        yield Task("fer2013", 7, faces.labels.own)


class Head:
    """Adds to a net's logits what a linear map of its embedding says.

    Args:
        logits: float32 [N, K] of the net.
        seen: float32 [N, 512], its embedding; None learns offsets only.
        labels: int64 [N].
        held: how strongly the map is held to nothing.
    """

    def __init__(self, logits: Floats, seen: Floats | None, labels: Ints, held: float) -> None:
        x = torch.zeros(len(logits), 1) if seen is None else torch.from_numpy(seen)
        self._mean, self._spread = x.mean(0), x.std(0) + 1e-3
        x = (x - self._mean) / self._spread
        base, target = torch.from_numpy(logits), torch.from_numpy(labels)
        self._map = torch.zeros(x.shape[1], logits.shape[1], requires_grad=True)
        self._offset = torch.zeros(logits.shape[1], requires_grad=True)
        optimiser = torch.optim.LBFGS(
            [self._map, self._offset], max_iter=ROUNDS, line_search_fn="strong_wolfe"
        )

        def loss() -> Tensor:
            optimiser.zero_grad()
            said = base + x @ self._map + self._offset
            value = functional.cross_entropy(said, target) + held * (self._map**2).sum()
            value.backward()
            return value

        optimiser.step(loss)

    def __call__(self, logits: Floats, seen: Floats | None) -> Ints:
        """int64 [N], the class that each is called."""
        x = torch.zeros(len(logits), 1) if seen is None else torch.from_numpy(seen)
        with torch.no_grad():
            added = (x - self._mean) / self._spread @ self._map + self._offset
        return np.asarray((logits + added.numpy()).argmax(axis=1), np.int64)


def scores(said: Ints, labels: Ints, classes: int) -> dict[str, float]:
    counts = confusion(said, labels, classes)
    return {
        "accuracy": float(accuracy(counts)),
        "macro_f1": float(np.mean(f1_per_class(counts)[counts.sum(axis=1) > 0])),
    }


def compared(ways: dict[str, Ints], labels: Ints, classes: int) -> dict[str, Any]:
    """Each way's figures, and what it has more than the net; value and 95 % interval."""
    chance = np.random.default_rng(0)
    draws = [chance.integers(0, len(labels), len(labels)) for _ in range(RESAMPLES)]
    drawn = {
        way: [scores(said[some], labels[some], classes) for some in draws]
        for way, said in ways.items()
    }
    found: dict[str, Any] = {}
    for way, said in ways.items():
        found[way] = {}
        for name, value in scores(said, labels, classes).items():
            before = scores(ways["net"], labels, classes)[name]
            more = [a[name] - b[name] for a, b in zip(drawn[way], drawn["net"], strict=True)]
            found[way][name] = [round(value, 4), *middle([draw[name] for draw in drawn[way]])]
            found[way][f"{name}_more"] = [round(value - before, 4), *middle(more)]
    return found


def ways_of(task: Task, train: Ints, rows: Ints, logits: Floats, seen: Floats) -> dict[str, Ints]:
    """What each way calls the pictures ``rows``; ``logits`` and ``seen`` are of all pictures."""
    logits, labels = logits[:, : task.classes], task.labels
    offsets = Head(logits[train], None, labels[train], 0.0)
    learnt = [
        Head(logits[train], seen[train], labels[train], held)(logits[rows], seen[rows])
        for held in HELD
    ]
    chance = np.random.default_rng(0)
    half = chance.permutation(len(rows)) % 2
    head = np.empty(len(rows), np.int64)
    for part in (0, 1):
        right = [(said == labels[rows])[half != part].mean() for said in learnt]
        head[half == part] = learnt[int(np.argmax(right))][half == part]
    fold = chance.permutation(len(rows)) % FOLDS
    fresh = np.empty(len(rows), np.int64)
    for part in range(FOLDS):
        others, these = rows[fold != part], rows[fold == part]
        fresh[fold == part] = _fresh(logits, seen, labels, others, these)
    return {
        "net": logits[rows].argmax(axis=1),
        "offsets": offsets(logits[rows], None),
        "head": head,
        "fresh": fresh,
    }


def _fresh(logits: Floats, seen: Floats, labels: Ints, others: Ints, these: Ints) -> Ints:
    """A head learnt on ``others``, a fifth of which says how much it is held."""
    learn, ask = others[len(others) // 5 :], others[: len(others) // 5]
    right = []
    for held in HELD:
        head = Head(logits[learn], seen[learn], labels[learn], held)
        right.append((head(logits[ask], seen[ask]) == labels[ask]).mean())
    head = Head(logits[others], seen[others], labels[others], HELD[int(np.argmax(right))])
    return head(logits[these], seen[these])


def people(sets: dict[str, Faces], folder: Path) -> dict[str, Any]:
    """How often labels repeat on copies of one photo, and how many there are; no test parts."""
    names = order(sets)
    starts = dict(zip(names, np.cumsum([0, *(len(sets[n].twin) for n in names)]), strict=False))
    found: dict[str, Any] = {}
    for name, faces in sets.items():
        with np.load(folder / name / "twins.npz", allow_pickle=False) as file:
            twins = Twins(**file)
        likeness, other = twins.earlier, twins.of[:, 1] - starts[name]
        inside = (likeness > COPY) & (other >= 0) & (other < len(likeness))
        for task in tasks(faces):
            a = np.flatnonzero(inside & (task.labels >= 0))
            a = a[task.labels[other[a]] >= 0]
            same = task.labels[a] == task.labels[other[a]]
            if len(a) > 1:
                found[f"{task.name}_repeats"] = [round(float(same.mean()), 3), len(a)]
        rows = faces.rows("validation")
        rows = rows[faces.labels.label[rows] >= 0]
        copied = twins.of[twins.held > SAME, 0] - starts[name]
        found[f"{name}_copied_into_training_as_published"] = [
            round(float(np.isin(rows, copied).mean()), 3),
            len(rows),
        ]
    for faces in sets.values():
        rows = faces.rows("validation")
        rows = rows[(faces.labels.own[rows] >= 0) & (faces.labels.label[rows] >= 0)]
        if len(rows):
            same = faces.labels.own[rows] == faces.labels.label[rows]
            found["majority_is_own_label"] = [round(float(same.mean()), 3), len(rows)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, required=True, help="what face_points.py wrote")
    parser.add_argument("--seen", type=Path, required=True, help="what face_embeddings.py wrote")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = load_all(options.faces)
    made: dict[str, Any] = {"people": people(sets, options.faces)}
    print(made["people"])
    for name, faces in sets.items():
        said = load_seen(options.seen, name)
        seen = said.embedding.astype(np.float32)
        for task in tasks(faces):
            train, rows = (faces.rows(part) for part in ("train", "validation"))
            # Of the training part the net may have been asked of some only.
            train = train[(task.labels[train] >= 0) & np.isfinite(seen[train, 0])]
            rows = rows[task.labels[rows] >= 0]
            ways = ways_of(task, train, rows, said.expression, seen)
            made[task.name] = compared(ways, task.labels[rows], task.classes)
            for way, figures in made[task.name].items():
                print(task.name, way, figures, flush=True)
    write_json(options.out / "heads.json", made)


if __name__ == "__main__":
    main()
