"""Make avaffect/datasets/synth/face.npz: python sample_media/make_synth_face.py

The portrait of the sample clips, its triangles, and where each action and each trait of a person
moves their corners, so that `avaffect data synth` draws faces without scikit-image and without
any net. Needs scikit-image; see README.md.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from make_samples import FACE_BOX, HEAD, Picture
from numpy.typing import NDArray
from skimage import data
from warp import (
    BROWS,
    LOWER_LIDS,
    LOWER_LIP,
    MOUTH_EDGE,
    OTHER_PERSON,
    UPPER_LIDS,
    UPPER_LIP,
    Offsets,
    Portrait,
    areas,
    find_mesh,
    frown,
)

from avaffect.files.atomic import atomic_path
from avaffect.models.fetch import model_path

OUT = Path(__file__).parents[1] / "avaffect" / "datasets" / "synth_face.npz"
LEFT, TOP, RIGHT, BOTTOM = 72, 0, 378, 262  # the part of the portrait that is kept
BROW_POINTS = {p for pair in BROWS for edge in pair for p in edge}
LIP_POINTS = {p for lip in (UPPER_LIP, LOWER_LIP) for row in lip.values() for p in row}
NOSE_POINTS = {98, 129, 48, 1, 4, 327, 358, 278, 2}


def raise_upper_lip(face: NDArray[np.float64]) -> Offsets:
    """The upper lip's middle and the nose's wings go up, the lower lip stays."""
    middle = (face[61] + face[291]) / 2
    half = abs(face[291, 0] - middle[0])
    offsets: Offsets = {p: (0.0, 0.0) for row in LOWER_LIP.values() for p in row}
    for row in UPPER_LIP.values():
        for point in row[1:-1]:
            u = (face[point, 0] - middle[0]) / half
            offsets[point] = (0.0, -0.13 * max(0.0, 1 - u * u))
    wings = {p: (0.0, -0.045) for p in (98, 129, 48, 327, 358, 278)}
    return offsets | wings | {p: (0.0, 0.0) for p in (1, 4, 2)}


def masks(image: Picture) -> NDArray[np.uint8]:
    """uint8 [4, H, W], 255 where the portrait shows skin, hair, wall and suit."""
    height, width = image.shape[:2]
    hue, saturation, value = cv2.split(cv2.cvtColor(image, cv2.COLOR_RGB2HSV).astype(np.float32))
    ys, xs = np.mgrid[:height, :width]
    (x, y), (across, along) = HEAD
    radius = np.hypot((xs - x) / across, (ys - y) / along)
    left, top, right, bottom = FACE_BOX
    middle, half = (left + right) / 2, (right - left) / 2
    oval = np.hypot((xs - middle) / half, 2 * (ys - top) / (bottom - top) - 1) < 1
    warm = np.clip((saturation - np.where(oval, 15, 35)) / 25, 0, 1)
    warm[oval] = 1
    head = np.clip((1.15 - radius) / 0.15, 0, 1) * warm
    skin = np.where(oval & (ys > 86), 1, np.clip((value - 140) / 50, 0, 1)).astype(np.float32)
    skin = cv2.GaussianBlur(skin, (0, 0), 1.5)
    suit = (hue < 14) & (saturation > 130) & (radius > 1)
    wall = np.clip((60 - saturation) / 20, 0, 1) * ~oval
    parts = np.stack([head * skin, head * (1 - skin), wall * (1 - head), suit])
    return np.rint(255 * parts).astype(np.uint8)


def main() -> None:
    image = data.astronaut()
    mesh = find_mesh(model_path("face-landmarker"), image, FACE_BOX)
    portrait = Portrait(image, mesh)
    face = (mesh[:, :2] - portrait.centre) @ portrait.axes.T / portrait.unit
    down = frown(face)
    lids = {p for pair in (*UPPER_LIDS, *LOWER_LIDS) for p in pair}
    portrait.add_expression("lip_down", {p: o for p, o in down.items() if p in LIP_POINTS})
    portrait.add_expression(
        # At full strength the brows of the sample clips' frown would hide the eyes.
        "brow_lower",
        {p: (1.2 * x, 0.7 * y) for p, (x, y) in down.items() if p in BROW_POINTS}
        | {p: (x, 0.65 * y) for p, (x, y) in down.items() if p in lids},
    )
    portrait.add_expression("lip_raise", raise_upper_lip(face))
    other = OTHER_PERSON
    traits = {
        "nose": {p: o for p, o in other.items() if p in NOSE_POINTS},
        "brows": {p: o for p, o in other.items() if p in BROW_POINTS},
        "lips": {p: o for p, o in other.items() if p in LIP_POINTS},
        "eyes": {p: o for p, o in other.items() if p in lids},
    }
    traits["jaw"] = {
        p: o for p, o in other.items() if all(p not in trait for trait in traits.values())
    }
    for name, offsets in traits.items():
        portrait.add_expression(name, offsets)

    # What never moves is not needed: outside of these triangles the portrait is copied.
    middle = portrait.centre + 0.15 * portrait.unit * portrait.axes[1]
    away = np.linalg.norm((portrait.points - middle) / [1.35, 1.6], axis=1) / portrait.unit
    moving = away < 1.9
    triangles = portrait.triangles[moving[portrait.triangles].any(axis=1)]
    triangles = triangles[areas(portrait.points[triangles]) > 1e-3]
    used = np.union1d(np.unique(triangles), MOUTH_EDGE)
    place = np.full(len(portrait.points), -1)
    place[used] = np.arange(len(used))

    actions = ("smile", "brow_raise", "open_mouth", "brow_lower", "lip_down", "lip_raise")
    window = np.s_[TOP:BOTTOM, LEFT:RIGHT]
    arrays = {
        "image": image[window],
        "calm": np.clip(portrait.calm_skin + 0.5, 0, 255).astype(np.uint8)[window],
        "masks": masks(image)[:, TOP:BOTTOM, LEFT:RIGHT],
        "points": (portrait.points[used] - [LEFT, TOP]).astype(np.float32),
        "depth": portrait.depth[used].astype(np.float32),
        "rest": portrait.relaxed[used].astype(np.float32),
        "triangles": place[triangles].astype(np.uint16),
        "mouth_edge": place[list(MOUTH_EDGE)].astype(np.uint16),
        "landmarks": place[[33, 263, 168, 13, 14]].astype(np.uint16),
        "actions": np.stack([portrait.moves[name][used] for name in actions]).astype(np.float16),
        "traits": np.stack([portrait.moves[name][used] for name in traits]).astype(np.float16),
        "action_names": np.array(actions),
        "trait_names": np.array(list(traits)),
    }
    with atomic_path(OUT) as temporary:
        np.savez_compressed(temporary, **arrays)
    print(f"{OUT.name}: {OUT.stat().st_size / 1000:.0f} kB, {len(triangles)} triangles")


if __name__ == "__main__":
    main()
