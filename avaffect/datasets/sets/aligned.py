"""Faces of a public set's pictures, found and aligned as ``preprocess`` does it with frames.

<out>/aligned.json           of which set they are, and of how many pictures
<out>/<picture's place>.jpg  112 x 112; a picture in which nobody is found has none
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from avaffect.config import AnalysisConfig
from avaffect.datasets.sets.registry import set_named
from avaffect.datasets.sets.sample import Log, Sample
from avaffect.errors import AvaffectError, UsageError, boundary
from avaffect.faces.face import Face
from avaffect.faces.search import Search
from avaffect.faces.track import Tracker
from avaffect.files.atomic import write_json
from avaffect.files.ours import foreign
from avaffect.files.outside import read_kept
from avaffect.media.still_picture import read_still
from avaffect.models.device import choose_device
from avaffect.preprocessing.recorder import write_crop
from avaffect.preprocessing.run import NetsLoader
from avaffect.progress import EventCallback, Notice, Progress, ignore_events

RECORD = "aligned.json"
_SHAPE = {"set": str, "pictures": int, "faces": int, "damaged": int}


@dataclass(frozen=True)
class Aligned:
    """What became of a set's pictures.

    Attributes:
        pictures: how many there are.
        faces: in how many somebody was found.
        damaged: how many cannot be decoded.
        made: how many were looked at now; the others were there already.
    """

    pictures: int
    faces: int
    damaged: int
    made: int


@boundary()
def align_set(
    name: str,
    root: Path | str,
    out: Path | str,
    config: AnalysisConfig | None = None,
    *,
    device: str = "auto",
    on_event: EventCallback = ignore_events,
) -> Aligned:
    """Write the aligned face of each picture of a set into ``out``; what is there stays.

    Of several faces the one that the set's box is about is taken, without a box the largest.

    Args:
        name: of the set, of pictures or frames.
        root: its folder.
        out: the folder to write.
        config: how faces are found; None for the defaults.
        device: where the nets run.
        on_event: progress in pictures, and notices.

    Raises:
        UnknownNameError: there is no such set.
        UsageError: its faces are found by ``preprocess``.
        InputNotFoundError, FormatError: the set is not what it should be.
        ForeignFileError: ``out`` holds something else.
        OutputError: the disk does not take it.
    """
    entry, root, out = set_named(name), Path(root), Path(out)
    if entry.kind not in ("pictures", "frames"):
        raise UsageError(
            f"{entry.title} holds {entry.kind}, not pictures", "run `avaffect preprocess` on them"
        )
    if out.is_dir() and any(out.iterdir()) and aligned_of(out) != name:
        raise foreign(out)
    samples = [*entry.read(root, Log())]
    config = config or AnalysisConfig()
    nets = NetsLoader(replace(config, encoders=()), choose_device(device).name)(on_event)
    search = Search(nets.detector, nets.second)
    pictures = faces = damaged = made = 0
    total = sum(len(sample.files) for sample in samples)
    write_json(out / RECORD, {"set": name, "pictures": 0, "faces": 0, "damaged": 0})
    for sample, path in _pictures(samples):
        target = out / place_of(path, root)
        pictures += 1
        if not target.is_file():
            made += 1
            try:
                frame = read_still(path, config.media).frame
            except AvaffectError as error:
                damaged += 1
                on_event(Notice(str(error), warning=True))
                continue
            tracker = Tracker(nets.detector, nets.landmarker, config.faces, search)
            found = [tracked.face for tracked in tracker.update(frame)]
            if not found:
                continue
            face = max(found, key=lambda face: _fit(face, sample.box))
            write_crop(frame.image, face.points, config.faces.crop_size, target)
        faces += 1
        on_event(Progress("faces", pictures, total, "pictures", pictures == total))
    figures = {"pictures": pictures, "faces": faces, "damaged": damaged}
    write_json(out / RECORD, {"set": name, **figures})
    return Aligned(**figures, made=made)


def _pictures(samples: list[Sample]) -> Iterator[tuple[Sample, Path]]:
    for sample in samples:
        for path in sample.files:
            yield sample, path


def aligned_of(folder: Path) -> str:
    """The set whose aligned faces lie in ``folder``; empty if none do.

    Bounds: as `outside.read_json`.

    Raises:
        FormatError: its record may not be read.
    """
    record = read_kept(folder / RECORD, _SHAPE)
    return "" if record is None else str(record["set"])


def place_of(picture: Path, root: Path) -> Path:
    """Where the aligned face of a picture lies, relative to the folder of aligned faces."""
    return picture.relative_to(root).with_suffix(".jpg")


def _fit(face: Face, box: tuple[float, float, float, float] | None) -> float:
    """How well a face is the one that is meant: the overlap with ``box``, or its size."""
    left, top, right, bottom = (float(edge) for edge in face.box)
    size = (right - left) * (bottom - top)
    if box is None:
        return size
    x, y, width, height = box
    common_x = min(right, x + width) - max(left, x)
    common_y = min(bottom, y + height) - max(top, y)
    common = max(0.0, common_x) * max(0.0, common_y)
    return common / float(np.maximum(size + width * height - common, 1e-9))
