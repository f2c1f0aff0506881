"""The multi-task track's single file: all subjects and all three tasks.

One header line, then ``<subject>/00001.jpg,valence,arousal,expression,AU1,...,AU26`` a row. It is
read by position: the header's names differ between editions (annotations name every column,
submissions have ``image,valence,arousal,expression,aus``). Only some frames of a video are listed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import DEFAULT_EDITION, edition_named
from avaffect.challenge.header import MTL, column_order
from avaffect.challenge.image_rows import check_subject, read_rows
from avaffect.errors import UsageError
from avaffect.files.atomic import atomic_path
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.tasks.registry import AU, EXPR, VA

COLUMNS = ("image", "valence", "arousal", "expression", *ACTION_UNITS)
_HINT = f"a multi-task file has one header line and then rows of {','.join(COLUMNS[:4])},12 AU"


@dataclass(frozen=True, eq=False)
class MtlSubject:
    """The listed frames of one subject in a multi-task file.

    Attributes:
        subject: the subject's name, e.g. ``video_left``.
        frames: int64 [N], image numbers from 1 on, strictly increasing; gaps are usual.
        va: float64 [N, 2] valence and arousal in [-1, 1]; rows of -5 where invalid.
        expr: int64 [N], class 0 to 7, -1 where invalid.
        au: int64 [N, 12] of 0 and 1, -1 where invalid.
        repeated: how many rows of the file were dropped since they repeat another.

    Raises:
        UsageError: values of a wrong shape, type or range, or a row with only one value of -5.
    """

    subject: str
    frames: NDArray[np.int64]
    va: NDArray[np.float64]
    expr: NDArray[np.int64]
    au: NDArray[np.int64]
    repeated: int = 0

    def __post_init__(self) -> None:
        rows = len(self.frames)
        wanted: dict[str, tuple[Any, tuple[int, ...]]] = {
            "frames": (np.int64, (rows,)),
            **{
                task.name: (task.row_dtype, task.shape(rows, len(task.targets)))
                for task in (VA, EXPR, AU)
            },
        }
        for name, (dtype, shape) in wanted.items():
            values = getattr(self, name)
            if values.dtype != dtype or values.shape != shape:
                raise UsageError(f"'{name}' of '{self.subject}' is {values.dtype} {values.shape}")
        if rows and (self.frames[0] < 1 or (np.diff(self.frames) <= 0).any()):
            raise UsageError(f"frames of '{self.subject}' do not rise from 1 on")
        invalid = self.va == VA.invalid
        if (invalid[:, 0] != invalid[:, 1]).any() or not (invalid | (np.abs(self.va) <= 1)).all():
            raise UsageError(f"'va' of '{self.subject}' is neither in [-1, 1] nor -5 in both")
        if not ((self.expr >= -1) & (self.expr < len(EXPRESSIONS))).all():
            raise UsageError(f"'expr' of '{self.subject}' leaves -1 to {len(EXPRESSIONS) - 1}")
        if not ((self.au >= -1) & (self.au <= 1)).all():
            raise UsageError(f"'au' of '{self.subject}' is not 0, 1 or -1")


def read_mtl(path: Path) -> dict[str, MtlSubject]:
    """Read a multi-task file by position; known names in line 1 count, see `challenge.header`.

    Bounds: as in `image_rows.read_rows`.

    Rows may stand in any order. Equal rows of one image count once (see
    `MtlSubject.repeated`). Where one of valence and arousal is -5, both become -5: the challenge
    counts such a frame as invalid.

    Returns:
        by subject, in the order of their first rows.

    Raises:
        InputNotFoundError: there is no such file.
        FormatError: a line that does not fit, or two rows that contradict each other; the
            message names file and line.
    """
    # There are a few thousand patterns of action units in a hundred thousand rows.
    known: dict[str, list[float]] = {}

    def parse(text: str) -> tuple[float, ...]:
        fields = text.split(",", 3)
        if len(fields) < 4:
            raise UsageError(f"{len(fields) + 1} values where {len(COLUMNS)} are expected")
        valence, arousal, expression, units = fields
        if units not in known:
            known[units] = AU.parse(units.split(","), len(ACTION_UNITS))
        return (
            *VA.whole(VA.parse((valence, arousal), len(VA.targets))),
            *EXPR.parse((expression,), len(EXPRESSIONS)),
            *known[units],
        )

    return {
        subject: MtlSubject(
            subject,
            rows.frames,
            rows.values[:, :2],
            rows.values[:, 2].astype(np.int64),
            rows.values[:, 3:].astype(np.int64),
            rows.repeated,
        )
        for subject, rows in read_rows(path, parse, _HINT, _order).items()
    }


def write_mtl(path: Path, subjects: Iterable[MtlSubject]) -> None:
    """Write subjects one after the other, V and A with four decimals, whole or not at all.

    Raises:
        UsageError: a subject twice, or one whose name cannot stand in a list of images.
        OutputError: the file cannot be written.
    """
    written: set[str] = set()
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.write(",".join(COLUMNS) + "\n")
        for listed in subjects:
            try:
                check_subject(listed.subject)
            except UsageError as error:
                raise UsageError(error.problem, "rename the subject") from error
            if listed.subject in written:
                raise UsageError(
                    f"two subjects are called '{listed.subject}'", "rename one of them"
                )
            written.add(listed.subject)
            columns = (VA.text(listed.va), EXPR.text(listed.expr), AU.text(listed.au))
            file.writelines(
                f"{listed.subject}/{frame:05d}.jpg,{','.join(row)}\n"
                for frame, *row in zip(listed.frames.tolist(), *columns, strict=True)
            )
        # Before the rename, so that a full disk is noticed in time.
        file.flush()


def _order(header: list[str]) -> list[int] | None:
    return column_order(header, MTL, edition_named(DEFAULT_EDITION))
