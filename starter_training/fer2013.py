"""FER2013 made ready for training the face net: pictures, five points, and no copies.

    python starter_training/fer2013.py --fer2013 path/to/fer2013 --out work/fer2013.npz

reads ``images.zip`` and ``manifest.csv`` (path, split, label) and writes one file with the
pictures, their landmarks and which training pictures to use. FER2013 holds thousands of pictures
twice, also across its parts: those that look like a picture of the validation or test part are
left out of training. Takes about 10 minutes on one core. No picture goes into the project.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from avaffect.faces.encoders import FER2013_48
from avaffect.faces.landmarks import Landmarker, Roi, roi_from_mesh
from avaffect.files.atomic import atomic_path

SIDE = 48
# The landmark net wants pictures larger than these, and air around the face.
ENLARGE, MARGIN = 4, 32
# Below this the whole picture is taken as it is.
SURE = 0.5
# Two pictures whose blurred, centred pixels correlate more than this are the same picture. Looked
# at by bands: above .93 nearly all pairs are copies (other compression, watermark, mirrored),
# between .90 and .92 nearly none.
SAME = 0.92
LABELS = {
    "neutral": "Neutral",
    "angry": "Anger",
    "disgust": "Disgust",
    "fear": "Fear",
    "happy": "Happiness",
    "sad": "Sadness",
    "surprise": "Surprise",
}


@dataclass(frozen=True)
class Fer2013:
    """The data set.

    Attributes:
        images: uint8 [N, 48, 48], grey.
        points: float32 [N, 5, 2] in pixels, ordered as ``faces.landmarks.FIVE_POINTS``.
        sure: float32 [N] in 0..1, how sure the landmark net is that it sees a face.
        label: str [N], of ``labels.EXPRESSIONS``.
        split: str [N]: ``train``, ``validation`` or ``test``.
        copied: bool [N], True for the copies (turned, mirrored) of *disgust* in this edition.
        twin: float32 [N], likeness (0..1) of a training picture and its likest of the other parts.
    """

    images: NDArray[np.uint8]
    points: NDArray[np.float32]
    sure: NDArray[np.float32]
    label: NDArray[np.str_]
    split: NDArray[np.str_]
    copied: NDArray[np.bool_]
    twin: NDArray[np.float32]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """bool [N], training pictures that are no copies of each other's or others'."""
        return (self.split == "train") & ~self.copied & (self.twin <= SAME)

    @classmethod
    def load(cls, path: Path) -> Fer2013:
        """What :func:`main` wrote."""
        with np.load(path, allow_pickle=False) as file:
            return cls(**{name: file[name] for name in cls.__dataclass_fields__})


def read_pictures(folder: Path) -> list[tuple[dict[str, str], NDArray[np.uint8]]]:
    """Each row of the manifest with its picture; copies in the training part are left out."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"].endswith(".jpg")]
    found = []
    with zipfile.ZipFile(folder / "images.zip") as archive:
        for row in sorted(rows, key=lambda row: row["path"]):
            if row["split"] == "train" and is_copy(row["path"]):
                continue
            data = np.frombuffer(archive.read(row["path"]), np.uint8)
            picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
            if picture is None or picture.shape != (SIDE, SIDE):
                raise SystemExit(f"{row['path']} is no grey picture of {SIDE} x {SIDE} pixels")
            found.append((row, np.asarray(picture, np.uint8)))
    return found


def is_copy(path: str) -> bool:
    """Whether a file of that name is a turned or mirrored copy, ``PrivateTest_1.jpg3.jpg``."""
    return path.count(".jpg") > 1


def find_points(
    landmarker: Landmarker, picture: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], float]:
    """Five points [5, 2] in pixels of ``picture``, NaN if there are none; how sure they are."""
    large = cv2.resize(picture, None, fx=ENLARGE, fy=ENLARGE, interpolation=cv2.INTER_CUBIC)
    large = cv2.copyMakeBorder(large, *[MARGIN] * 4, cv2.BORDER_REPLICATE)
    image = np.repeat(np.asarray(large, np.uint8)[:, :, None], 3, axis=2)
    side = len(image)
    face = landmarker(image, Roi((side - 1) / 2, (side - 1) / 2, side, 0.0))
    if face is None:
        return np.full((5, 2), np.nan, np.float32), 0.0
    # Once more from where the face turned out to be, as in a video.
    closer = landmarker(image, roi_from_mesh(face.mesh)) if face.confidence > 0.2 else None
    if closer is not None and closer.confidence > face.confidence - 0.1:
        face = closer
    points = (face.points - MARGIN + 0.5) / ENLARGE - 0.5
    return points.astype(np.float32), face.confidence


def likeness(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 [N, D] of unit length: dot products say how alike two pictures are."""
    vectors = []
    for picture in images:
        small = cv2.resize(
            cv2.GaussianBlur(picture, (0, 0), 1.0), (20, 20), interpolation=cv2.INTER_AREA
        )
        middle = small[2:-2, 2:-2].astype(np.float32).ravel()
        vectors.append(middle - middle.mean())
    stacked = np.stack(vectors)
    return stacked / (np.linalg.norm(stacked, axis=1, keepdims=True) + 1e-6)


def twins(images: NDArray[np.uint8], split: NDArray[np.str_]) -> NDArray[np.float32]:
    """float32 [N]: for training pictures the likeness of the likest picture of the other parts."""
    training, held = np.flatnonzero(split == "train"), np.flatnonzero(split != "train")
    best = np.zeros(len(images), np.float32)
    known = {hashlib.sha256(picture.tobytes()).digest() for picture in images[held]}
    against = likeness(images[held]).T
    for view in (images[training], images[training][:, :, ::-1]):
        vectors = likeness(np.ascontiguousarray(view))
        for at in range(0, len(training), 2000):
            rows = training[at : at + 2000]
            best[rows] = np.maximum(best[rows], (vectors[at : at + 2000] @ against).max(axis=1))
    exact = [hashlib.sha256(images[row].tobytes()).digest() in known for row in training]
    best[training[np.array(exact, bool)]] = 1.0
    return best


def similarity(data: Fer2013, row: int) -> tuple[complex, complex]:
    """``z -> a z + b`` from the picture's pixels to the aligned crop's, both 48 wide.

    The identity where the face is not sure, or the points ask for more than a plausible change.
    """
    if data.sure[row] > SURE:
        z = data.points[row].astype(np.float64) @ (1, 1j)
        w = FER2013_48.template_px.astype(np.float64) @ (1, 1j)
        spread = z - z.mean()
        a = np.vdot(spread, w - w.mean()) / np.vdot(spread, spread).real
        if 0.6 < abs(a) < 1.7 and abs(np.angle(a)) < 0.8:
            return complex(a), complex(w.mean() - a * z.mean())
    return 1 + 0j, 0j


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fer2013", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    pairs = read_pictures(options.fer2013)
    images = np.stack([picture for _, picture in pairs])
    split = np.array([row["split"] for row, _ in pairs])
    landmarker = Landmarker()
    found = [find_points(landmarker, picture) for picture in tqdm(images, desc="landmarks")]
    data = Fer2013(
        images=images,
        points=np.stack([points for points, _ in found]),
        sure=np.array([sure for _, sure in found], np.float32),
        label=np.array([LABELS[row["label"]] for row, _ in pairs]),
        split=split,
        copied=np.array([is_copy(row["path"]) for row, _ in pairs]),
        twin=twins(images, split),
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(options.out) as target:
        np.savez(target, **vars(data))
    training = data.split == "train"
    print(f"pictures: {len(images)}; with a sure face: {(data.sure > SURE).mean():.1%}")
    print(f"training pictures: {training.sum()}")
    print(f"  like one of validation or test: {(training & (data.twin > SAME)).sum()}, left out")
    print(f"  used: {data.usable.sum()}")


if __name__ == "__main__":
    main()
