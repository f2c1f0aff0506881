"""The face sets that starter-2's face net learns from: their pictures, what is known of them.

Each set is a folder of ``images.zip`` and ``manifest.csv``. The eight classes are those of the
challenge. What lies outside its seven named expressions is *Other*: contempt, and in FER+ also a
rater's "unknown". A set that knows fewer classes says so (``classes``): the net is then asked only
which of those it is. The test parts of RAF-DB and AffectNet are in no folder and are never used.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.labels import EXPRESSIONS

Floats = NDArray[np.float32]
Row = dict[str, str]

OTHER = EXPRESSIONS.index("Other")
WORDS = {
    "neutral": "Neutral",
    "angry": "Anger",
    "disgust": "Disgust",
    "fear": "Fear",
    "happy": "Happiness",
    "sad": "Sadness",
    "surprise": "Surprise",
    "contempt": "Other",
}
# FER+'s columns and the class that each votes for; nobody votes for a class with "no_face".
VOTES = {
    "neutral": "Neutral",
    "anger": "Anger",
    "disgust": "Disgust",
    "fear": "Fear",
    "happiness": "Happiness",
    "sadness": "Sadness",
    "surprise": "Surprise",
    "contempt": "Other",
    "unknown": "Other",
}
# FER2013's own label counts as so many of FER+'s ten votes.
OWN_LABEL_VOTES = 2.0
# The part of RAF-DB's training part that is kept aside as its validation part.
KEPT_ASIDE = 0.1


@dataclass(frozen=True)
class FaceSet:
    """A set of pictures.

    Attributes:
        name: the folder's name.
        grey: whether its pictures have one channel.
        classes: how many of ``EXPRESSIONS``, from the first on, its labels know.
        whole: whether its pictures show the face down to the chin. Where they do not, the mesh
            takes an open mouth for a grin, and no units can be read.
    """

    name: str
    grey: bool
    classes: int
    whole: bool


SETS = {
    each.name: each
    for each in (
        FaceSet("ferplus", grey=True, classes=8, whole=True),
        FaceSet("rafdb", grey=False, classes=7, whole=False),
        FaceSet("affectnet8", grey=False, classes=8, whole=True),
    )
}


@dataclass(frozen=True)
class Labels:
    """What is known of ``N`` pictures.

    Attributes:
        path: str [N], name in ``images.zip``.
        split: str [N]: ``train``, ``validation`` or ``test``.
        target: float32 [N, 8], what the net should say; a row sums to 1, or to 0 where nothing
            is known.
        label: int64 [N], the class a picture is scored by, -1 for none (in FER+ the majority).
        own: int64 [N], FER2013's own label, -1 where it has none or the set is another.
        values: float32 [N, 2], the mean valence and arousal of the value teachers (nets, not
            people), NaN where they were not asked.
    """

    path: NDArray[np.str_]
    split: NDArray[np.str_]
    target: Floats
    label: NDArray[np.int64]
    own: NDArray[np.int64]
    values: Floats


def read_rows(folder: Path) -> list[Row]:
    """The rows of the manifest, in its order."""
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_pictures(folder: Path, rows: Sequence[Row]) -> Iterator[NDArray[np.uint8]]:
    """Each row's picture, uint8 [H, W, 3] RGB."""
    with zipfile.ZipFile(folder / "images.zip") as archive:
        for row in rows:
            data = np.frombuffer(archive.read(row["path"]), np.uint8)
            picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
            if picture is None:
                raise SystemExit(f"{row['path']} in {folder}/images.zip is no picture")
            yield np.asarray(picture[:, :, ::-1], np.uint8)


def read_labels(name: str, folder: Path, rows: Sequence[Row]) -> Labels:
    """What the files in ``folder`` say of ``rows``, those of the set called ``name``."""
    split = np.array([row["split"] for row in rows])
    if name == "ferplus":
        target, label, own = _votes(rows)
    else:
        label = np.array([EXPRESSIONS.index(WORDS[row["label"]]) for row in rows], np.int64)
        target, own = np.eye(len(EXPRESSIONS), dtype=np.float32)[label], np.full_like(label, -1)
    if not (split != "train").any():
        split = kept_aside(label)
    path = np.array([row["path"] for row in rows])
    return Labels(path, split, target, label, own, _values(folder, path))


def _values(folder: Path, paths: NDArray[np.str_]) -> Floats:
    """[N, 2], the teachers' mean; the file has a valence and an arousal column of each teacher."""
    values = np.full((len(paths), 2), np.nan, np.float32)
    file = folder / "va_teachers.csv"
    if not file.exists():
        return values
    with file.open(encoding="utf-8", newline="") as lines:
        said = {row.pop("path"): row for row in csv.DictReader(lines)}
    for at, path in enumerate(paths):
        if path in said:
            for column, kind in enumerate(("valence", "arousal")):
                opinions = [float(v) for k, v in said[path].items() if k.endswith(kind)]
                values[at, column] = np.mean(opinions)
    return values


def kept_aside(label: NDArray[np.int64]) -> NDArray[np.str_]:
    """str [N], a tenth of each class as ``validation``, always the same; the others ``train``."""
    chance = np.random.default_rng(0)
    split = np.full(len(label), "train", "<U10")
    for one in np.unique(label):
        rows = chance.permutation(np.flatnonzero(label == one))
        split[rows[: round(len(rows) * KEPT_ASIDE)]] = "validation"
    return split


def _votes(rows: Sequence[Row]) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Target, label and FER2013's own label of FER+'s rows.

    A picture is scored by its majority as FER+'s authors do it: not where "unknown" or "no face"
    has most votes, nor where two classes share them.
    """
    votes = np.zeros((len(rows), len(EXPRESSIONS)), np.float32)
    own, label = np.full(len(rows), -1, np.int64), np.full(len(rows), -1, np.int64)
    for at, row in enumerate(rows):
        for column, expression in VOTES.items():
            votes[at, EXPRESSIONS.index(expression)] += float(row[column])
        of_no_class = max(float(row["unknown"]), float(row["no_face"]))
        named = votes[at].copy()
        named[OTHER] -= float(row["unknown"])
        if named.max() > of_no_class and (named == named.max()).sum() == 1:
            label[at] = named.argmax()
        if row["fer2013_label"]:
            own[at] = EXPRESSIONS.index(WORDS[row["fer2013_label"]])
            votes[at, own[at]] += OWN_LABEL_VOTES
        if float(row["no_face"]) > 5:
            votes[at] = 0
    return votes / np.maximum(votes.sum(axis=1, keepdims=True), 1), label, own
