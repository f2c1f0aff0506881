"""RAVDESS: 24 actors who speak and sing two sentences in eight emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from avaffect.datasets.sets.sample import Log, PublicSet, Sample, expression, files_under
from avaffect.errors import InputNotFoundError
from avaffect.media.endings import EXTENSIONS, SOUND_EXTENSIONS

# By code, their word and ours.
_CLASSES = {
    "01": ("neutral", "Neutral"),
    "02": ("calm", "Neutral"),
    "03": ("happy", "Happiness"),
    "04": ("sad", "Sadness"),
    "05": ("angry", "Anger"),
    "06": ("fearful", "Fear"),
    "07": ("disgust", "Disgust"),
    "08": ("surprised", "Surprise"),
}
_NAME = re.compile("(0[1-3])-(0[12])-(0[1-8])-(0[12])-(0[12])-(0[12])-([0-9]{2})")
_ACTORS = 24


def read(root: Path, log: Log) -> Iterator[Sample]:
    """Its samples, one a file; see `PublicSet.read`."""
    count = 0
    seen: dict[str, Path] = {}
    for path in files_under(root, EXTENSIONS | SOUND_EXTENSIONS):
        count += 1
        match = _NAME.fullmatch(path.stem)
        if match is None or not 1 <= int(match[7]) <= _ACTORS:
            log.wrong(f"'{path}' is not called as 03-01-06-01-02-01-12.wav", "take it out")
            continue
        if path.stem in seen:
            log.wrong(f"'{path}' is there twice, see '{seen[path.stem]}'", "keep one of them")
            continue
        seen[path.stem] = path
        labels = {"expr": expression(_CLASSES[match[3]][1])}
        yield Sample(path.stem, (path,), labels, f"Actor_{match[7]}")
    if not count:
        raise InputNotFoundError(
            f"'{root}' holds no takes",
            "give the folder of the set as it is given out: `avaffect data sets ravdess` shows it",
        )


RAVDESS = PublicSet(
    name="ravdess",
    title="RAVDESS",
    kind="sounds",
    layout="""\
Actor_01/03-01-06-01-02-01-01.wav ...       modality, speech or song, emotion, intensity, sentence,
                                            repetition, actor; .mp4 with pictures too""",
    source="Livingstone and Russo 2018 (doi 10.5281/zenodo.1188976)",
    mapping=tuple((f"{code} {theirs}", ours) for code, (theirs, ours) in _CLASSES.items()),
    groups="the 24 actors",
    splits="none: a fifth of the actors is held out",
    read=read,
)
