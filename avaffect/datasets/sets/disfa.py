"""DISFA: 27 adults watching a video, the intensities of twelve action units in each frame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avaffect.datasets.sets.sample import (
    LEFT_OUT,
    Log,
    PublicSet,
    Sample,
    below,
    comes_again,
    files_under,
    no_units,
    require_folder,
    text_lines,
)
from avaffect.errors import FormatError, InputNotFoundError
from avaffect.labels import ACTION_UNITS
from avaffect.media.endings import EXTENSIONS

PRESENT = 2
"""The intensity from which on a unit is present, as most papers have it."""
_UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
_OURS = tuple(unit for unit in _UNITS if f"AU{unit}" in ACTION_UNITS)
# The files are called LeftVideoSN001_comp.avi, and RightVideoSN001_Comp.avi.
_VIDEO = re.compile("(?:Left|Right)Video(SN[0-9]{3})(?:_comp)?", re.IGNORECASE)
_SHORT = 1  # so many frames at the end may lack a label of a unit
_LINE = re.compile(r"([0-9]{1,7})\s*,\s*([0-5])")


def read(root: Path, log: Log) -> Iterator[Sample]:
    """Its samples, one a camera and subject; see `PublicSet.read`."""
    folder = below(require_folder(root, "ActionUnit_Labels"), "ActionUnit_Labels")
    videos: dict[str, list[Path]] = {}
    seen: dict[str, Path] = {}
    for path in files_under(root, EXTENSIONS):
        match = _VIDEO.fullmatch(path.stem)
        if match and not comes_again(path.stem, path, seen, log):
            videos.setdefault(match[1].upper(), []).append(path)
    for subject in sorted(folder.glob("SN[0-9]*/")):
        if subject.name not in videos:
            log.wrong(f"'{subject}': there is no video LeftVideo{subject.name}_comp.avi")
            continue
        try:
            labels = _units(subject)
        except (FormatError, InputNotFoundError) as error:
            log.wrong(error.problem)
            continue
        for video in videos.pop(subject.name):
            yield Sample(video.stem, (video,), {"au": labels}, subject.name)
    for name, paths in videos.items():
        log.leave_out(f"video without labels ({name})", len(paths))


def _units(folder: Path) -> NDArray[np.int8]:
    """int8 [N, 12], a row a frame."""
    columns = {unit: _intensities(folder / f"{folder.name}_au{unit}.txt") for unit in _OURS}
    frames = max(map(len, columns.values()))
    found = no_units(frames)
    for unit, column in columns.items():
        if frames - len(column) > _SHORT:
            longest = max(columns, key=lambda unit: len(columns[unit]))
            raise FormatError(
                f"'{folder}' has {len(column)} labels of AU{unit} and {frames} of AU{longest}",
                "fetch it again",
            )
        present = np.array(column) >= PRESENT
        found[: len(column), ACTION_UNITS.index(f"AU{unit}")] = present
    return found


def _intensities(path: Path) -> list[int]:
    column: list[int] = []
    for number, line in text_lines(path):
        match = _LINE.fullmatch(line)
        if match is None:
            raise FormatError(
                f"'{path}' line {number}: '{line[:40]}' is no frame and intensity from 0 to 5",
                "correct it",
            )
        if int(match[1]) != len(column) + 1:
            raise FormatError(
                f"'{path}' line {number}: frame {match[1]} where {len(column) + 1} is due",
                "correct it",
            )
        column.append(int(match[2]))
    return column


DISFA = PublicSet(
    name="disfa",
    title="DISFA",
    kind="videos",
    layout="""\
ActionUnit_Labels/SN001/SN001_au1.txt ...   a line a frame: its number and the intensity, 1,0
Videos_LeftCamera/LeftVideoSN001_comp.avi ...
Video_RightCamera/RightVideoSN001_Comp.avi ...   if it is there""",
    source="Mavadati et al. 2013 (doi 10.1109/T-AFFC.2013.4), its readme",
    mapping=tuple(
        (
            f"AU{unit}",
            f"AU{unit}, present from intensity {PRESENT} on" if unit in _OURS else LEFT_OUT,
        )
        for unit in _UNITS
    ),
    groups="the 27 subjects, SN001 to SN032",
    splits="none: a fifth of the subjects is held out",
    read=read,
)
