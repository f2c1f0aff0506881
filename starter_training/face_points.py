"""Make a face set ready for training: unpack its pictures, find the faces, note what they do.

    python starter_training/face_points.py --data path/to/data --set rafdb --out work/faces

reads ``path/to/data/rafdb`` and writes to ``work/faces/rafdb``

    pictures.npy  uint8 [N, H, W, channels]
    points.npz    the five points and face pose vectors of the project's own landmark nets
    labels.npz    splits, targets and labels, see ``face_sets.Labels``

About 15 ms a picture on one core. Stopped, it goes on from where it was.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path

import cv2
import numpy as np
from face_sets import SETS, Labels, read_labels, read_pictures, read_rows
from numpy.typing import NDArray
from tqdm import tqdm

from avaffect.faces.align import AFFWILD2, similarity_transform
from avaffect.faces.face import Face
from avaffect.faces.face_pose import SIZE as POSE_SIZE
from avaffect.faces.face_pose import face_pose
from avaffect.faces.landmarks import Landmarker, Roi, roi_from_mesh
from avaffect.faces.shape import ShapeReader
from avaffect.files.atomic import atomic_path

# The landmark net wants larger pictures than these sets have, and air around the face.
ENLARGED, AIR = 192, 32
# Below this the face is cut out as others of its set lie.
SURE = 0.5
# A face is looked for in the whole picture, and where it is unsure in a smaller and a larger part.
PARTS = (1.0, 0.75, 1.3)
# Pictures whose faces are found before they are kept.
PIECE = 1000


@dataclass(frozen=True)
class Points:
    """Where the faces of ``N`` pictures are.

    Attributes:
        points: float32 [N, 5, 2] in pixels of the picture, NaN where there is no face.
        sure: float32 [N] in 0..1.
        pose: float32 [N, 263], see ``faces.face_pose``; NaN where there is no face.
    """

    points: NDArray[np.float32]
    sure: NDArray[np.float32]
    pose: NDArray[np.float32]


def load_points(folder: Path) -> Points:
    """What :func:`main` wrote of the set in ``folder``."""
    with np.load(folder / "points.npz", allow_pickle=False) as file:
        return Points(**file)


class FaceReader:
    """Finds the one face of a small picture."""

    def __init__(self) -> None:
        self._landmarker, self._shapes = Landmarker(), ShapeReader()

    def __call__(
        self, picture: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float32], float, NDArray[np.float32]]:
        """Five points [5, 2] in pixels of ``picture``, how sure they are (0..1), pose [263]."""
        large, face = self.find(picture)
        if face is None:
            return np.full((5, 2), np.nan, np.float32), 0.0, np.full(POSE_SIZE, np.nan, np.float32)
        scale = (len(large) - 2 * AIR) / len(picture)
        points = (face.points - AIR + 0.5) / scale - 0.5
        return points.astype(np.float32), face.confidence, face_pose(face, self._shapes(face))

    def find(self, picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Face | None]:
        """The picture enlarged, in colour and with air around it, and the face in that."""
        if picture.shape[2] == 1:
            picture = np.repeat(picture, 3, axis=2)
        scale = ENLARGED / max(picture.shape[:2])
        large = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        image = np.asarray(cv2.copyMakeBorder(large, *[AIR] * 4, cv2.BORDER_REPLICATE), np.uint8)
        return image, self._surest(image)

    def _surest(self, image: NDArray[np.uint8]) -> Face | None:
        height, width = image.shape[:2]
        best: Face | None = None
        for part in PARTS:
            whole = Roi((width - 1) / 2, (height - 1) / 2, max(height, width) * part, 0.0)
            face = self._landmarker(image, whole)
            # Once more from where the face turned out to be, as in a video, unless it was there.
            there = roi_from_mesh(face.mesh) if face is not None else whole
            if face is not None and face.confidence > 0.2 and not _near(there, whole):
                closer = self._landmarker(image, there)
                if closer is not None and closer.confidence > face.confidence - 0.1:
                    face = closer
            if face is not None and (best is None or face.confidence > best.confidence):
                best = face
            if best is not None and best.confidence > SURE:
                break
        return best


def _near(one: Roi, other: Roi) -> bool:
    """Whether both regions show a face alike to the landmark net."""
    moved = np.hypot(one.x - other.x, one.y - other.y) / other.size
    return moved < 0.1 and 0.7 < one.size / other.size < 1.2 and abs(one.angle) < 0.15


def matrices(found: Points) -> NDArray[np.float32]:
    """float32 [N, 2, 3], from each picture's pixels to those of ArcFace's crop of 112.

    Where the face is not sure, or asks for more than a plausible change, as the sure faces lie.
    """
    sure = found.sure > SURE
    if not sure.any():
        raise SystemExit("no sure face in the whole set: is it one of upright faces?")
    template = AFFWILD2.template_px
    usual = similarity_transform(np.median(found.points[sure], axis=0), template)
    usual_scale = np.hypot(usual[0, 0], usual[1, 0])
    made = np.repeat(usual[None], len(sure), axis=0)
    for at in np.flatnonzero(sure):
        one = similarity_transform(found.points[at], template)
        scale = np.hypot(one[0, 0], one[1, 0]) / usual_scale
        if 0.5 < scale < 2 and abs(np.arctan2(one[1, 0], one[0, 0])) < 0.8:
            made[at] = one
    return made


def unpack(
    name: str, pictures: Iterator[NDArray[np.uint8]], count: int, path: Path
) -> NDArray[np.uint8]:
    """Write all pictures to one array; uint8 [N, H, W, channels] on disk."""
    with atomic_path(path) as target:
        array: NDArray[np.uint8] | None = None
        for at, picture in enumerate(pictures):
            kept = picture[:, :, : 1 if SETS[name].grey else 3]
            if array is None:
                shape = (count, *kept.shape)
                array = np.lib.format.open_memmap(target, "w+", np.uint8, shape)
            if kept.shape != array.shape[1:]:
                raise SystemExit(f"the pictures of {name} are not all of one size")
            array[at] = kept
        del array
    return np.load(path, mmap_mode="r")


def find_all(pictures: NDArray[np.uint8], out: Path, workers: int) -> None:
    """Find the faces of all pictures, in pieces that are kept: stopped, it goes on from there."""
    pieces = range(0, len(pictures), PIECE)
    files = [out / f"points-{at:06d}.npz" for at in pieces]
    left = [(out / "pictures.npy", at, f) for at, f in zip(pieces, files, strict=True)]
    left = [piece for piece in left if not piece[2].exists()]
    with Pool(workers) as pool:
        for _ in tqdm(pool.imap_unordered(_find_piece, left), total=len(left), desc=out.name):
            pass
    columns = []
    for each in files:
        with np.load(each) as file:
            columns.append(Points(**file))
    whole = {name: np.concatenate([vars(c)[name] for c in columns]) for name in vars(columns[0])}
    with atomic_path(out / "points.npz") as target:
        np.savez(target, **whole)
    for each in files:
        each.unlink()


def _find_piece(piece: tuple[Path, int, Path]) -> None:
    path, at, file = piece
    cv2.setNumThreads(1)
    reader = FaceReader()
    read = [reader(picture) for picture in np.load(path, mmap_mode="r")[at : at + PIECE]]
    points, sure, pose = (np.array(column, np.float32) for column in zip(*read, strict=True))
    with atomic_path(file) as target:
        np.savez(target, points=points, sure=sure, pose=pose)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the sets' folders")
    parser.add_argument("--set", choices=SETS, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    folder, out = options.data / options.set, options.out / options.set
    rows = read_rows(folder)
    labels: Labels = read_labels(options.set, folder, rows)
    with atomic_path(out / "labels.npz") as target:
        np.savez(target, **vars(labels))
    pictures = unpack(options.set, read_pictures(folder, rows), len(rows), out / "pictures.npy")
    if not (out / "points.npz").exists():
        find_all(pictures, out, options.workers)
    found = load_points(out)
    print(
        f"{options.set}: {len(rows)} pictures, {(found.sure > SURE).mean():.1%} with a sure face"
    )


if __name__ == "__main__":
    main()
