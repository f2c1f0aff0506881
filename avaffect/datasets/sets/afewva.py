"""AFEW-VA: 600 clips of feature films as pictures, valence and arousal of each frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from avaffect.datasets.sets.sample import Log, PublicSet, Sample, comes_again, picture_in
from avaffect.errors import FormatError, InputNotFoundError
from avaffect.files.outside import fits, parse_json, read_bytes, reading

_FRAME = {"valence": float, "arousal": float}
_LARGEST = 10
_DEEPEST = 4  # folders between the one that is given and 001/
_MOST_BYTES = 32 << 20
_NUMBER = re.compile("[0-9]{1,7}")


def read(root: Path, log: Log) -> Iterator[Sample]:
    """Its samples, one a clip; see `PublicSet.read`.

    Bounds: ``_MOST_BYTES`` a file of labels.
    """
    found = sorted(
        path
        for deep in range(_DEEPEST)
        for path in root.glob("*/" * deep + "[0-9]*/[0-9]*.json")
        if path.stem == path.parent.name
    )
    if not found:
        raise InputNotFoundError(
            f"'{root}' holds no 001/001.json",
            "unpack the twelve zips into one folder: `avaffect data sets afew-va` shows it",
        )
    seen: dict[str, Path] = {}
    for path in found:
        if comes_again(path.stem, path, seen, log):
            continue
        try:
            sample = _clip(path, log)
        except FormatError as error:
            log.wrong(error.problem)
            continue
        if sample is not None:
            yield sample


def _clip(path: Path, log: Log) -> Sample | None:
    with reading(path, FormatError, "is no file of labels", "fetch it again"):
        found = parse_json(read_bytes(path, _MOST_BYTES))
        if not fits(found, {"frames": {str: _FRAME}, "actor?": str}) or not found["frames"]:
            raise FormatError(f"'{path}': there are no frames with valence and arousal", "")
    files, rows = [], []
    for number, label in sorted(found["frames"].items()):
        picture = picture_in(path.parent, number) if _NUMBER.fullmatch(number) else None
        if picture is None:
            log.wrong(f"'{path}', frame {number[:20]}: there is no picture of it")
            continue
        pair = label["valence"], label["arousal"]
        if not all(-_LARGEST <= value <= _LARGEST for value in pair):
            log.wrong(
                f"'{path}', frame {number}: valence {pair[0]:g} and arousal {pair[1]:g} must be "
                f"from -{_LARGEST} to {_LARGEST}"
            )
            continue
        files.append(picture)
        rows.append(pair)
    if not files:
        return None
    name = path.stem
    group = found.get("actor") or name
    labels = {"va": np.array(rows, np.float32) / _LARGEST}
    return Sample(name, tuple(files), labels, group, cut=False)


AFEWVA = PublicSet(
    name="afew-va",
    title="AFEW-VA",
    kind="frames",
    layout="""\
001/00000.png ...                           whole pictures; 600 folders (of twelve zips)
001/001.json                                by frame valence and arousal, -10 to 10""",
    source="Kossaifi et al. 2017 (doi 10.1016/j.imavis.2017.02.001), its readme",
    mapping=(("valence, arousal -10 to 10", "valence, arousal, by 10"),),
    groups="the key 'actor' of the JSON, where there is one; else each clip for itself",
    splits="none: a fifth of the groups is held out",
    read=read,
)
