"""FER+: the pictures of FER2013 and ten people's votes for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from avaffect.datasets.sets.sample import (
    LEFT_OUT,
    Log,
    PublicSet,
    Sample,
    below,
    expression,
    file_in,
    text_lines,
)
from avaffect.errors import FormatError, InputNotFoundError

_CLASSES = (
    ("neutral", "Neutral"),
    ("happiness", "Happiness"),
    ("surprise", "Surprise"),
    ("sadness", "Sadness"),
    ("anger", "Anger"),
    ("disgust", "Disgust"),
    ("fear", "Fear"),
    ("contempt", "Other"),
    ("unknown", LEFT_OUT),
    ("NF", LEFT_OUT),
)
# By usage: the folder that the authors' script makes, and ours.
_PARTS = {
    "Training": ("FER2013Train", "train"),
    "PublicTest": ("FER2013Valid", "val"),
    "PrivateTest": ("FER2013Test", "test"),
}
_HEADER = ["Usage", "Image name", *(name for name, _ in _CLASSES)]


def read(root: Path, log: Log) -> Iterator[Sample]:
    """Its samples; see `PublicSet.read`."""
    path = root / "fer2013new.csv"
    data = below(root, "data")
    folders = [data / folder for folder, _ in _PARTS.values()]
    # A clone of the authors' repository has these folders, with a list each, but no picture.
    if path.is_file() and not any(any(folder.glob("*.png")) for folder in folders):
        raise InputNotFoundError(
            f"'{root}' holds no pictures FER2013Train/fer0000000.png ...",
            "make them of fer2013.csv by the authors' script generate_training_data.py",
        )
    rows = text_lines(path)
    _, first = next(rows, (0, ""))
    if [name.strip() for name in first.split(",")] != _HEADER:
        raise FormatError(f"'{path}' line 1: the columns are not {','.join(_HEADER)}", "fetch it")
    for number, line in rows:
        place = f"'{path}' line {number}"
        cells = [cell.strip() for cell in line.split(",")]
        usage, name, votes = cells[0], "".join(cells[1:2]), cells[2:]
        if usage not in _PARTS or len(votes) != len(_CLASSES):
            log.wrong(f"{place}: '{line[:60]}' is no usage, picture and {len(_CLASSES)} votes")
            continue
        if not all(vote.isascii() and vote.isdigit() and len(vote) < 4 for vote in votes):
            log.wrong(f"{place}: the votes are no whole numbers")
            continue
        if not name:
            log.leave_out("without a picture, as the authors left it out")
            continue
        folder, split = _PARTS[usage]
        picture = file_in(data / folder, name)
        if picture is None:
            log.wrong(f"{place}: there is no picture '{folder}/{name[:60]}'")
            continue
        chosen = majority([int(vote) for vote in votes])
        theirs, ours = _CLASSES[chosen] if chosen is not None else ("no majority", LEFT_OUT)
        if not ours:
            log.leave_out(f"voted {theirs}")
            continue
        stem = picture.stem
        yield Sample(stem, (picture,), {"expr": expression(ours)}, stem, split)


def majority(votes: Sequence[int]) -> int | None:
    """The class of a picture by the authors' rule (``mode='majority'`` of their reader).

    Single votes do not count; then more than half of the votes must be for one class.

    >>> majority([4, 0, 0, 1, 3, 2, 0, 0, 0, 0]) is None, majority([6, 0, 1, 1, 0, 0, 0, 0, 2, 0])
    (True, 0)

    Returns:
        its place; None if no class has it.
    """
    counted = [vote if vote > 1 else 0 for vote in votes]
    most = max(counted)
    return counted.index(most) if 2 * most > sum(counted) else None


FERPLUS = PublicSet(
    name="ferplus",
    title="FER+ (FER2013 with ten votes)",
    kind="pictures",
    layout="""\
fer2013new.csv                              Usage, Image name, neutral, happiness ... NF
FER2013Train/fer0000000.png ...             FER2013Valid, FER2013Test; as the authors' script
                                            generate_training_data.py makes them (in data/)""",
    source="Barsoum et al. 2016 (doi 10.1145/2993148.2993165), github.com/microsoft/FERPlus",
    mapping=(*_CLASSES, ("no majority of the votes", LEFT_OUT)),
    groups="not known: each picture is a group of its own",
    splits="Training is train, PublicTest is val, PrivateTest is test",
    read=read,
)
