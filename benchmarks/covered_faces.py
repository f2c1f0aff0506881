"""What ``confidence`` and the units make of covered faces, and of faces with nothing wrong.

    python benchmarks/covered_faces.py [clip.mp4 ...] [--every 5] [--json out.json]

Things are painted on each clip's faces: boxes over mouth, eyes, brows and halves, in plain, shaded
and patterned colours, and dark glasses; and the clips are blurred, darkened and made small. A row
gives the frames in which the landmark net still sees a face, and of those the share in which
brows, eyes and mouth count as hidden, and the mean of presence and confidence.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.config import FaceConfig
from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.face import Face
from avaffect.faces.landmarks import Landmarker, roi_from_mesh
from avaffect.faces.quality import REGIONS, QualityReader
from avaffect.faces.shape import ShapeReader
from avaffect.faces.track import Tracker
from avaffect.media.frames import FrameReader

Picture = NDArray[np.uint8]
SAMPLES = Path(__file__).parents[1] / "sample_media"
MOUTH, EYES, BROWS = (61, 291, 0, 17), (33, 133, 362, 263), (63, 105, 66, 296, 334, 293)
# Centre, then width and height in sides of the face.
PLACES: dict[str, tuple[tuple[int, ...], float, float]] = {
    "mouth": (MOUTH, 0.75, 0.45),
    "eyes": (EYES, 0.95, 0.22),
    "eyes and brows": (EYES, 1.0, 0.42),
    "brows": (BROWS, 1.0, 0.2),
}


def coloured(image: Picture, face: Face, kind: str) -> Picture:
    """A picture of what is painted on."""
    height, width = image.shape[:2]
    x, y = (int(value) for value in face.mesh[50, :2])  # a cheek
    skin = image[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)]
    plain = {
        "skin": skin,
        "blue": (160, 195, 220),
        "black": (12, 12, 12),
        "white": (240, 240, 240),
    }
    out = np.empty_like(image)
    out[:] = plain.get(kind, (150, 60, 60))
    across, down = np.meshgrid(np.arange(width), np.arange(height))
    if kind == "folds":
        out = np.clip(out + (25 * np.sin((down + across / 4) / 6))[..., None], 0, 255)
    elif kind == "checks":
        out[(across // 7 + down // 7) % 2 == 0] = (230, 220, 190)
    return out.astype(np.uint8)


def covered(image: Picture, face: Face, place: str, kind: str) -> Picture:
    """``image`` with a box over a place of its face."""
    points, wide, tall = PLACES[place]
    side = roi_from_mesh(face.mesh).size / 1.5
    x, y = face.mesh[list(points), :2].mean(0)
    low = np.clip([x - wide * side / 2, y - tall * side / 2], 0, None).astype(int)
    high = np.array([x + wide * side / 2, y + tall * side / 2]).astype(int)
    out = image.copy()
    part = np.s_[low[1] : high[1], low[0] : high[0]]
    out[part] = coloured(image, face, kind)[part]
    return out


def glasses(image: Picture, face: Face) -> Picture:
    """Dark, with a shine."""
    out = image.copy()
    side = roi_from_mesh(face.mesh).size / 1.5
    for points in ((33, 133), (362, 263)):
        x, y = (float(value) for value in face.mesh[list(points), :2].mean(0))
        cv2.ellipse(out, ((x, y), (0.36 * side, 0.26 * side), 0.0), (25, 22, 25), -1, cv2.LINE_AA)
        shine = ((x - 0.06 * side, y - 0.05 * side), (0.08 * side, 0.04 * side), 20.0)
        cv2.ellipse(out, shine, (120, 120, 130), -1, cv2.LINE_AA)
    return out


def half(image: Picture, face: Face, which: str) -> Picture:
    """One half of the face under a grey box."""
    out = image.copy()
    low, high = face.mesh[:, :2].min(0).astype(int), face.mesh[:, :2].max(0).astype(int)
    x, y = ((low + high) / 2).astype(int)
    parts = {"left": np.s_[: high[1] + 9, :x], "lower": np.s_[y:, :]}
    out[parts[which]] = (120, 120, 125)
    return out


def smaller(image: Picture, size: float) -> Picture:
    return np.asarray(cv2.resize(image, None, fx=size, fy=size, interpolation=cv2.INTER_AREA))


Change = Callable[[Picture, Face], Picture]
CHANGES: dict[str, Change] = {"nothing": lambda image, face: image}
CHANGES |= {
    f"{place}, {kind}": lambda image, face, place=place, kind=kind: covered(
        image, face, place, kind
    )  # type: ignore[misc]
    for place in PLACES
    for kind in ("skin", "blue", "black", "white", "folds", "checks")
}
CHANGES |= {
    "dark glasses": glasses,
    "left half": lambda image, face: half(image, face, "left"),
    "lower half": lambda image, face: half(image, face, "lower"),
    "blurred": lambda image, face: np.asarray(cv2.GaussianBlur(image, (0, 0), 6.0)),
    "dark": lambda image, face: (image * 0.08).astype(np.uint8),
    "a quarter as large": lambda image, face: smaller(image, 0.25),
}


def faces_of(clip: Path, every: int) -> Iterator[tuple[Picture, Face]]:
    """Every so many frames a picture and one of its faces."""
    tracker = Tracker(build_detector(FaceConfig().detector), Landmarker(), FaceConfig())
    with FrameReader(clip) as reader:
        for frame in reader:
            for one in tracker.update(frame):
                if frame.index % every == 0:
                    yield frame.image, one.face


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="*")
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    samples = [SAMPLES / name for name in ("one_person.mp4", "two_people.mp4", "vfr_rotated.mov")]
    landmarks, shapes, read = Landmarker(), ShapeReader(), QualityReader()
    rows: dict[str, list[list[float]]] = {name: [] for name in CHANGES}
    tried = 0
    for clip in arguments.clips or samples:
        for image, face in faces_of(clip, arguments.every):
            tried += 1
            for name, change in CHANGES.items():
                shown = change(image, face)
                scale = shown.shape[0] / image.shape[0]
                now = landmarks(shown, roi_from_mesh(face.mesh * np.float32(scale)))
                now = now and landmarks(shown, roi_from_mesh(now.mesh))
                if now is None or now.confidence < FaceConfig().min_presence:
                    continue
                quality = read(shown, now, shapes(now).pose)
                hidden = [float(one < 0.5) for one in quality.seen]
                rows[name].append([*hidden, now.confidence, quality.confidence])
    names = [*(f"{region} hidden" for region in REGIONS), "presence", "confidence"]
    print(f"{tried} faces")
    print(f"{'painted on':24}{'seen':>6}" + "".join(f"{name:>14}" for name in names))
    table = {}
    for name, found in rows.items():
        means = np.mean(found, axis=0) if found else np.full(len(names), np.nan)
        table[name] = {
            "seen": len(found),
            **dict(zip(names, means.round(3).tolist(), strict=True)),
        }
        print(f"{name:24}{len(found):6}" + "".join(f"{value:14.3f}" for value in means))
    if arguments.json:
        arguments.json.write_text(json.dumps(table, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
