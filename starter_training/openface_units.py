"""OpenFace 1's action unit models (Baltrusaitis et al. 2015) on single pictures, in NumPy.

    python starter_training/openface_units.py --faces work/faces --models OPENFACE --set affectnet8

reads ``AU_4_static.dat`` and so on and ``pdm.txt`` (the aligned in-the-wild point model) from the
folder OPENFACE, finds the faces of a prepared set once more, and writes ``openface.npz`` beside
the set's other files: what the linear models say of each picture, higher is more. They are for
academic use: teachers only, never shipped. About 25 ms a picture on one core.

A model sees Felzenszwalb's HOG of the aligned face, 12 x 12 x 31 values, and how the points of the
face deviate from the mean face; both less their mean over the pictures it was trained on.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from face_points import FaceReader
from face_sets import SETS
from numpy.typing import NDArray
from tqdm import tqdm

from avaffect.faces.face_pose import IBUG68
from avaffect.files.atomic import atomic_path

Array = NDArray[np.float64]

SIDE, CELL, CELLS, SCALE = 112, 8, 12, 0.7
ORIENTATIONS = 9
# Points that hardly move with an expression: outline, nose, eyes (as OpenFace aligns by).
STILL = np.r_[1:5, 12:16, 27:30, 31:37, 39:43, 45:48]
# The face is seen up to so many pixels above the brows.
FOREHEAD = 30
UPPER = [0, *range(16, 27)]
MAGIC = {5: np.float32, 6: np.float64}


@dataclass(frozen=True)
class PointModel:
    """68 points in mm: mean [68, 3], directions [68, 3, K], variances [K]."""

    mean: Array
    directions: Array
    variances: Array

    @classmethod
    def load(cls, path: Path) -> PointModel:
        """From OpenFace's text: three matrices, each with rows, columns and a type before it."""
        lines = path.read_text(encoding="ascii").splitlines()
        numbers = iter(
            [float(v) for line in lines if not line.startswith("#") for v in line.split()]
        )
        matrices = []
        for _ in range(3):
            rows, columns, _kind = (int(next(numbers)) for _ in range(3))
            values = [next(numbers) for _ in range(rows * columns)]
            matrices.append(np.reshape(values, (rows, columns)))
        mean, directions, variances = matrices
        count = len(mean) // 3
        return cls(
            mean.reshape(3, count).T,
            directions.reshape(3, count, -1).transpose(1, 0, 2),
            variances.ravel(),
        )

    def deviation(self, points: Array) -> Array:
        """[238], how ``points`` [68, 3] deviate from the mean: in mm (x, y, z), then in shares."""
        shape, w = points - points.mean(0), self.mean - self.mean.mean(0)
        u, s, vt = np.linalg.svd(shape.T @ w)
        turn = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
        scale = (s * [1, 1, np.linalg.det(u @ vt)]).sum() / (shape**2).sum()
        flat = (scale * shape @ turn - w).T.ravel()
        basis = self.directions.transpose(1, 0, 2).reshape(len(flat), -1)
        prior = np.diag(9.0 / self.variances)
        shares = np.linalg.solve(basis.T @ basis + prior, basis.T @ flat)
        return np.concatenate([basis @ shares, shares])


@dataclass(frozen=True)
class Linear:
    """``(x - mean) @ weight + bias``, with ``x`` [4464 + 238]."""

    mean: Array
    weight: Array
    bias: float

    @classmethod
    def load(cls, path: Path) -> Linear:
        data, at = path.read_bytes(), 4
        matrices = []
        for _ in range(2):
            rows, columns, kind = np.frombuffer(data, "<i4", 3, at)
            values = np.frombuffer(data, MAGIC[int(kind)], rows * columns, at + 12)
            matrices.append(values.astype(np.float64))
            at += 12 + values.nbytes
        bias, above = np.frombuffer(data, "<f8", 2, at)
        # What lies above 0 is the class that the training met first: 1 (there) or 0 (not there).
        sign = 1.0 if above > 0 else -1.0
        return cls(matrices[0], sign * matrices[1], sign * float(bias))

    def __call__(self, x: Array) -> Array:
        return (x - self.mean) @ self.weight + self.bias


def aligned(picture: NDArray[np.uint8], points: Array, model: PointModel) -> NDArray[np.uint8]:
    """uint8 [112, 112, 3], the face as OpenFace's models see it; black outside the face."""
    target = model.mean[:, :2] * SCALE + SIDE / 2
    z, w = points[STILL, :2] @ (1, 1j), target[STILL] @ (1, 1j)
    z, w, shift = z - z.mean(), w - w.mean(), (z.mean(), w.mean())
    a = np.vdot(z, w) / np.vdot(z, z).real
    b = shift[1] - a * shift[0]
    matrix = np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])
    face = cv2.warpAffine(picture, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    outline = points[:27, :2] @ matrix[:, :2].T + matrix[:, 2]
    outline[UPPER, 1] -= FOREHEAD
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(outline).astype(np.int32)), 1)
    return np.asarray(face * mask[:, :, None], np.uint8)


def hog(face: NDArray[np.uint8]) -> Array:
    """[4464], Felzenszwalb's HOG (PAMI 2010) of a face uint8 [112, 112, channels], row by row."""
    image = face.astype(np.float64)
    dx = image[1:-1, 2:] - image[1:-1, :-2]
    dy = image[2:, 1:-1] - image[:-2, 1:-1]
    most = (dx**2 + dy**2).argmax(axis=2)[:, :, None]
    dx, dy = (np.take_along_axis(d, most, 2)[:, :, 0] for d in (dx, dy))
    angles = np.arange(ORIENTATIONS) * np.pi / ORIENTATIONS
    along = dx[:, :, None] * np.cos(angles) + dy[:, :, None] * np.sin(angles)
    bins = np.concatenate([along, -along], axis=2).argmax(axis=2)
    weight = np.hypot(dx, dy)
    cells = _into_cells(bins, weight)
    both = cells[:, :, :ORIENTATIONS] + cells[:, :, ORIENTATIONS:]
    energy = (both**2).sum(axis=2)
    block = energy[:-1, :-1] + energy[:-1, 1:] + energy[1:, :-1] + energy[1:, 1:]
    last = CELLS + 1
    found = np.zeros((CELLS, CELLS, 31))
    inner = slice(1, last)
    for at, (y, x) in enumerate(((1, 1), (0, 1), (1, 0), (0, 0))):
        norm = 1 / np.sqrt(block[y : y + CELLS, x : x + CELLS] + 1e-4)[:, :, None]
        signed = np.minimum(cells[inner, inner] * norm, 0.2)
        found[:, :, :18] += 0.5 * signed
        found[:, :, 18:27] += 0.5 * np.minimum(both[inner, inner] * norm, 0.2)
        found[:, :, 27 + at] = 0.2357 * signed.sum(axis=2)
    return found.ravel()


def _into_cells(bins: NDArray[np.int64], weight: Array) -> Array:
    """[14, 14, 18], gradients shared among the four nearest cells."""
    count = SIDE // CELL
    place = (np.arange(1, SIDE - 1) + 0.5) / CELL - 0.5
    low = np.floor(place).astype(int)
    part = place - low
    cells = np.zeros((count + 2, count + 2, 2 * ORIENTATIONS))
    for dy, wy in ((0, 1 - part), (1, part)):
        for dx, wx in ((0, 1 - part), (1, part)):
            rows, columns = np.meshgrid(low + dy + 1, low + dx + 1, indexing="ij")
            np.add.at(cells, (rows, columns, bins), weight * wy[:, None] * wx)
    return cells[1:-1, 1:-1]


class OpenFaceUnits:
    """What OpenFace's static classifiers say of a face.

    Args:
        folder: of ``AU_*_static.dat`` and ``pdm.txt``.
    """

    def __init__(self, folder: Path) -> None:
        self.model = PointModel.load(folder / "pdm.txt")
        files = sorted(
            folder.glob("AU_*_static.dat"), key=lambda path: int(path.name.split("_")[1])
        )
        self.names = tuple(f"AU{path.name.split('_')[1]}" for path in files)
        self._units = [Linear.load(path) for path in files]

    def __call__(self, picture: NDArray[np.uint8], mesh: NDArray[np.float32]) -> Array:
        """[K] decisions in the order of ``names``; ``mesh`` [478, 3] in pixels of ``picture``."""
        points = mesh[IBUG68].astype(np.float64)
        x = np.concatenate(
            [hog(aligned(picture, points, self.model)), self.model.deviation(points)]
        )
        return np.array([unit(x) for unit in self._units])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--faces", type=Path, required=True, help="what face_points.py wrote")
    parser.add_argument("--models", type=Path, required=True, help="AU_*_static.dat and pdm.txt")
    parser.add_argument("--set", choices=SETS, required=True)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    reader, units = FaceReader(), OpenFaceUnits(options.models)
    pictures = np.load(options.faces / options.set / "pictures.npy", mmap_mode="r")
    said = np.full((len(pictures), len(units.names)), np.nan, np.float32)
    for at, picture in enumerate(tqdm(pictures, desc=options.set)):
        large, face = reader.find(picture)
        if face is not None:
            said[at] = units(large, face.mesh)
    with atomic_path(options.faces / options.set / "openface.npz") as target:
        np.savez(target, names=np.array(units.names), said=said)


if __name__ == "__main__":
    main()
