"""Find pictures that are in the face sets twice, so that none is learnt that is also tested on.

    python starter_training/face_twins.py --faces work/faces

reads what ``face_points.py`` wrote of every set and writes ``twins.npz`` beside each: for each
picture the likeness (-1..1) of its likest held-out picture of any set, and of its likest training
picture that comes before it. Compared are the aligned faces, also mirrored, small, grey and
without the mean face, so that brightness, size, compression and a watermark hardly count.
With ``--seen work/start_seen`` (``face_embeddings.py --start``) what a net that tells people apart
sees counts too: a pair that it takes for one person needs less likeness to be one photo.
Eight minutes on one core. ``--sheet`` also draws pairs by likeness, to set the limit by.
``--out`` writes elsewhere than beside the sets.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from face_points import SURE, load_points, matrices
from face_sets import SETS
from face_spoils import upright
from numpy.typing import NDArray
from tqdm import tqdm

from avaffect.files.atomic import atomic_path

# Faces whose likeness is above this are the same picture. Looked at by bands, see README.md.
SAME = 0.82
# A pair of sure faces whose embeddings have this cosine, each set's mean taken off, counts as so
# much liker: then it is the same above .70.
CLOSE, BONUS = 0.80, 0.12
# The aligned face is seen at 112 pixels, less its edge, where sets are cut differently.
SEEN, EDGE, SMALL = 112, 14, 28
PAIRS = 12
_GREY, _AREA = cv2.COLOR_RGB2GRAY, cv2.INTER_AREA
BANDS = (0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90)


@dataclass(frozen=True)
class Twins:
    """Likeness (-1..1) of each of ``N`` pictures to its likest.

    Attributes:
        held: float32 [N], of the held-out pictures of all sets; -1 for a held-out one itself.
        earlier: float32 [N], of the training pictures before it; -1 for a held-out one.
        of: int64 [N, 2], which those are: numbers over all sets in the order of :func:`order`.
    """

    held: NDArray[np.float32]
    earlier: NDArray[np.float32]
    of: NDArray[np.int64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """bool [N], pictures that training must leave out."""
        return (self.held > SAME) | (self.earlier > SAME)


def small_faces(pictures: NDArray[np.uint8], places: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [N, 28, 28], the aligned faces small and grey, without what is coarse.

    Args:
        pictures: uint8 [N, H, W, channels].
        places: [N, 2, 3], see ``face_points.matrices``.
    """
    small = np.empty((len(pictures), SMALL, SMALL), np.float32)
    for at, (picture, matrix) in enumerate(zip(pictures, places, strict=True)):
        grey = picture[:, :, 0] if picture.shape[2] == 1 else cv2.cvtColor(picture, _GREY)
        face = cv2.warpAffine(grey, matrix, (SEEN, SEEN), borderMode=cv2.BORDER_REPLICATE)
        # What all faces share is coarse, what compression does is fine: what lies between tells.
        face = face.astype(np.float32)
        band = cv2.GaussianBlur(face, (0, 0), 1.5) - cv2.GaussianBlur(face, (0, 0), 6.0)
        small[at] = cv2.resize(band[EDGE:-EDGE, EDGE:-EDGE], (SMALL, SMALL), interpolation=_AREA)
    return small


def unit_vectors(small: NDArray[np.float32], mean: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [N, 784] of length 1: dot products say how alike two faces are, beyond all faces."""
    flat = _standard(small) - _standard(mean[None])
    return flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6)


def directions(embeddings: NDArray[np.floating], sure: NDArray[np.bool_]) -> NDArray[np.float32]:
    """float32 [N, 512] of length 1, less the mean of the set, which is colour, size and crop.

    Zeros where the face is not ``sure`` [N]: cut out as others lie, such faces are alike to the
    net for that alone.
    """
    moved = embeddings.astype(np.float32)
    moved -= moved[sure].mean(axis=0)
    moved *= sure[:, None]
    return np.asarray(moved / (np.linalg.norm(moved, axis=1, keepdims=True) + 1e-6), np.float32)


def find_twins(
    small: NDArray[np.float32],
    training: NDArray[np.bool_],
    seen: NDArray[np.float32] | None = None,
) -> Twins:
    """The likest pictures of all ``N`` pictures, which are in order of preference.

    Args:
        small: [N, 28, 28], see :func:`small_faces`.
        training: bool [N], of a training part.
        seen: [N, 512], see :func:`directions`; None where no net looked.
    """
    mean = (small + small[:, :, ::-1]).mean(axis=0) / 2
    plain, mirrored = unit_vectors(small, mean), unit_vectors(small[:, :, ::-1], mean)
    rows, others = np.flatnonzero(training), np.flatnonzero(~training)
    held = np.full(len(small), -1, np.float32)
    earlier, of = held.copy(), np.full((len(small), 2), -1)
    for at in tqdm(range(0, len(rows), 1000), desc="twins"):
        chunk = rows[at : at + 1000]
        for column, pool in ((0, others), (1, rows[: at + len(chunk)])):
            if not len(pool):
                continue
            alike = np.maximum(plain[chunk] @ plain[pool].T, mirrored[chunk] @ plain[pool].T)
            if seen is not None:
                alike += BONUS * (seen[chunk] @ seen[pool].T > CLOSE)
            if column:
                alike[pool[None] >= chunk[:, None]] = -1
            likest = (held, earlier)[column][chunk] = alike.max(axis=1)
            of[chunk, column] = np.where(likest > -1, pool[alike.argmax(axis=1)], -1)
    return Twins(np.minimum(held, 1), np.minimum(earlier, 1), of)


def draw_pairs(twins: Twins, face: Callable[[int], NDArray[np.uint8]], path: Path) -> None:
    """Two rows for each band of likeness, each picture above its likest."""
    chance, lines = np.random.default_rng(0), []
    for low, high in zip(BANDS, (*BANDS[1:], 1.1), strict=True):
        for column, value in enumerate((twins.held, twins.earlier)):
            found = np.flatnonzero((value > low) & (value <= high))
            chosen = chance.permutation(found)[:PAIRS]
            print(f"{low} to {high}, {('held', 'earlier')[column]}: {len(found)}")
            blank = [np.zeros((192, 96, 3), np.uint8)] * (PAIRS - len(chosen))
            cells = [np.vstack([face(n), face(twins.of[n, column])]) for n in chosen]
            lines.append(np.hstack([*cells, *blank]))
    cv2.imwrite(str(path), np.vstack(lines)[:, :, ::-1])


def order(names: Iterable[str]) -> list[str]:
    """Sets in order of preference, as :class:`Twins` numbers them: colour before grey.

    Of two training pictures the first is kept.
    """
    return sorted(names, key=lambda name: SETS[name].grey)


def _standard(small: NDArray[np.float32]) -> NDArray[np.float32]:
    flat = small.reshape(len(small), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / (flat.std(axis=1, keepdims=True) + 1e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, required=True, help="what face_points.py wrote")
    parser.add_argument("--seen", type=Path, help="what face_embeddings.py --start wrote")
    parser.add_argument("--out", type=Path, help="where to write (default: --faces)")
    parser.add_argument("--sheet", type=Path, help="draw pairs to this PNG file")
    options = parser.parse_args()
    names = order(name for name in SETS if (options.faces / name / "points.npz").exists())
    small, splits, sets, seen = [], [], [], []
    for name in names:
        pictures = np.load(options.faces / name / "pictures.npy", mmap_mode="r")
        found = load_points(options.faces / name)
        places = matrices(found)
        with np.load(options.faces / name / "labels.npz") as file:
            splits.append(file["split"])
        small.append(small_faces(pictures, places))
        sets.append((pictures, places))
        if options.seen:
            with np.load(options.seen / f"{name}.npz") as file:
                seen.append(directions(file["embedding"], found.sure > SURE))
    twins = find_twins(
        np.concatenate(small),
        np.concatenate(splits) == "train",
        np.concatenate(seen) if seen else None,
    )
    starts = np.cumsum([0, *map(len, splits)])
    for name, split, at in zip(names, splits, starts, strict=False):
        part = slice(at, at + len(split))
        one = Twins(twins.held[part], twins.earlier[part], twins.of[part])
        with atomic_path((options.out or options.faces) / name / "twins.npz") as target:
            np.savez(target, **vars(one))
        print(
            f"{name}: {(split == 'train').sum()} training pictures; like a held-out one: "
            f"{(one.held > SAME).sum()}, like an earlier one: {(one.earlier > SAME).sum()}, "
            f"left out: {one.known.sum()}"
        )

    def face(number: int) -> NDArray[np.uint8]:
        at = int(np.searchsorted(starts, number, side="right")) - 1
        pictures, places = sets[at]
        return upright(pictures[number - starts[at]], places[number - starts[at]], 96)

    if options.sheet:
        draw_pairs(twins, face, options.sheet)


if __name__ == "__main__":
    main()
