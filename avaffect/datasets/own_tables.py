"""Folders of features that users bring, read beside the feature store or without one.

Each folder is an array of a clip. All files of a folder have the same columns; a clip that a
folder has no file of lacks that array throughout.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.challenge.layout import source_video
from avaffect.config import fingerprint
from avaffect.datasets.array_files import ArrayFile
from avaffect.datasets.matching import MOST_OFF, Matched, together
from avaffect.datasets.own_arrays import OwnFeatures, name_for
from avaffect.datasets.row_files import RowFile
from avaffect.datasets.tables import FEATURES, Table
from avaffect.errors import FormatError, UsageError
from avaffect.files.hashing import file_sha256
from avaffect.files.npy import Array, ArraySpec
from avaffect.files.outside import real_path
from avaffect.store.adding import require_name
from avaffect.store.provenance import own_model

_TIMES = ("timestamp", "time", "times")


class OwnArray:
    """An array of a clip in a file, on the clip's frames.

    Of npy, safetensors and npz that is not packed only the slices asked for are read; another
    file's values lie in memory once they have been asked for.

    Args:
        file: the file; None for an array that is missing throughout.
        columns: its features, in order.
        rows: int64 [N], of the file for each frame, -1 where it has none.
        dtype: of the values, where there is no file.
    """

    def __init__(
        self,
        file: RowFile | None,
        columns: Sequence[str],
        rows: NDArray[np.int64],
        dtype: str = "float32",
    ) -> None:
        self.file = file
        self.rows = rows
        self._columns = tuple(columns)
        self.spec = ArraySpec((len(columns),), dtype if file is None else file.dtype)
        self._values: Array | None = None

    def read(self, start: int, stop: int) -> Array:
        """Rows of frames ``start`` to ``stop``, [n, F]; NaN where there are none.

        Raises:
            FormatError: the file cannot be read, or holds what is no finite number.
        """
        if self.file is None:
            return self.spec.missing(stop - start)
        source = self.file.source
        if isinstance(source, Table) and isinstance(source.columns, ArrayFile):
            rows = self.rows[start:stop]
            out = self.spec.missing(len(rows))
            if (there := rows >= 0).any():
                first, last = int(rows[there].min()), int(rows[there].max())
                block = next(self.file.blocks(self._columns, first, last + 1))
                out[there] = block[rows[there] - first]
            return out
        if self._values is None:
            self._values = np.concatenate([*self.file.aligned(self._columns, self.rows)])
        return self._values[start:stop].copy()

    def longer(self, frames: int) -> OwnArray:
        """The same for more frames, which have no row."""
        more = np.full(frames - len(self.rows), -1)
        return OwnArray(self.file, self._columns, np.append(self.rows, more), self.spec.dtype)


@dataclass(frozen=True, eq=False, repr=False)
class OwnClip(ArrayRecord):
    """The own arrays of a clip.

    Attributes:
        name: the subject's name.
        arrays: by name.
        frames: N.
        times: float64 [N], seconds of the frames as the tables have them; None if none does.
        files: what they were read from.
    """

    name: str
    arrays: Mapping[str, OwnArray]
    frames: int
    times: NDArray[np.float64] | None
    files: tuple[Path, ...]

    @property
    def sha256(self) -> str:
        """Of the file, or of all files' hashes."""
        hashes = [file_sha256(path) for path in self.files]
        return hashes[0] if len(hashes) == 1 else fingerprint(hashes)


@dataclass(frozen=True)
class OwnTables:
    """Folders of tables as arrays.

    Attributes:
        folders: by array.
        settled: by array, the columns of every file; an array that is not in it takes those of
            the folder's first file.
    """

    folders: Mapping[str, OwnFeatures]
    settled: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list, repr=False, compare=False)
    missing: dict[str, list[str]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def find(
        cls,
        folders: Sequence[str],
        columns: Sequence[str] = (),
        time: str | None = None,
        *,
        alone: bool = False,
    ) -> OwnTables:
        """The tables in some folders.

        Args:
            folders: as ``NAME=DIR``, or ``DIR`` for the folder's own name; of a single one that
                is ``alone``, without a feature store, it is ``table``.
            columns: which are features, see `row_files.RowFile.choose`.
            time: their column of seconds.

        Raises:
            InputNotFoundError: there is no such folder, or nothing in it.
            UsageError: two arrays of one name, or one that cannot be called so.
        """
        found: dict[str, OwnFeatures] = {}
        for text in folders:
            name, folder = named_folder(text)
            if not name:
                lone = alone and len(folders) == 1
                name = FEATURES if lone else real_path(Path(folder)).name
            require_name(name)
            if name in found:
                raise UsageError(
                    f"two folders of features are called '{name}'",
                    'give one another name, as features="NAME=FOLDER"',
                )
            found[name] = OwnFeatures.find(folder, columns, time)
        return cls(found)

    @cached_property
    def columns(self) -> dict[str, tuple[str, ...]]:
        """By array, the columns of every file."""
        return {name: columns for name, (columns, _) in self._first.items()}

    @cached_property
    def _first(self) -> dict[str, tuple[tuple[str, ...], str]]:
        found = {}
        for name, own in self.folders.items():
            file = RowFile.open(own.files[min(own.files)])
            settled = self.settled.get(name)
            columns = file.choose(own.columns) if settled is None else tuple(settled)
            found[name] = columns, file.dtype
        return found

    @property
    def models(self) -> dict[str, str]:
        """By array, what stands for the backbone that made it."""
        return {name: own_model(columns) for name, columns in self.columns.items()}

    @property
    def about(self) -> dict[str, Any]:
        """What predicting must know, JSON-able: how the files of each array are read."""
        return {
            name: {
                "columns": list(self.columns[name]),
                "asked": list(own.columns),
                "time": own.time,
            }
            for name, own in self.folders.items()
        }

    def names(self) -> list[str]:
        """The clips: names of files, but a video's where another folder knows its people."""
        every = {name for own in self.folders.values() for name in own.files}
        people = {source_video(name) for name in every if source_video(name) != name}
        whole = {
            name
            for name in every & people
            if not all(name in own.files for own in self.folders.values())
        }
        return sorted(every - whole)

    def clip(
        self,
        subject: str,
        people: Iterable[str],
        frames: int | None = None,
        times: NDArray[np.float64] | None = None,
    ) -> OwnClip | None:
        """The arrays of a subject; None if no folder has any.

        Args:
            subject: the subject's name.
            people: all subjects of the video.
            frames: N; None takes the longest table's.
            times: float64 [N], seconds of the frames, where they are known.

        Raises:
            FormatError: a file that is not what it should be, or of another number of rows; the
                message names both.
        """
        people = list(people)
        chosen = {
            name: None if (found := name_for(subject, own.files, people)) is None else found
            for name, own in self.folders.items()
        }
        if not any(chosen.values()):
            return None
        files: dict[str, tuple[RowFile, Matched]] = {}
        for name, found in chosen.items():
            if found is None:
                self.missing.setdefault(name, []).append(subject)
                continue
            own = self.folders[name]
            file = RowFile.open(own.files[found])
            self._require_columns(name, file)
            matched = file.match(frames, times, own.time, own.rate)
            self.notes.append(matched.note)
            files[name] = file, matched
        lengths = {name: len(matched.rows) for name, (_, matched) in files.items()}
        length = max(lengths.values())
        for name, rows in lengths.items():
            if length - rows > MOST_OFF:
                other = max(lengths, key=lambda name: lengths[name])
                raise FormatError(
                    f"'{files[name][0].path}' has {rows} rows and '{files[other][0].path}' "
                    f"{length}",
                    "both are of one clip: make them of the same frames",
                )
            if rows < length:
                self.notes.append(
                    f"'{files[name][0].path}' has {rows} rows for {length} frames of another "
                    "table: row 1 is frame 1, and what is behind the last row is missing"
                )
        arrays = {}
        for name, (columns, dtype) in self._first.items():
            if name in files:
                file, matched = files[name]
                array = OwnArray(file, columns, matched.rows, dtype)
                short = len(matched.rows) < length
                arrays[name] = array.longer(length) if short else array
            else:
                arrays[name] = OwnArray(None, columns, np.full(length, -1), dtype)
        own_times = next((t for f, m in files.values() if (t := _times(f, m)) is not None), None)
        paths = tuple(file.path for file, _ in files.values())
        return OwnClip(subject, arrays, length, own_times if times is None else times, paths)

    def told(self) -> list[str]:
        """What a user should know of the clips that were asked for."""
        found = [together(self.notes, "own tables")]
        for name, subjects in self.missing.items():
            shown = ", ".join(subjects[:3]) + (", ..." if len(subjects) > 3 else "")
            found.append(
                f"'{self.folders[name].folder}' has no features of {len(subjects)} clips "
                f"({shown}): '{name}' is missing there"
            )
        return [text for text in found if text]

    def _require_columns(self, name: str, file: RowFile) -> None:
        """Raise FormatError if a file has other columns than the first one."""
        columns, _ = self._first[name]
        arrays = isinstance(file.source, Table) and isinstance(file.source.columns, ArrayFile)
        there = set(file.names)
        gone = [column for column in columns if column not in there]
        # The columns of arrays have no names, so that more of them are other ones.
        other = arrays and not self.folders[name].columns and file.choose() != columns
        if gone or other:
            lacks = f"no column '{gone[0]}'" if gone else f"{len(file.names)} columns"
            raise FormatError(
                f"'{file.path}' has {lacks}, and others in '{name}' have {len(columns)} features",
                "make all files of a folder alike, also those that are predicted on",
            )


def named_folder(text: str) -> tuple[str, str]:
    """Name and folder of ``NAME=DIR``; of ``DIR`` alone the name is empty."""
    name, sign, folder = text.partition("=")
    return (name, folder) if sign and not Path(text).is_dir() else ("", text)


def _times(file: RowFile, matched: Matched) -> NDArray[np.float64] | None:
    """Seconds of the frames, if a column tells them all."""
    name = next((own for word in _TIMES if (own := file.column(word)) is not None), None)
    if name is None or name not in file.numeric or (matched.rows < 0).any():
        return None
    values = np.concatenate([block[:, 0] for block in file.blocks((name,))])[matched.rows]
    rising = np.isfinite(values).all() and (np.diff(values) > 0).all()
    return values if rising else None
