"""The subjects to draw: their tables, as `predict` wrote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.config import MediaConfig
from avaffect.errors import FormatError, InputNotFoundError, UnknownNameError
from avaffect.files.hashing import known_sha256
from avaffect.files.outside import reading
from avaffect.files.table import read_about, read_table
from avaffect.predicting.read_back import table_files
from avaffect.tasks.registry import EXPR

# Okabe and Ito's colours, which people with any colour vision can tell apart.
COLOURS = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66),
    (204, 121, 167), (213, 94, 0), (0, 114, 178),
)  # fmt: skip

_AGAIN = "predict the video again"


@dataclass(frozen=True, eq=False, repr=False)
class Table(ArrayRecord):
    """One subject's table.

    Attributes:
        subject: the name.
        columns: arrays [N] by name, see docs/formats.md.
        media: how the video was decoded.
        about: all that the table says of itself.
    """

    subject: str
    columns: Mapping[str, NDArray[Any]]
    media: MediaConfig
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def times(self) -> NDArray[np.float64]:
        """float64 [N], seconds since the first frame."""
        times = self.columns["time"].astype(np.float64)
        return times - times[:1]

    def numbers(self, *names: str) -> NDArray[np.float32]:
        """float32 [N, len(names)], NaN where there is no value or no such column.

        Raises:
            FormatError: a column holds something else.
        """
        rows = len(self.columns["time"])
        found = np.full((rows, len(names)), np.nan, np.float32)
        for at, name in enumerate(names):
            what = f"has a column '{name}' that holds no numbers"
            with reading(self.subject, FormatError, what, _AGAIN):
                if name in self.columns:
                    found[:, at] = np.asarray(self.columns[name], np.float32)
        return found

    def likeliest(self) -> NDArray[np.int64]:
        """int64 [N], the likeliest of ``EXPRESSIONS``; -1 where a probability is missing."""
        shares = self.numbers(*map(EXPR.value_column, EXPR.targets))
        known = np.isfinite(shares).all(axis=1, keepdims=True)
        return EXPR.decide(np.where(known, shares, np.nan))


def find_tables(predictions: Path, subjects: Sequence[str] | None = None) -> dict[str, Path]:
    """The tables of a folder, or a single one.

    Args:
        predictions: a folder that `predict` wrote, or a table in it.
        subjects: names of those that are wanted; None for all.

    Returns:
        paths by subject.

    Raises:
        InputNotFoundError: there is none.
        UnknownNameError: no subject is called so.
    """
    single = {predictions.stem: predictions}
    found = single if predictions.is_file() else table_files(predictions)
    if not found:
        raise InputNotFoundError(
            f"there are no tables of predictions in '{predictions}'",
            "give a folder that `avaffect predict` wrote",
        )
    return _chosen(found, subjects)


def tables_of_video(
    video: Path, predictions: Path, subjects: Sequence[str] | None = None
) -> dict[str, Path]:
    """The tables that were made of ``video``, told by its content.

    Raises:
        InputNotFoundError: as `find_tables`; or none is of this video.
        UnknownNameError: no subject of it is called so.
    """
    found = find_tables(predictions)
    with reading(video):
        sha256 = known_sha256(video)
    ours = {name: path for name, path in found.items() if _made_of(path) == sha256}
    if not ours:
        raise InputNotFoundError(
            f"'{predictions}' holds no predictions of '{video}' as it is now",
            "name the very file that was predicted, or predict it again",
        )
    return _chosen(ours, subjects)


def load_table(subject: str, path: Path) -> Table:
    """Read a table.

    Raises:
        FormatError: it is none that can be drawn.
    """
    columns, about = read_table(path)
    with reading(path, FormatError, "is no table that can be drawn", _AGAIN):
        settings = about.get("configuration", {}).get("analysis", {}).get("media", {})
        name = str(about.get("subject", subject))
        table = Table(name, columns, MediaConfig(**settings), about)
        if not len(columns["frame"]) or not np.isfinite(table.times).all():
            raise FormatError(f"'{path}' has no rows, or no times", _AGAIN)
        if (np.diff(table.times) <= 0).any():
            raise FormatError(f"'{path}' has times that do not increase", _AGAIN)
        table.numbers("valence", "arousal", "box_left")
        return table


def _chosen(found: Mapping[str, Path], subjects: Sequence[str] | None) -> dict[str, Path]:
    if subjects is None:
        return dict(found)
    for name in subjects:
        if name not in found:
            raise UnknownNameError("subject", name, found)
    return {name: found[name] for name in subjects}


def _made_of(path: Path) -> str:
    video = read_about(path).get("video")
    return str(video.get("sha256")) if isinstance(video, dict) else ""
