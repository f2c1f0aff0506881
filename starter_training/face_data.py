"""The prepared face sets as the training of the face net reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from face_points import Points, matrices
from face_sets import SETS, Labels
from face_twins import Twins
from face_units import read_units
from face_values import Scale
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Faces:
    """One set, prepared; ``N`` pictures.

    Attributes:
        name: a key of ``SETS``.
        pictures: uint8 [N, H, W, channels], on disk.
        matrices: float32 [N, 2, 3], from a picture's pixels to ArcFace's crop of 112.
        sure: float32 [N] in 0..1, how sure it is that there is a face where it was found.
        labels: splits, targets and labels.
        values: float32 [N, 2], valence and arousal on people's scale; NaN where not known.
        units: float32 [N, 12] in 0..1, how likely each unit is there, to two machines; NaN where
            the face was not sure or turned away, or the set's pictures do not show whole faces.
        twin: bool [N], pictures that training must leave out since another is the same.
    """

    name: str
    pictures: NDArray[np.uint8]
    matrices: Floats
    sure: Floats
    labels: Labels
    values: Floats
    units: Floats
    twin: NDArray[np.bool_]

    def rows(self, split: str) -> NDArray[np.int64]:
        """The pictures of a part of which something is known; of ``train`` without twins."""
        known = (self.labels.split == split) & (self.labels.target.sum(axis=1) > 0)
        return np.flatnonzero(known & ~self.twin if split == "train" else known)


def load_faces(folder: Path, name: str) -> Faces:
    """The set called ``name`` from ``work/faces``."""
    parts = {}
    for part, kind in (("labels", Labels), ("points", Points), ("twins", Twins)):
        with np.load(folder / name / f"{part}.npz", allow_pickle=False) as file:
            parts[part] = kind(**file)
    scale = Scale.load(folder / "values.json")
    units = read_units(parts["points"], folder / name / "openface.npz").opinions(parts["labels"])
    return Faces(
        name=name,
        pictures=np.load(folder / name / "pictures.npy", mmap_mode="r"),
        matrices=matrices(parts["points"]),
        sure=parts["points"].sure,
        labels=parts["labels"],
        values=scale(parts["labels"].values, parts["labels"].label),
        units=units if SETS[name].whole else np.full_like(units, np.nan),
        twin=parts["twins"].known,
    )


def load_all(folder: Path) -> dict[str, Faces]:
    """All prepared sets by name."""
    return {name: load_faces(folder, name) for name in SETS if (folder / name).is_dir()}
