"""What voice nets say of takes that they have not learnt from: how it is kept, and for short."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from voice_corpora import CORPORA, LABELS, Take

from avaffect.arrays import softmax
from avaffect.files.atomic import atomic_path

EMOTIONS = len(LABELS)
FOLDS = tuple(f"fold-{i}" for i in range(5))
KINDS = ("clean", "degraded")
# By kind the numbers of takes, and of each float32 [W, 9], what is said of its windows: logits of
# the emotions, and arousal.
Said = dict[str, tuple[NDArray[np.int64], list[NDArray[np.float32]]]]


def left_out(takes: Sequence[Take], without: str) -> NDArray[np.bool_]:
    """Which takes a run does not learn from."""
    return np.array(
        [take.corpus == without or f"fold-{take.fold}" == without for take in takes], bool
    )


def write_said(path: Path, said: Said) -> None:
    """By kind the takes, their windows' logits one after the other, and how many each has."""
    with atomic_path(path) as temporary:
        arrays: dict[str, NDArray[Any]] = {}
        for kind, (takes, windows) in said.items():
            arrays[kind] = np.concatenate(windows)
            arrays[f"{kind}_take"] = np.repeat(takes, [len(rows) for rows in windows])
        np.savez(temporary, **arrays)


def told(
    takes: Sequence[Take], mine: NDArray[np.int64], said: Sequence[NDArray[np.float32]]
) -> str:
    """UAR by corpus over the expressions that the corpus has, calm and neutral being one."""
    chances = softmax(np.stack([rows[:, :EMOTIONS].mean(0) for rows in said]))
    out = []
    for corpus in CORPORA:
        rows = np.array([takes[i].corpus == corpus for i in mine], bool)
        if not rows.any():
            continue
        label = np.array([LABELS.index(takes[i].label) for i in mine])[rows]
        merged = chances[rows].copy()
        merged[:, 0] += merged[:, 1]
        merged[:, 1] = 0
        label[label == 1] = 0
        classes = np.unique(label)
        guess = classes[merged[:, classes].argmax(1)]
        recall = [(guess[label == name] == name).mean() for name in classes]
        out.append(f"{corpus} {np.mean(recall):.3f} of {len(classes)}")
    return ", ".join(out)
