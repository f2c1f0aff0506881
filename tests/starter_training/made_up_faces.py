"""Made-up face sets, prepared as starter_training/face_points.py and face_twins.py leave them."""

import json

import numpy as np
from face_points import Points
from face_sets import Labels
from face_twins import Twins

from avaffect.faces.align import AFFWILD2
from avaffect.faces.face_pose import SIZE as POSE_SIZE

SIDE = 28


def blobs(count, channels, seed=0):
    """Smooth random pictures, uint8 [count, 28, 28, channels]."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 7, 7, channels))
    return np.kron(coarse, np.ones((1, 4, 4, 1))).astype(np.uint8)


def labels(count, classes, valued):
    """Every class in turn; each fifth picture is of the validation part."""
    label = np.arange(count) % classes
    values = np.full((count, 2), np.nan, np.float32)
    if valued:
        values[:] = np.stack([np.cos(label), np.sin(label)], axis=1) * 0.8
    return Labels(
        path=np.array([f"{at}.png" for at in range(count)]),
        split=np.where(np.arange(count) % 5 == 4, "validation", "train"),
        target=np.eye(8, dtype=np.float32)[label],
        label=label,
        own=np.full(count, -1),
        values=values,
    )


def write(folder, name, count, channels, classes, valued=True):
    """One prepared set; its faces are upright and sure, its last picture is a known twin."""
    place = folder / name
    place.mkdir(parents=True)
    np.save(place / "pictures.npy", blobs(count, channels, seed=classes))
    np.savez(place / "labels.npz", **vars(labels(count, classes, valued)))
    points = np.repeat(AFFWILD2.template_px[None] * (SIDE / 112), count, axis=0)
    found = Points(points, np.ones(count, np.float32), np.zeros((count, POSE_SIZE), np.float32))
    np.savez(place / "points.npz", **vars(found))
    nothing = np.full(count, -1, np.float32)
    earlier = nothing.copy()
    earlier[-1] = 0.99
    np.savez(place / "twins.npz", **vars(Twins(nothing, earlier, np.zeros((count, 2), int))))
    scale = {"scale": [1.0, 1.0], "shift": [0.0, 0.0], "own": [[0.0, 0.0]] * 8}
    scale["people"] = [[0.1, -0.1]] * 8
    (folder / "values.json").write_text(json.dumps(scale), encoding="utf-8")


def write_sets(folder):
    """A colour set of seven classes with values, a grey one of eight without."""
    write(folder, "rafdb", 36, 3, 7)
    write(folder, "ferplus", 41, 1, 8, valued=False)
    return folder
