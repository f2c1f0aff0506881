"""RAF-DB: faces from the web, one of seven basic expressions, aligned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from avaffect.datasets.sets.sample import (
    Log,
    PublicSet,
    Sample,
    below,
    expression,
    file_in,
    require_folder,
    text_lines,
)

# Its classes 1 to 7.
_CLASSES = ("Surprise", "Fear", "Disgust", "Happiness", "Sadness", "Anger", "Neutral")


def read(root: Path, log: Log) -> Iterator[Sample]:
    """Its samples; see `PublicSet.read`."""
    root = below(root, "basic")
    images = root if (root / "aligned").is_dir() else root / "Image"
    pictures = below(require_folder(images, "aligned"), "aligned")
    path = below(root, "EmoLabel") / "list_patition_label.txt"
    seen: set[str] = set()
    for number, line in text_lines(path):
        place = f"'{path}' line {number}"
        name, _, code = line.replace("\t", " ").partition(" ")
        stem = name.removesuffix(".jpg")
        split = stem.partition("_")[0]
        if stem == name or split not in ("train", "test") or Path(name).name != name:
            log.wrong(f"{place}: '{line[:60]}' is no line as 'train_00001.jpg 5'")
            continue
        if code.strip() not in {str(at) for at in range(1, len(_CLASSES) + 1)}:
            log.wrong(f"{place}: '{code.strip()[:20]}' is no class from 1 to {len(_CLASSES)}")
            continue
        if stem in seen:
            log.wrong(f"{place}: '{name[:60]}' has a line already")
            continue
        seen.add(stem)
        picture = file_in(pictures, f"{stem}_aligned.jpg")
        if picture is None:
            log.wrong(f"{place}: there is no picture '{stem[:60]}_aligned.jpg'")
            continue
        labels = {"expr": expression(_CLASSES[int(code) - 1])}
        yield Sample(stem, (picture,), labels, stem, split)


RAFDB = PublicSet(
    name="rafdb",
    title="RAF-DB, basic",
    kind="pictures",
    layout="""\
basic/EmoLabel/list_patition_label.txt      train_00001.jpg 5
basic/Image/aligned/train_00001_aligned.jpg ...   100 x 100 pixels, taken as they are""",
    source="Li, Deng and Du 2017 (doi 10.1109/CVPR.2017.277), its readme",
    mapping=tuple((f"{at} {name}", name) for at, name in enumerate(_CLASSES, start=1)),
    groups="not known: each picture is a group of its own",
    splits="train and test; no val, so a fifth of train is held out",
    read=read,
)
