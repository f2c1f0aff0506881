"""nEMO: nine actors who speak Polish sentences in six emotions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from avaffect.datasets.sets.sample import (
    Log,
    PublicSet,
    Sample,
    expression,
    file_in,
    require_fetched,
    require_folder,
    text_lines,
)
from avaffect.errors import FormatError

_CLASSES = {
    "anger": "Anger",
    "fear": "Fear",
    "happiness": "Happiness",
    "neutral": "Neutral",
    "sadness": "Sadness",
    "surprised": "Surprise",
}
_COLUMNS = ("file_id", "emotion", "speaker_id")


def read(root: Path, log: Log) -> Iterator[Sample]:
    """Its samples, one a take; see `PublicSet.read`."""
    folder = require_folder(root, "samples")
    path = root / "data.tsv"
    rows = text_lines(path)
    _, first = next(rows, (0, ""))
    names = [name.strip() for name in first.split("\t")]
    if missing := [name for name in _COLUMNS if name not in names]:
        raise FormatError(f"'{path}' line 1: there is no column '{missing[0]}'", "fetch it again")
    at = [names.index(name) for name in _COLUMNS]
    for number, line in rows:
        cells = line.split("\t")
        place = f"'{path}' line {number}"
        if len(cells) != len(names):
            log.wrong(f"{place}: {len(cells)} cells where the header has {len(names)}")
            continue
        file, emotion, speaker = (cells[column].strip() for column in at)
        if emotion not in _CLASSES:
            log.wrong(f"{place}: '{emotion[:40]}' is none of {', '.join(_CLASSES)}")
            continue
        sound = file_in(folder, file)
        if sound is None:
            log.wrong(f"{place}: there is no sound '{file[:60]}'")
            continue
        require_fetched(sound)
        yield Sample(sound.stem, (sound,), {"expr": expression(_CLASSES[emotion])}, speaker)


NEMO = PublicSet(
    name="nemo",
    title="nEMO",
    kind="sounds",
    layout="""\
data.tsv                                    file_id, emotion, raw_text, normalized_text, speaker_id
samples/WR0_surprised_64.wav ...""",
    source="Christop 2024 (arXiv 2404.06292), github.com/amu-cai/nEMO",
    mapping=tuple(_CLASSES.items()),
    groups="the 9 speakers",
    splits="none: a fifth of the speakers is held out",
    read=read,
)
