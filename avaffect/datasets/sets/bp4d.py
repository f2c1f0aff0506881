"""BP4D-Spontaneous: 41 adults in eight tasks, action units present or absent in each frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from avaffect.datasets.sets.sample import (
    LEFT_OUT,
    Log,
    PublicSet,
    Sample,
    below,
    no_units,
    require_folder,
    text_lines,
)
from avaffect.errors import FormatError, InputNotFoundError
from avaffect.labels import ACTION_UNITS

_NAME = re.compile("([FM][0-9]{3})_(T[1-8])")
# BP4D+ has files of the same names and form, in which frame N is picture N - 1.
_LAST = {"F": 23, "M": 18}
_UNCODED = 9
_PICTURES = ("Sequences(2D+3D)", "2D+3D", "BP4D-training", "Sequences")


def read(root: Path, log: Log) -> Iterator[Sample]:
    """Its samples, one a subject and task; see `PublicSet.read`."""
    folder = below(require_folder(below(root, "AUCoding")), "AU_OCC")
    pictures = below(root, *_PICTURES)
    found = [path for path in sorted(folder.glob("*.csv")) if _NAME.fullmatch(path.stem)]
    if not found:
        raise InputNotFoundError(
            f"'{folder}' holds no F001_T1.csv",
            "give the folder of the set as it is given out: `avaffect data sets bp4d` shows it",
        )
    plus = [path for path in found if int(path.stem[1:4]) > _LAST[path.stem[0]]]
    if plus:
        raise FormatError(
            f"'{plus[0]}' is of BP4D+, whose subjects and numbers of frames are others",
            "give the folder of BP4D-Spontaneous (F001 to F023, M001 to M018)",
        )
    for path in found:
        try:
            sample = _sequence(path, pictures, log)
        except FormatError as error:
            log.wrong(error.problem)
            continue
        if sample is not None:
            yield sample


def _sequence(path: Path, pictures: Path, log: Log) -> Sample | None:
    subject, task = path.stem.split("_")
    numbered = {
        int(picture.stem): picture
        for picture in sorted((pictures / subject / task).glob("*"))
        if picture.suffix.lower() == ".jpg"
        and picture.stem.isascii()
        and picture.stem.isdigit()
        and len(picture.stem) < 8
    }
    if not numbered:
        raise FormatError(f"'{path}': there are no pictures '{pictures / subject / task}'", "")
    rows = text_lines(path)
    _, first = next(rows, (0, ""))
    names = [name.strip() for name in first.split(",")]
    columns = {f"AU{name}": at for at, name in enumerate(names) if at}
    ours = [(at, columns[unit]) for at, unit in enumerate(ACTION_UNITS) if unit in columns]
    if not ours:
        raise FormatError(f"'{path}' line 1: no column is called 1, 2, 4 ...", "fetch it again")
    files, labels = [], []
    for number, line in rows:
        cells = [cell.strip() for cell in line.split(",")]
        place = f"'{path}' line {number}"
        if len(cells) != len(names) or not (cells[0].isascii() and cells[0].isdigit()):
            log.wrong(f"{place}: {len(cells)} cells, the header has {len(names)}, a number first")
            continue
        picked = [cells[column] for _, column in ours]
        if not {*picked} <= {"0", "1", str(_UNCODED)}:
            log.wrong(f"{place}: a unit is none of 0 (absent), 1 (present) and 9 (not coded)")
            continue
        picture = numbered.get(int(cells[0][:9]))
        if picture is None:
            log.wrong(f"{place}: there is no picture of frame {cells[0][:20]}")
            continue
        row = no_units(1)[0]
        row[[at for at, _ in ours]] = [
            -1 if cell == str(_UNCODED) else int(cell) for cell in picked
        ]
        files.append(picture)
        labels.append(row)
    if not files:
        return None
    return Sample(path.stem, tuple(files), {"au": np.stack(labels)}, subject, cut=False)


BP4D = PublicSet(
    name="bp4d",
    title="BP4D-Spontaneous",
    kind="frames",
    layout="""\
AUCoding/AU_OCC/F001_T1.csv ...             first line 0,1,2,4,5 ... (units); a line a frame: its
                                            number, then 0, 1 or 9 (not coded) for each
Sequences(2D+3D)/F001/T1/0000.jpg ...       whole pictures (also 2D+3D/, or F001/ in DIR)""",
    source="Zhang et al. 2014 (doi 10.1016/j.imavis.2014.06.002), its readme",
    mapping=(
        *((unit, f"{unit}, where it is coded") for unit in ACTION_UNITS),
        ("other units", LEFT_OUT),
        ("9 (not coded)", LEFT_OUT),
    ),
    groups="the 41 subjects, F001 to M018",
    splits="none: a fifth of the subjects is held out",
    read=read,
)
