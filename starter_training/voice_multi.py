"""Train starter-2-voice on four corpora, one of them or one fold left out, and hear what it says.

    python starter_training/voice_multi.py --takes work/voices --out work/voice --without casia
    python starter_training/voice_multi.py --takes work/voices --out work/voice --without fold-3
    python starter_training/voice_multi.py --takes work/voices --out work/voice --without nothing

reads what voice_corpora.py and voice_scenes.py made ready. A run leaves ``NAME.pt`` (its state,
whence it goes on) and ``NAME.npz``, what the net says of the takes that were left out, clean and
degraded. ``voice_multi_figures.py`` makes figures of all runs.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from voice_context import ContextNet
from voice_corpora import CORPORA, LABELS, Take, read_takes
from voice_multi_net import EMOTIONS, Lessons, MultiNet, Training, train
from voice_net import Heard, window_logits
from voice_sounds import RATE_HZ

from avaffect.arrays import softmax
from avaffect.files.atomic import atomic_path

FOLDS = tuple(f"fold-{i}" for i in range(5))
HOP_S = 0.5
SCENES = ("scene-1", "scene-2", "scene-3")
KINDS = ("clean", "degraded")
# By kind the numbers of takes, and of each float32 [W, 9], what is said of its windows.
Said = dict[str, tuple[NDArray[np.int64], list[NDArray[np.float32]]]]


def hop() -> int:
    """Rows from one window to the next."""
    return round(HOP_S * RATE_HZ)


def left_out(takes: list[Take], without: str) -> NDArray[np.bool_]:
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
            arrays[f"{kind}_take"] = np.repeat(takes, [len(one) for one in windows])
        np.savez(temporary, **arrays)


def told(takes: list[Take], mine: NDArray[np.int64], said: list[NDArray[np.float32]]) -> str:
    """UAR by corpus over the expressions that the corpus has, calm and neutral being one."""
    chances = softmax(np.stack([one[:, :EMOTIONS].mean(0) for one in said]))
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
        recall = [(guess[label == one] == one).mean() for one in classes]
        out.append(f"{corpus} {np.mean(recall):.3f} of {len(classes)}")
    return ", ".join(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--takes", type=Path, required=True, help="folder of takes.csv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--without", choices=(*CORPORA, *FOLDS, "nothing"), required=True)
    parser.add_argument("--steps", type=int, default=Training.steps)
    parser.add_argument("--share", type=float, default=0.5, help="of the mean spectrum taken off")
    parser.add_argument("--context", action="store_true", help="it hears more of the speaker")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--name", help="of the run's files")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="of Training")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    takes = read_takes(arguments.takes / "takes.csv")
    folder, name = arguments.takes, arguments.name or arguments.without
    if (arguments.out / f"{name}.npz").exists():
        return
    heard = Heard.read(
        [folder / "clean.npz", *(p for n in SCENES if (p := folder / f"{n}.npz").exists())]
    )
    held = left_out(takes, arguments.without)
    config = replace(
        Training(steps=arguments.steps),
        **{key: json.loads(value) for key, value in (one.split("=") for one in arguments.set)},
    )
    net = ContextNet(arguments.share) if arguments.context else MultiNet(arguments.share)
    arguments.out.mkdir(parents=True, exist_ok=True)
    place = arguments.out / f"{name}.pt"
    begin = time.process_time()
    lessons = Lessons.of(takes, ~held)
    for step, loss in train(net, heard, lessons, place, config, arguments.seed):
        print(
            f"{name}: step {step} of {config.steps}, loss {loss:.4f}, "
            f"{time.process_time() - begin:.0f} s of processor time",
            flush=True,
        )
    mine, said = np.flatnonzero(held), {}
    for kind in KINDS:
        if not len(mine) or not (path := folder / f"{kind}.npz").exists():
            continue
        kinds = heard if kind == "clean" else Heard.read([path])
        there = mine[kinds.speech[0, mine].any(axis=1)]
        found = window_logits(net, kinds, 0, there.tolist(), hop())
        said[kind] = there, found
        print(f"{name}, {kind}: {told(takes, there, found)}", flush=True)
        if isinstance(net, ContextNet):
            for title, more in net.with_more(kinds, there, lessons, hop()).items():
                print(f"{name}, {kind}, {title}: {told(takes, there, more)}", flush=True)
    write_said(arguments.out / f"{name}.npz", said)


if __name__ == "__main__":
    main()
