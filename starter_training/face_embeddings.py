"""Write what a face net sees in each picture of the sets, and what it says of it.

    python starter_training/face_embeddings.py --faces work/faces --net work/face/net.pt \\
        --out work/face/seen
    python starter_training/face_embeddings.py --faces work/faces --start model-0000.params \\
        --out work/start_seen

The first is for ``face_heads.py`` and ``face_groups.py``: pictures that the training reads, and
validation parts. The second is for ``face_twins.py --seen``, of all pictures: the start net tells
people apart, however a photo was cut, resized or lit. 6 ms a picture on one core: 6 minutes.
A set that is written is not done again.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from face_data import load_faces
from face_multi import load_net
from face_points import load_points, matrices
from face_scores import Opinions
from face_sets import SETS
from face_spoils import upright
from mobile_face_net import EMBEDDING, FaceNet
from numpy.typing import NDArray

from avaffect.files.atomic import atomic_path
from avaffect.labels import ACTION_UNITS, EXPRESSIONS

CHUNK = 32


@dataclass(frozen=True)
class Seen:
    """What a net sees in ``N`` pictures of a set and says of them; NaN where it was not asked.

    Attributes:
        embedding: float16 [N, 512], what its heads read.
        expression: float32 [N, 8], logits.
        values: float32 [N, 2], valence and arousal.
        units: float32 [N, 12], logits.
    """

    embedding: NDArray[np.float16]
    expression: NDArray[np.float32]
    values: NDArray[np.float32]
    units: NDArray[np.float32]

    def of(self, rows: NDArray[np.int64]) -> Opinions:
        """What it says of the pictures ``rows``."""
        return Opinions(self.expression[rows], self.values[rows], self.units[rows])


def load_seen(folder: Path, name: str) -> Seen:
    """What :func:`main` wrote of the set called ``name``."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
        return Seen(**file)


def see(
    net: FaceNet,
    pictures: NDArray[np.uint8],
    places: NDArray[np.float32],
    rows: NDArray[np.int64],
) -> Seen:
    """Ask ``net`` of the pictures ``rows`` among ``pictures`` [N, H, W, channels].

    Args:
        places: [N, 2, 3], see ``face_points.matrices``.
    """
    sizes = (EMBEDDING, len(EXPRESSIONS), 2, len(ACTION_UNITS))
    kinds = (np.float16, np.float32, np.float32, np.float32)
    found = [
        np.full((len(pictures), size), np.nan, kind)
        for size, kind in zip(sizes, kinds, strict=True)
    ]
    with torch.inference_mode():
        for at in range(0, len(rows), CHUNK):
            some = rows[at : at + CHUNK]
            crops = [upright(pictures[row], places[row], net.window.side) for row in some]
            embedding = net.embed(torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float())
            said = net.heads(embedding).split(sizes[1:], dim=1)
            for array, column in zip(found, (embedding, *said), strict=True):
                array[some] = column.numpy()
    return Seen(*found)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, required=True, help="what face_points.py wrote")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--net", type=Path, help="what face_multi.py wrote")
    which.add_argument("--start", type=Path, help="MobileFaceNet's .params file: all parts")
    parser.add_argument("--train", type=int, help="with --net: only so many of each training part")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    net = load_net(options.net) if options.net else FaceNet(options.start).eval()
    net = net.to(memory_format=torch.channels_last)
    for name in SETS:
        target = options.out / f"{name}.npz"
        if target.exists() or not (options.faces / name / "points.npz").exists():
            continue
        pictures = np.load(options.faces / name / "pictures.npy", mmap_mode="r")
        places = matrices(load_points(options.faces / name))
        rows = np.arange(len(pictures))
        if options.net:
            faces = load_faces(options.faces, name)
            learnt = np.random.default_rng(0).permutation(faces.rows("train"))
            rows = np.concatenate([faces.rows("validation"), learnt[: options.train]])
        seen = see(net, pictures, places, rows)
        with atomic_path(target) as path:
            np.savez(path, **vars(seen))
        print(f"{name}: {len(rows)} pictures", flush=True)


if __name__ == "__main__":
    main()
