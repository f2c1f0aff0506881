"""AffectNet: pictures of faces from the web, one of eleven labels, valence and arousal.

Given out in two forms: since 2021 as cropped faces with a file a label
(``train_set/annotations/0_exp.npy``), before as whole pictures with two lists
(``training.csv``, ``validation.csv``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.datasets.sets.sample import (
    LEFT_OUT,
    Log,
    PublicSet,
    Sample,
    below,
    expression,
    file_in,
    picture_in,
    text_lines,
    values,
)
from avaffect.errors import FormatError, InputNotFoundError
from avaffect.files.outside import read_bytes, reading

_CLASSES = (
    ("Neutral", "Neutral"),
    ("Happiness", "Happiness"),
    ("Sadness", "Sadness"),
    ("Surprise", "Surprise"),
    ("Fear", "Fear"),
    ("Disgust", "Disgust"),
    ("Anger", "Anger"),
    ("Contempt", "Other"),
    ("None", LEFT_OUT),
    ("Uncertain", LEFT_OUT),
    ("Non-Face", LEFT_OUT),
)
_PARTS = (("train_set", "train"), ("val_set", "val"))
_LISTS = (("training.csv", "train"), ("validation.csv", "val"))
# As training.csv begins; validation.csv is given out without this line.
_HEADER = [
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
]
_COLUMNS = [name for name in _HEADER if name != "facial_landmarks"]
# Unpacking the archives makes some of these, one in another.
_FOLDERS = ("Manually_Annotated_Images", "Manually_Annotated", "Manually_Annotated_compressed")
_UNKNOWN = -2.0
_MOST_BYTES = 1 << 12


def read(root: Path, log: Log) -> Iterator[Sample]:
    """The samples of either form; see `PublicSet.read`."""
    if any((root / part).is_dir() for part, _ in _PARTS):
        for part, split in _PARTS:
            if (root / part).is_dir():
                yield from _read_part(root / part, split, log)
        return
    folders = (below(root, "Manually_Annotated_file_lists"), below(root, *_FOLDERS[1:]))
    found = [
        (path, split)
        for name, split in _LISTS
        if (path := next(filter(Path.is_file, (folder / name for folder in folders)), None))
    ]
    if not found:
        raise InputNotFoundError(
            f"'{root}' holds neither train_set/ nor training.csv",
            "give the folder of the set as it was given out in 2017 or 2021 (AffectNet+ is not "
            "read): `avaffect data sets affectnet`",
        )
    for path, split in found:
        yield from _read_list(path, below(root, *_FOLDERS), split, log)


def _read_part(folder: Path, split: str, log: Log) -> Iterator[Sample]:
    pictures, labels = folder / "images", folder / "annotations"
    for part in (pictures, labels):
        if not part.is_dir():
            raise InputNotFoundError(f"there is no folder '{part}'", "unpack the set whole")
    for path in sorted(labels.glob("[!.]*_exp.npy")):
        name = path.name.removesuffix("_exp.npy")
        found = [_number(labels / f"{name}_{what}.npy", log) for what in ("exp", "val", "aro")]
        if None in found:
            continue
        code, valence, arousal = (0.0 if value is None else value for value in found)
        mapped = _labels((code, valence, arousal), f"'{path}'", log)
        if mapped is None:
            continue
        picture = picture_in(pictures, name)
        if picture is None:
            log.wrong(f"'{path}': there is no picture '{pictures / name}.jpg'")
            continue
        name = f"{split}_{name}"
        yield Sample(name, (picture,), mapped, name, split)


def _number(path: Path, log: Log) -> float | None:
    """The number in a file of one value, which the set keeps as text."""
    try:
        with reading(path, FormatError, "holds no number", "fetch the set again"):
            import io

            found = np.load(io.BytesIO(read_bytes(path, _MOST_BYTES)), allow_pickle=False)
            return float(found.item())
    except (FormatError, InputNotFoundError) as error:
        log.wrong(error.problem)
        return None


def _read_list(path: Path, pictures: Path, split: str, log: Log) -> Iterator[Sample]:
    rows = text_lines(path)
    number, first = next(rows, (1, ""))
    names = [name.strip() for name in first.split(",")]
    if len(names) == len(_HEADER) and not {*names} & {*_HEADER}:
        names, rows = _HEADER, chain([(number, first)], rows)
    if missing := [name for name in _COLUMNS if name not in names]:
        raise FormatError(f"'{path}' line 1: there is no column '{missing[0]}'", "fetch it again")
    at = [names.index(name) for name in _COLUMNS]
    for number, line in rows:
        cells = line.split(",")
        place = f"'{path}' line {number}"
        if len(cells) != len(names):
            log.wrong(f"{place}: {len(cells)} cells where the header has {len(names)}")
            continue
        picked = [cells[column].strip() for column in at]
        try:
            x, y, width, height, *label = map(float, picked[1:])
        except ValueError:
            log.wrong(f"{place}: a cell is no number")
            continue
        mapped = _labels((label[0], label[1], label[2]), place, log)
        if mapped is None:
            continue
        picture = file_in(pictures, picked[0])
        if picture is None:
            log.wrong(f"{place}: there is no picture '{picked[0][:60]}'")
            continue
        name = f"{split}_{picture.parent.name}_{picture.stem}"
        box = (x, y, width, height) if min(width, height) > 0 else None
        yield Sample(name, (picture,), mapped, name, split, False, box)


def _labels(
    label: tuple[float, float, float], place: str, log: Log
) -> dict[str, NDArray[Any]] | None:
    """What class, valence and arousal become; None if nothing, which is told to ``log``."""
    code, valence, arousal = label
    if not (code.is_integer() and 0 <= code < len(_CLASSES)):
        log.wrong(f"{place}: {code:g} is no class from 0 to {len(_CLASSES) - 1}")
        return None
    if not all(-1 <= value <= 1 or value == _UNKNOWN for value in (valence, arousal)):
        log.wrong(f"{place}: valence {valence:g} and arousal {arousal:g} must be in [-1, 1] or -2")
        return None
    theirs, ours = _CLASSES[int(code)]
    known = _UNKNOWN not in (valence, arousal)
    if not (known or ours):
        log.leave_out(f"labelled {theirs}")
        return None
    if not ours:
        log.leave_out(f"labelled {theirs}, of which valence and arousal are taken")
    return {
        "va": values(valence, arousal) if known else values(math.nan, math.nan),
        "expr": expression(ours),
    }


AFFECTNET = PublicSet(
    name="affectnet",
    title="AffectNet",
    kind="pictures",
    layout="""\
train_set/images/0.jpg ...                  val_set/ likewise; faces are cut out already
train_set/annotations/0_exp.npy, 0_val.npy, 0_aro.npy
or, of the first edition, whole pictures:
Manually_Annotated_Images/103/29a31ebf.jpg ...
training.csv, validation.csv                subDirectory_filePath, face_x, face_y, face_width,
                                            face_height, facial_landmarks, expression, valence,
                                            arousal; validation.csv without this first line""",
    source="Mollahosseini, Hasani and Mahoor 2017 (doi 10.1109/TAFFC.2017.2740923), its readme",
    mapping=(*_CLASSES, ("valence, arousal", "valence, arousal"), ("-2", LEFT_OUT)),
    groups="not known: each picture is a group of its own",
    splits="train and val; the test part is not given out",
    read=read,
)
