"""A window of each take as the speaker encoder hears it: clean, in a scene, degraded for tests.

    python starter_training/voice_windows.py --takes work/voices \\
        --encoder work/resemblyzer/pretrained.pt --kind clean

Reads ``takes.csv`` (voice_corpora.py) and writes ``clean-windows.npz`` (``scene-1``, ``degraded``)
beside it, in pieces; it goes on where it was stopped. A clean and a degraded take are heard around
the middle of the speech, one in a scene anywhere where there is speech. Of large corpora a share
of the takes is heard. Each scene has a third of all, so that ``scene-1`` to ``scene-3`` have each
take once; degraded is the second third.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from voice_corpora import Take, read_takes
from voice_encoder import Encoder
from voice_scenes import Neighbours, made
from voice_sounds import Scene, Sound

from avaffect.config import SAMPLE_RATE
from avaffect.files.atomic import atomic_path
from avaffect.sound.mel_power import mel_power

PIECE = 250
WINDOW_S = 3.0
# At least so much speech is in a window, or all that there is.
LEAST_S = 0.8
SHARE = {"nemo": 0.4, "tess": 0.4}
THIRD = 3


def chosen(takes: Sequence[Take], kind: str) -> NDArray[np.int64]:
    """The takes that are heard."""
    rng = np.random.default_rng(0)
    share = np.array([SHARE.get(take.corpus, 1.0) for take in takes])
    mine = np.flatnonzero(rng.random(len(takes)) < share)
    if kind == "clean":
        return mine
    first = 1 if kind == "degraded" else int(kind.removeprefix("scene-")) - 1
    return mine[first % THIRD :: THIRD]


def window(scene: Scene, rng: np.random.Generator | None) -> Sound:
    """float32 [S], a window of a scene, silence beyond it; ``rng`` None for the middle."""
    length = round(WINDOW_S * SAMPLE_RATE)
    begin, end = scene.speech
    start = (begin + end - length) // 2
    if rng is not None:
        need = min(end - begin, round(LEAST_S * SAMPLE_RATE))
        start = int(rng.integers(begin + need - length, end - need + 1))
    low, high = max(start, 0), min(start + length, len(scene.sound))
    return np.pad(scene.sound[low:high], (low - start, start + length - high))


def encoded(sounds: Sequence[Sound], encoder: Encoder) -> NDArray[np.float32]:
    """float32 [N, WIDTH] of windows."""
    parts = [np.stack(sounds[i : i + 32]) for i in range(0, len(sounds), 32)]
    with torch.inference_mode():
        return np.concatenate(
            [encoder(torch.from_numpy(mel_power(part))).numpy() for part in parts]
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--takes", type=Path, required=True, help="folder of takes.csv")
    parser.add_argument("--encoder", type=Path, required=True, help="resemblyzer/pretrained.pt")
    parser.add_argument("--kind", required=True, help="clean, degraded, scene-1, scene-2, ...")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    takes, out, kind = read_takes(arguments.takes / "takes.csv"), arguments.takes, arguments.kind
    whole = out / f"{kind}-windows.npz"
    if whole.exists():
        return
    encoder, near = Encoder.pretrained(arguments.encoder), Neighbours(tuple(takes))
    mine, pieces = chosen(takes, kind), []
    for first in range(0, len(mine), PIECE):
        piece = out / f"{kind}-windows.{first:05}.npz"
        pieces.append(piece)
        if piece.exists():
            continue
        numbers = mine[first : first + PIECE]
        rng = np.random.default_rng([arguments.seed, first, *kind.encode()])
        scenes = made(near, numbers.tolist(), kind, arguments.seed)
        anywhere = rng if kind.startswith("scene") else None
        values = encoded([window(scene, anywhere) for scene in scenes], encoder)
        with atomic_path(piece) as temporary:
            np.savez(temporary, take=numbers, values=values)
        print(piece.name, flush=True)
    parts = [np.load(piece, allow_pickle=False) for piece in pieces]
    with atomic_path(whole) as temporary:
        np.savez(
            temporary,
            **{name: np.concatenate([p[name] for p in parts]) for name in ("take", "values")},
        )
    for piece in pieces:
        piece.unlink()


if __name__ == "__main__":
    main()
