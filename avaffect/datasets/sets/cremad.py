"""CREMA-D: 91 actors who speak twelve sentences in six emotions."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from avaffect.datasets.sets.sample import (
    LEFT_OUT,
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

_CLASSES = {
    "ANG": "Anger",
    "DIS": "Disgust",
    "FEA": "Fear",
    "HAP": "Happiness",
    "NEU": "Neutral",
    "SAD": "Sadness",
}
# The same takes; the first of these folders that is there is read.
_FOLDERS = ("AudioWAV", "AudioMP3", "VideoFlash")
# One file of the set is called 1040_ITH_SAD_X.
_NAME = re.compile("(1[0-9]{3})_([A-Z]{3})_([A-Z]{3})_(LO|MD|HI|XX|X)")
_FIRST, _LAST = 1001, 1091
# Nobody speaks in the one; the other holds several emotions (its issue 8).
_BROKEN = ("1076_MTI_SAD_XX", "1064_IEO_DIS_MD")


def read(root: Path, log: Log) -> Iterator[Sample]:
    """Its samples, one a take; see `PublicSet.read`."""
    own = Path(os.path.abspath(root)).name  # noqa: PTH100  (symbolic links keep their names)
    folder = next(
        (root / name for name in _FOLDERS if (root / name).is_dir()),
        root if own in _FOLDERS else None,
    )
    if folder is None:
        raise InputNotFoundError(
            f"'{root}' holds no folder {_FOLDERS[0]}",
            "give the folder of the set as it is given out: `avaffect data sets crema-d` shows it",
        )
    seen: dict[str, Path] = {}
    for path in files_under(folder, EXTENSIONS | SOUND_EXTENSIONS):
        match = _NAME.fullmatch(path.stem)
        if match is None or match[3] not in _CLASSES or not _FIRST <= int(match[1]) <= _LAST:
            log.wrong(f"'{path}' is not called as 1001_DFA_ANG_XX.wav", "take it out")
            continue
        if path.stem in _BROKEN:
            log.leave_out("known to be broken")
            continue
        if comes_again(path.stem, path, seen, log):
            continue
        require_fetched(path)
        yield Sample(path.stem, (path,), {"expr": expression(_CLASSES[match[3]])}, match[1])


CREMAD = PublicSet(
    name="crema-d",
    title="CREMA-D",
    kind="sounds",
    layout="""\
AudioWAV/1001_DFA_ANG_XX.wav ...            actor, sentence, emotion, level; without it AudioMP3/,
                                            or VideoFlash/ with pictures too""",
    source="Cao et al. 2014 (doi 10.1109/TAFFC.2014.2336244), "
    "github.com/CheyneyComputerScience/CREMA-D",
    mapping=(*_CLASSES.items(), *((name, LEFT_OUT) for name in _BROKEN)),
    groups="the 91 actors, 1001 to 1091",
    splits="none: a fifth of the actors is held out",
    read=read,
)
