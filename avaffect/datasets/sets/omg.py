"""OMG-Emotion: utterances of monologues from YouTube, one label each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from avaffect.datasets.sets.sample import (
    LEFT_OUT,
    Log,
    PublicSet,
    Sample,
    expression,
    files_under,
    text_lines,
    values,
)
from avaffect.errors import FormatError, InputNotFoundError
from avaffect.media.endings import EXTENSIONS

# Its classes 0 to 6.
_CLASSES = ("Anger", "Disgust", "Fear", "Happiness", "Neutral", "Sadness", "Surprise")
_LISTS = (
    ("omg_TrainVideos.csv", "train"),
    ("omg_ValidationVideos.csv", "val"),
    ("omg_TestVideos_WithLabels.csv", "test"),
)
_COLUMNS = ("video", "utterance", "arousal", "valence", "EmotionMaxVote")


def read(root: Path, log: Log) -> Iterator[Sample]:
    """Its samples; see `PublicSet.read`. Videos that YouTube no longer has are left out."""
    found = [(root / name, split) for name, split in _LISTS if (root / name).is_file()]
    if not found:
        raise InputNotFoundError(
            f"'{root}' holds no {_LISTS[0][0]}",
            "give the folder of the set as it is given out: `avaffect data sets omg` shows it",
        )
    files: dict[tuple[str, str], Path] = {}
    for path in files_under(root, EXTENSIONS):
        for parent in path.relative_to(root).parts[:-1]:
            files.setdefault((parent, path.stem), path)
    for path, split in found:
        yield from _read_list(path, files, split, log)


def _read_list(
    path: Path, files: dict[tuple[str, str], Path], split: str, log: Log
) -> Iterator[Sample]:
    rows = text_lines(path)
    _, first = next(rows, (0, ""))
    names = [name.strip() for name in first.split(",")]
    if missing := [name for name in _COLUMNS if name not in names]:
        raise FormatError(f"'{path}' line 1: there is no column '{missing[0]}'", "fetch it again")
    # A link may hold commas: columns are counted from the line's end.
    at = [names.index(name) - len(names) for name in _COLUMNS]
    for number, line in rows:
        cells = line.split(",")
        place = f"'{path}' line {number}"
        if len(cells) < len(names):
            log.wrong(f"{place}: {len(cells)} cells where the header has {len(names)}")
            continue
        video, utterance, *numbers = (cells[column].strip() for column in at)
        try:
            arousal, valence, code = map(float, numbers)
        except ValueError:
            log.wrong(f"{place}: arousal, valence and class are no numbers")
            continue
        if not (0 <= arousal <= 1 and -1 <= valence <= 1):
            log.wrong(f"{place}: arousal must be from 0 to 1 and valence from -1 to 1")
            continue
        if not (code.is_integer() and 0 <= code < len(_CLASSES)):
            log.wrong(f"{place}: {code:g} is no class from 0 to {len(_CLASSES) - 1}")
            continue
        stem = Path(utterance).stem
        file = files.get((video, stem))
        if file is None:
            log.leave_out("without a video")
            continue
        labels = {
            "va": values(valence, 2 * arousal - 1),
            "expr": expression(_CLASSES[int(code)]),
        }
        yield Sample(f"{video}_{stem}", (file,), labels, video, split)


OMG = PublicSet(
    name="omg",
    title="OMG-Emotion",
    kind="videos",
    layout="""\
omg_TrainVideos.csv, omg_ValidationVideos.csv, omg_TestVideos_WithLabels.csv
                                            link,start,end,video,utterance,arousal,valence,
                                            EmotionMaxVote
ANY/VIDEO/ANY/UTTERANCE.mp4 ...             as the authors' script cuts them out of YouTube's""",
    source="Barros et al. 2018 (arXiv 1803.05434), "
    "github.com/knowledgetechnologyuhh/OMGEmotionChallenge",
    mapping=(
        *((f"{at} {name}", name) for at, name in enumerate(_CLASSES)),
        ("valence -1 to 1", "valence"),
        ("arousal 0 to 1", "arousal, 2 x - 1"),
        ("utterances without a video", LEFT_OUT),
    ),
    groups="the videos of YouTube; that one person may be in several is not known",
    splits="train, val and test",
    read=read,
)
