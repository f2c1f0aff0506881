"""Ask starter-2's face net of held-out stills as a video shows them: drifting, and with noise.

    python starter_training/film_faces.py --faces work/faces --out work/films \\
        --onnx work/face/starter-2-face.onnx --yale YALE

``MOST`` pictures of the validation part of each set, which the net did not learn from. Each is
seen ``TAKES`` times, as the frames of a held face differ: turned, moved and sized a little
otherwise, in other light, with a camera's noise. With ``--yale`` also the Yale Face Database (15
people at rest, with glasses, happy, sad and surprised; research only), of which no net has learnt:
the only faces here of whom it is known who they are. Writes ``SET.npz`` for ``film_rules.py`` and
``film_intervals.py``. Three minutes on one core; a set that is written is not done again.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from face_data import load_faces
from face_export import says
from face_points import FaceReader, Points, load_points, matrices
from face_sets import SETS
from face_spoils import Bytes, Matrix, upright
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from avaffect.faces.align import AFFWILD2
from avaffect.files.atomic import atomic_path
from avaffect.labels import EXPRESSIONS

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

SIDE = AFFWILD2.size
TAKES = 4
# Pictures of a set, chosen by chance.
MOST = 1000
# How far frames of a held face lie apart (standard deviations): degrees, a share of the size,
# a share of the side, the logarithm of gamma, grey levels of noise.
TURN, SIZE, SHIFT, GAMMA, NOISE = 2.5, 0.025, 0.01, 0.08, 2.5
YALE = "yale"
# What Yale's pictures are called, and of which expression they are; light from a side and closed
# or winking eyes are of none.
YALE_LABELS = {
    "normal": "Neutral",
    "glasses": "Neutral",
    "noglasses": "Neutral",
    "happy": "Happiness",
    "sad": "Sadness",
    "surprised": "Surprise",
}


@dataclass(frozen=True)
class Takes:
    """What the net says of ``N`` stills, ``TAKES`` times each.

    Attributes:
        said: float32 [N, TAKES, 22], see ``starter-2``.
        pose: float32 [N, 263], see ``faces.face_pose``; NaN without a sure face.
        label: int64 [N], -1 for none.
        values: float32 [N, 2], what nets trained on AffectNet's values say, on people's scale;
            NaN where they were not asked.
        row: int64 [N], the picture's number in its set.
        person: int64 [N], who it is; -1 where nobody knows.
    """

    said: Floats
    pose: Floats
    label: Ints
    values: Floats
    row: Ints
    person: Ints


def load_takes(folder: Path, name: str) -> Takes:
    """What :func:`main` wrote of the set called ``name``."""
    with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
        return Takes(**file)


def filmed(picture: Bytes, matrix: Matrix, rng: np.random.Generator) -> Bytes:
    """uint8 [112, 112, 3], the aligned face as one frame of a video shows it.

    Args:
        picture: uint8 [H, W, channels].
        matrix: [2, 3], from its pixels to those of the crop.
        rng: chance.
    """
    middle = (SIDE - 1) / 2
    turn, size = rng.normal(0, TURN), float(np.exp(rng.normal(0, SIZE)))
    move = cv2.getRotationMatrix2D((middle, middle), turn, size)
    move[:, 2] += rng.normal(0, SHIFT, 2) * SIDE
    whole = np.vstack([matrix, [0, 0, 1]])
    face = upright(picture, move @ whole, SIDE).astype(np.float32)
    face = 255 * (face / 255) ** np.float32(np.exp(rng.normal(0, GAMMA)))
    face += rng.normal(0, NOISE, face.shape)
    return np.clip(face + 0.5, 0, 255).astype(np.uint8)


def takes_of(onnx: Path, pictures: list[Bytes], places: Floats) -> Floats:
    """float32 [N, TAKES, 22], what the net says of each picture."""
    rng = np.random.default_rng(0)
    crops = (
        filmed(picture, place, rng)
        for picture, place in zip(pictures, places, strict=True)
        for _ in range(TAKES)
    )
    said = says(onnx, tqdm(crops, total=len(pictures) * TAKES))
    return said.reshape(len(pictures), TAKES, -1)


def of_set(folder: Path, name: str, onnx: Path) -> Takes:
    """The labelled pictures of a set's validation part."""
    faces, pose = load_faces(folder, name), load_points(folder / name).pose
    rows = faces.rows("validation")
    rows = rows[faces.labels.label[rows] >= 0]
    rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST])
    said = takes_of(onnx, [faces.pictures[row] for row in rows], faces.matrices[rows])
    nobody = np.full(len(rows), -1)
    return Takes(said, pose[rows], faces.labels.label[rows], faces.values[rows], rows, nobody)


def of_yale(folder: Path, onnx: Path) -> Takes:
    """Yale's faces, ``subject01.happy`` and so on: GIF files without a suffix."""
    reader, pictures, found, label, person = FaceReader(), [], [], [], []
    for path in sorted(folder.glob("subject*.*")):
        who, what = path.name.split(".")[:2]
        if what not in YALE_LABELS:
            continue
        with Image.open(path) as image:
            picture = np.asarray(image.convert("L"))
        # The face lies somewhere in the middle of a wide picture.
        side = min(picture.shape)
        left = (picture.shape[1] - side) // 2
        pictures.append(np.asarray(picture[:side, left : left + side, None], np.uint8))
        found.append(reader(pictures[-1]))
        label.append(EXPRESSIONS.index(YALE_LABELS[what]))
        person.append(int(who.removeprefix("subject")))
    points, sure, pose = (np.array(column, np.float32) for column in zip(*found, strict=True))
    said = takes_of(onnx, pictures, matrices(Points(points, sure, pose)))
    unknown = np.full((len(label), 2), np.nan, np.float32)
    return Takes(said, pose, np.array(label), unknown, np.arange(len(label)), np.array(person))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, required=True, help="what face_points.py wrote")
    parser.add_argument("--onnx", type=Path, required=True, help="what face_export.py wrote")
    parser.add_argument("--yale", type=Path, help="folder of the Yale Face Database's files")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    for name in (YALE, *SETS):
        target = options.out / f"{name}.npz"
        there = options.yale if name == YALE else (options.faces / name).is_dir()
        if target.exists() or not there:
            continue
        takes = (
            of_yale(options.yale, options.onnx)
            if name == YALE
            else of_set(options.faces, name, options.onnx)
        )
        with atomic_path(target) as path:
            np.savez(path, **vars(takes))
        print(f"{name}: {len(takes.label)} pictures", flush=True)


if __name__ == "__main__":
    main()
