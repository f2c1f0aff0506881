"""Faces found in close-ups, small and turned ones: by the detector alone, and as `predict` looks.

    python benchmarks/faces_found.py --pictures rafdb/images.zip [--count 200] --clips no_face.mp4

Each picture of ``--pictures`` (zip files or folders of aligned faces) is shown in several ways. A
face counts as found if the tracker confirms one in a single picture. The landmark net, told where
the face is, sorts the turned and bowed heads into rows of their own. ``--clips`` are gone through
frame by frame; in those without a face, what is found is wrong.
"""

from __future__ import annotations

import argparse
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.config import FaceConfig
from avaffect.faces.detectors.registry import build_detector
from avaffect.faces.landmarks import Landmarker, Roi, roi_from_mesh
from avaffect.faces.search import SECOND, Search
from avaffect.faces.shape import ShapeReader
from avaffect.faces.track import Tracker
from avaffect.media.frames import Frame, FrameReader

Picture = NDArray[np.uint8]
GREY = (110, 110, 110)


def pictures(source: Path, count: int, seed: int) -> Iterator[Picture]:
    """``count`` pictures of a zip file or folder, drawn with ``seed``, RGB."""
    kinds = (".jpg", ".jpeg", ".png", ".webp")
    if source.is_dir():
        paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in kinds)
        contents = [path.read_bytes for path in paths]
    else:
        archive = zipfile.ZipFile(source)
        names = sorted(name for name in archive.namelist() if name.lower().endswith(kinds))
        contents = [lambda name=name: archive.read(name) for name in names]  # type: ignore[misc]
    order = np.random.default_rng(seed).permutation(len(contents))[:count]
    for at in order:
        image = cv2.imdecode(np.frombuffer(contents[at](), np.uint8), cv2.IMREAD_COLOR)
        yield np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def enlarged(image: Picture, side: int = 720) -> Picture:
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)


def cut_out(image: Picture) -> Picture:
    """The middle three quarters: from chin to brow."""
    large = enlarged(image, 960)
    return large[120:840, 120:840]


def film(image: Picture) -> Picture:
    """The middle band of a face, as a film's frame."""
    return enlarged(image, 1280)[280:1000]


def small(image: Picture, side: int = 60) -> Picture:
    """A face of some ``side`` pixels somewhere in a grey 720p picture."""
    face = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    frame = np.full((720, 1280, 3), GREY, np.uint8)
    rng = np.random.default_rng(int(image.sum()) % 2**32)
    x, y = rng.integers(0, 1280 - side), rng.integers(0, 720 - side)
    frame[y : y + side, x : x + side] = face
    return frame


def turned(image: Picture, degrees: float) -> Picture:
    matrix = cv2.getRotationMatrix2D((50, 50), degrees, 2.5) + np.array([[0, 0, 250], [0, 0, 250]])
    face = cv2.resize(image, (100, 100))
    return np.asarray(cv2.warpAffine(face, matrix, (600, 600), borderValue=GREY), np.uint8)


SHOWN: dict[str, Callable[[Picture], Picture]] = {
    "fills the picture, 720 x 720": enlarged,
    "larger than the picture": cut_out,
    "larger, 1280 x 720": film,
    "60 pixels in 720p": small,
    "40 pixels in 720p": lambda image: small(image, 40),
    "leaning by 30 degrees": lambda image: turned(image, 30),
    "leaning by 60 degrees": lambda image: turned(image, 60),
}


class Found:
    """Whether a face is found in a single picture, before and after."""

    def __init__(self) -> None:
        config = FaceConfig()
        self.detect = build_detector(config.detector)
        self.second = build_detector(SECOND)
        self.landmarks, self.config = Landmarker(), config

    def tracker(self, harder: bool) -> Tracker:
        """A fresh one."""
        search = Search(self.detect, self.second) if harder else None
        return Tracker(self.detect, self.landmarks, self.config, search)

    def __call__(self, image: Picture) -> tuple[bool, bool]:
        """By the detector alone, and as it is now."""
        frame = Frame(0, 0.0, np.ascontiguousarray(image))
        before = bool(self.tracker(False).update(frame))
        # Where the detector finds somebody, nothing else is looked at.
        return before, before or bool(self.tracker(True).update(frame))


def heading(landmarks: Landmarker, shapes: ShapeReader, image: Picture) -> str | None:
    """Which of the rows of heads a picture belongs to."""
    framed = cv2.copyMakeBorder(enlarged(image, 200), 40, 40, 40, 40, cv2.BORDER_REPLICATE)
    face = landmarks(framed, Roi(140, 140, 210, 0.0))
    face = face and landmarks(framed, roi_from_mesh(face.mesh))
    if face is None or face.confidence < 0.5:
        return None
    yaw, pitch, _ = (float(value) for value in shapes(face).pose)
    if pitch < -20:
        return "head bowed (pitch below -20)"
    return "head turned (yaw above 40)" if abs(yaw) > 40 else None


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=Path, nargs="*", default=[])
    parser.add_argument("--clips", type=Path, nargs="*", default=[])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    found = Found()
    print(f"{'shown':44}{'pictures':>9}{'before':>8}{'now':>8}")
    for source in arguments.pictures:
        faces = list(pictures(source, arguments.count, arguments.seed))
        shapes = ShapeReader()
        rows: dict[str, list[tuple[bool, bool]]] = {name: [] for name in SHOWN}
        for face in faces:
            for name, show in SHOWN.items():
                rows[name].append(found(show(face)))
            if head := heading(found.landmarks, shapes, face):
                rows.setdefault(head, []).append(found(turned(face, 0)))
        for name, results in rows.items():
            before, now = np.sum(results, axis=0)
            print(f"{source.parent.name + ': ' + name:44}{len(results):9}{before:8}{now:8}")
    for clip in arguments.clips:
        counts, spent = [], []
        for harder in (False, True):
            tracker, start = found.tracker(harder), time.process_time()
            with FrameReader(clip) as reader:
                seen = [len(tracker.update(frame)) for frame in reader]
            spent.append(1e3 * (time.process_time() - start) / len(seen))
            counts.append(sum(one > 0 for one in seen))
        cost = f"   {spent[0]:.1f} and {spent[1]:.1f} ms of CPU a frame"
        print(f"{clip.name:44}{len(seen):9}{counts[0]:8}{counts[1]:8}{cost}")


if __name__ == "__main__":
    main()
