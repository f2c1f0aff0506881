"""RAVDESS: 24 actors who speak and sing two sentences in eight emotions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from avaffect.datasets.sets.sample import (
    Log,
    PublicSet,
    Sample,
    comes_again,
    expression,
    files_under,
    require_fetched,
)
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
# The same take: a video with sound, and without.
_WHOLE, _SILENT = "01", "02"


def read(root: Path, log: Log) -> Iterator[Sample]:
    """Its samples, one a file; see `PublicSet.read`."""
    files = [*files_under(root, EXTENSIONS | SOUND_EXTENSIONS)]
    if not files:
        raise InputNotFoundError(
            f"'{root}' holds no takes",
            "give the folder of the set as it is given out: `avaffect data sets ravdess` shows it",
        )
    names = {path.stem for path in files}
    seen: dict[str, Path] = {}
    for path in files:
        match = _NAME.fullmatch(path.stem)
        if match is None or not 1 <= int(match[7]) <= _ACTORS:
            log.wrong(f"'{path}' is not called as 03-01-06-01-02-01-12.wav", "take it out")
            continue
        if match[1] == _SILENT and _WHOLE + path.stem[2:] in names:
            log.leave_out("without sound, of which the video with sound is taken")
            continue
        if comes_again(path.stem, path, seen, log):
            continue
        require_fetched(path)
        labels = {"expr": expression(_CLASSES[match[3]][1])}
        yield Sample(path.stem, (path,), labels, f"Actor_{match[7]}")


RAVDESS = PublicSet(
    name="ravdess",
    title="RAVDESS",
    kind="sounds",
    layout="""\
Actor_01/03-01-06-01-02-01-01.wav ...       modality, speech or song, emotion, intensity, sentence,
                                            repetition, actor
Video_Speech_Actor_01/Actor_01/01-01-06-01-02-01-01.mp4 ...   02-... without sound: left out""",
    source="Livingstone and Russo 2018 (doi 10.5281/zenodo.1188976)",
    mapping=tuple((f"{code} {theirs}", ours) for code, (theirs, ours) in _CLASSES.items()),
    groups="the 24 actors",
    splits="none: a fifth of the actors is held out",
    read=read,
)
