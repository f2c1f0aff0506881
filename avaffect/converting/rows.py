"""A person's table, read some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.errors import FormatError, UsageError
from avaffect.files.outside import reading
from avaffect.files.parquet import open_parquet, read_blocks, read_column
from avaffect.files.table import read_about
from avaffect.predictions.durations import durations

Block = Mapping[str, NDArray[Any]]

# Later than this no film is, and milliseconds of it still are whole numbers of 32 bits.
_LATEST_S = 2e6
_AT_ONCE = 8192
_AGAIN = "predict the video again"


@dataclass(frozen=True, eq=False, repr=False)
class Rows(ArrayRecord):
    """One person of a video, a row a decoded frame.

    Attributes:
        subject: the name.
        number: of the person among those of the video, from 0.
        place: where the files of the person lie, without ending, such as ``P01/session1_left``.
        path: the table.
        about: what the table says of itself.
        names: its columns.
    """

    subject: str
    number: int
    place: PurePath
    path: Path
    about: Mapping[str, Any]
    names: tuple[str, ...]

    @classmethod
    def open(cls, path: Path, subject: str, place: PurePath, number: int = 0) -> Rows:
        """The table at ``path``; none of its rows is read.

        Bounds: those of `parquet.open_parquet`.

        Raises:
            InputNotFoundError: there is none.
            FormatError: it is none of a video's frames.
        """
        about = read_about(path)
        with reading(path, FormatError, "is no table that can be converted", _AGAIN):
            with open_parquet(path, reads=0) as file:
                names = tuple(file.schema_arrow.names)
            if len(set(names)) < len(names):
                raise UsageError("it has two columns of one name")
            if missing := {"frame", "time"} - set(names):
                raise UsageError(f"it has no column '{min(missing)}'")
        return cls(str(about.get("subject", subject)), number, place, path, about, names)

    @cached_property
    def times(self) -> NDArray[np.float64]:
        """float64 [N], seconds, rising, as the table has them.

        Bounds: at least one row, all within 23 days.

        Raises:
            FormatError: others.
        """
        with reading(self.path, FormatError, "is no table that can be converted", _AGAIN):
            with open_parquet(self.path, reads=1) as file:
                times = np.asarray(read_column(file, "time"), np.float64)
            if not len(times) or not (np.abs(times) < _LATEST_S).all():
                raise UsageError("it has no rows, or no times")
            if (np.diff(times) <= 0).any():
                raise UsageError("its times do not increase")
            return times

    @property
    def video(self) -> str:
        """The name of the video's file; empty if the table does not say."""
        video = self.about.get("video")
        return str(video.get("name", "")) if isinstance(video, dict) else ""

    @property
    def first_time_s(self) -> float:
        """What to add to ``times`` for the file's own clock; 0 if they are on it or it is unknown.

        Raises:
            FormatError: the table says something else than a number.
        """
        media = self.about.get("media")
        if self.about.get("clock", "frame") != "frame" or not isinstance(media, dict):
            return 0.0
        with reading(self.path, FormatError, "is no table that can be converted", _AGAIN):
            first = float(media.get("first_time_s", 0.0))
            if not abs(first) < _LATEST_S:
                raise UsageError("its first time is none")
            return first

    @property
    def media_times(self) -> NDArray[np.float64]:
        """float64 [N], seconds on the file's own clock, as far as it is known."""
        return self.times + self.first_time_s

    def steps(self) -> NDArray[np.float64]:
        """float64 [N], for how many seconds each frame stands."""
        return durations(self.times)

    def blocks(self, names: Sequence[str] | None = None) -> Iterator[Block]:
        """Some columns, all without ``names``, by name; arrays [n] of some thousand rows each.

        Null is NaN in numbers and None in text. A column that the table does not have is NaN.

        Raises:
            FormatError: the file is damaged, or a column holds something else.
        """
        names = self.names if names is None else names
        there = [name for name in names if name in self.names]
        # Without any column Arrow would not say how many rows there are.
        asked = there or ["frame"]
        with (
            reading(self.path, FormatError, "is no table that can be converted", _AGAIN),
            open_parquet(self.path, reads=1) as file,
        ):
            for block in read_blocks(file, asked, _AT_ONCE):
                unknown = np.full(len(block[asked[0]]), np.nan, np.float32)
                yield {name: block.get(name, unknown) for name in names}


def numbers(block: Block, names: Sequence[str]) -> NDArray[np.float64]:
    """float64 [n, len(names)] of columns; NaN for whatever is no finite number."""
    found = np.stack([_numbers(block[name]) for name in names], axis=1)
    return np.where(np.isfinite(found), found, np.nan)


def texts(block: Block, name: str) -> list[str | None]:
    """The texts of a column, None where there is none or it holds something else."""
    return [value if isinstance(value, str) else None for value in block[name]]


def _numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    if values.dtype.kind not in "biuf":
        return np.full(len(values), np.nan)
    return values.astype(np.float64)
