"""The takes of four corpora as mel bands: clean, in scenes to train on, and degraded for tests.

    python starter_training/voice_scenes.py --takes work/voices --kind clean
    python starter_training/voice_scenes.py --takes work/voices --kind scene-1
    python starter_training/voice_scenes.py --takes work/voices --kind degraded

Reads ``takes.csv`` (voice_corpora.py) and writes ``clean.npz`` and so on beside it, all takes one
after the other. It works in pieces of 500 takes and goes on where it was stopped. Of large corpora
only a share of the takes is put into a scene (another share in each); the others have no rows
there, and are heard clean.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from voice_corpora import Take, read_takes
from voice_sounds import (
    STEP,
    Scene,
    Sound,
    degraded_scene,
    finished,
    load_take,
    mel_rows,
    speech_span,
    training_scene,
)

from avaffect.files.atomic import atomic_path

PIECE = 500
SHARE = {"ravdess": 1.0, "nemo": 0.5, "casia": 1.0, "tess": 1 / 3}
PAIR_SHARE = 0.5
BABBLE_VOICES = 7
# Voices that are kept in memory: 2 s of each are 128 kB.
KEPT = 2000


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Sounds; which takes are alike, and which may babble around another.

    Babble comes from the same corpus and fold: neither a fold nor a corpus that is left out is
    heard in others' noise.
    """

    takes: tuple[Take, ...]

    def loaded(self, take: int) -> Sound:
        return load_take(Path(self.takes[take].path).read_bytes())

    @lru_cache(maxsize=KEPT)  # noqa: B019
    def voice(self, take: int) -> Sound:
        """A take cut to its speech."""
        sound = self.loaded(take)
        return sound[slice(*speech_span(sound))]

    def partners(self, take: int) -> list[int]:
        """Takes of the same emotion and intensity by the same speaker, ``take`` among them."""
        mine = self.takes[take]
        return [
            i
            for i, other in enumerate(self.takes)
            if (other.speaker, other.label, other.intensity)
            == (mine.speaker, mine.label, mine.intensity)
        ]

    def around(self, take: int) -> list[int]:
        """Takes of other speakers; where a fold has one speaker, all of theirs."""
        mine = self.takes[take]
        near = [
            i
            for i, other in enumerate(self.takes)
            if (other.corpus, other.fold) == (mine.corpus, mine.fold)
        ]
        return [i for i in near if self.takes[i].speaker != mine.speaker] or near


def in_scene(takes: Sequence[Take], kind: str) -> NDArray[np.bool_]:
    """Which takes are put into a scene of ``kind``."""
    if kind == "clean":
        return np.ones(len(takes), bool)
    rng = np.random.default_rng([len(kind), *kind.encode()])
    return rng.random(len(takes)) < np.array([SHARE[take.corpus] for take in takes])


def made(near: Neighbours, numbers: Sequence[int], kind: str, seed: int) -> list[Scene]:
    """The scenes of some takes."""
    scenes = []
    for number in numbers:
        rng = np.random.default_rng([seed, number, *kind.encode()])
        if kind == "clean":
            sound = near.loaded(number)
            scenes.append(Scene(sound, speech_span(sound)))
            continue
        chosen = near.around(number)
        count = min(BABBLE_VOICES, len(chosen))
        others = [near.voice(i) for i in rng.choice(chosen, count, replace=False)]
        if kind == "degraded":
            scenes.append(degraded_scene(near.loaded(number), others, rng))
            continue
        mine = [near.voice(number)]
        if rng.random() < PAIR_SHARE:
            mine.append(near.voice(int(rng.choice(near.partners(number)))))
        scenes.append(training_scene(mine, others, rng))
    return finished(scenes)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--takes", type=Path, required=True, help="folder of takes.csv")
    parser.add_argument("--kind", required=True, help="clean, degraded, scene-1, scene-2, ...")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    takes, out = read_takes(arguments.takes / "takes.csv"), arguments.takes
    whole = out / f"{arguments.kind}.npz"
    if whole.exists():
        return
    kept, near = in_scene(takes, arguments.kind), Neighbours(tuple(takes))
    pieces = []
    for first in range(0, len(takes), PIECE):
        piece = out / f"{arguments.kind}.{first:05}.npz"
        pieces.append(piece)
        if piece.exists():
            continue
        numbers = [i for i in range(first, min(first + PIECE, len(takes))) if kept[i]]
        scenes = made(near, numbers, arguments.kind, arguments.seed)
        mel = [mel_rows(scene.sound) for scene in scenes]
        with atomic_path(piece) as temporary:
            np.savez(
                temporary,
                mel=np.concatenate(mel),
                take=np.array(numbers),
                rows=np.array([len(rows) for rows in mel]),
                speech=np.array([scene.speech for scene in scenes]) // STEP,
            )
        print(piece.name, flush=True)
    parts = [np.load(piece, allow_pickle=False) for piece in pieces]
    rows, speech = np.zeros(len(takes), np.int64), np.zeros((len(takes), 2), np.int64)
    for part in parts:
        rows[part["take"]], speech[part["take"]] = part["rows"], part["speech"]
    with atomic_path(whole) as temporary:
        np.savez(
            temporary,
            mel=np.concatenate([part["mel"] for part in parts]),
            rows=rows,
            speech=speech,
        )
    for piece in pieces:
        piece.unlink()


if __name__ == "__main__":
    main()
