"""The feature store: one folder a subject, each array a file of its own, read in slices.

- ``<array>-<16 hex digits>.npy``: a row for each of the N decoded frames, plain NumPy. Where the
  subject is not in the picture, float arrays hold NaN. Deep embeddings are float16 (relative
  precision 2^-11, magnitude below 65504), everything else float32.
- ``frames.parquet``: the frame table, see :data:`COLUMNS`.
- ``provenance.json``: from which video, with which settings, models and library versions; which
  file each array is in, and hashes of all.

Each array and the frame table (``faces``) carries a key, see ``store.provenance``: a store
knows what it was made with, so that only what depends on a changed setting is made again.

The record ``provenance.json`` is written last and counts alone: what it names was there before,
and an array made again gets another name, so that a run cut off at any moment leaves the arrays
as they were. What no record names is left from such a run and goes when the next one writes. The
frame table keeps its name and carries its key: one that belongs to another record is noticed. By
the hashes damage is noticed before it is read.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.text import subject_file_name
from avaffect.errors import FeatureError, need
from avaffect.faces.quality import REGIONS
from avaffect.files.hashing import file_sha256
from avaffect.files.names import FRAMES, PROVENANCE
from avaffect.files.npy import Array, ArraySpec, NpyFile
from avaffect.files.outside import fits, read_json, reading
from avaffect.files.parquet import open_parquet, read_column, read_columns
from avaffect.store.provenance import STORE_VERSION
from avaffect.store.spool import BASE, Spool

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

FACES = "faces"  # the key of the frame table, beside the arrays' keys
POINT_NAMES = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
# Per column: the field of the face record, and the place in it. Sides are the picture's.
_FIELDS: dict[str, tuple[str, tuple[int, ...]]] = {
    **{name: ("box", (i,)) for i, name in enumerate(("left", "top", "right", "bottom"))},
    **{
        f"{point}_{axis}": ("points", (i, j))
        for i, point in enumerate(POINT_NAMES)
        for j, axis in enumerate("xy")
    },
    **{name: ("pose", (i,)) for i, name in enumerate(("yaw", "pitch", "roll"))},
    "confidence": ("confidence", ()),
    "presence": ("presence", ()),
    **{f"{region}_seen": ("seen", (i,)) for i, region in enumerate(REGIONS)},
}
# Where the face lies.
GEOMETRY = tuple(name for name, (of, _) in _FIELDS.items() if of in ("box", "points", "pose"))
# Stores of earlier versions have no column ``held``.
_EARLIER_COLUMNS = ("frame", "time", "present", *_FIELDS, "track")
COLUMNS = (*_EARLIER_COLUMNS, "held")
"""Columns of the frame table.

``frame`` int32, 1-based as in Aff-Wild2; ``time`` float64, seconds; ``present`` bool; then
float32, null where not present: the box (pixels), the five points (pixels; left and right as seen
in the picture), ``yaw``, ``pitch``, ``roll`` (degrees), ``confidence`` (0..1, the face's quality),
``presence`` (0..1, the landmark net's), ``brows_seen``, ``eyes_seen``, ``mouth_seen`` (0..1, see
``faces.quality``); ``track`` int32, -1 where not present; ``held`` bool, whether the face was not
looked at in this frame, but lies between others (``faces.holding``).
"""

_CHUNK = 512
_HINT = "run `avaffect preprocess` again"
_BROKEN = "holds a feature store that is unfinished or damaged"
_FILE = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)-[0-9a-f]{16}\.npy", re.ASCII)
_PROVENANCE = {
    "version": int,
    "subject": str,
    "frames": int,
    "keys": {str: str},
    "arrays": {str: {"file": str, "hashes": [str]}},
    "frames_sha256": str,
    "configuration?": {"faces?": {"crop_size?": int, "aligner?": (str, None)}},
}


class SubjectFeatures(ABC):
    """One subject's features over all N decoded frames of a video."""

    @staticmethod
    def open(folder: Path | str, *, mapped: bool = False) -> StoredSubject:
        """The subject stored in ``folder``.

        Args:
            folder: the subject's folder.
            mapped: map arrays into memory, for reading many small slices, as training does; they
                are then read-only views. Else each slice is read from the file.

        Bounds: those of `outside.read_json`, `parquet.open_parquet` and `NpyFile`.

        Raises:
            FeatureError: the store is missing, unfinished or damaged.
        """
        return StoredSubject(Path(folder), mapped=mapped)

    @property
    @abstractmethod
    def name(self) -> str:
        """The subject's name, e.g. ``video_left``."""

    @property
    @abstractmethod
    def times(self) -> NDArray[np.float64]:
        """float64 [N], seconds."""

    @property
    @abstractmethod
    def present(self) -> NDArray[np.bool_]:
        """bool [N], whether the subject's face is in the frame."""

    @property
    @abstractmethod
    def confidence(self) -> NDArray[np.float32]:
        """float32 [N] in 0..1, the quality of the face (``faces.quality``); NaN where none is."""

    @property
    def presence(self) -> NDArray[np.float32]:
        """float32 [N] in 0..1, how sure the landmark net is of the face; NaN where none is."""
        return self.confidence

    @property
    def seen(self) -> NDArray[np.float32]:
        """float32 [N, 3] in 0..1, how surely each of ``faces.quality.REGIONS`` is to be seen."""
        return np.ones((self.frames, len(REGIONS)), np.float32)

    @property
    def geometry(self) -> NDArray[np.float32] | None:
        """float32 [N, 17], the columns :data:`GEOMETRY` of the frame table; NaN without a face.

        None where it is not known.
        """
        return None

    @property
    @abstractmethod
    def specs(self) -> dict[str, ArraySpec]:
        """The arrays there are, by name."""

    @abstractmethod
    def table(self) -> pd.DataFrame:
        """The frame table, N rows, see :data:`COLUMNS` (null is NaN here)."""

    @abstractmethod
    def _slice(self, name: str, start: int, stop: int) -> Array: ...

    @property
    def frames(self) -> int:
        """N, the number of decoded frames."""
        return len(self.times)

    @property
    def names(self) -> tuple[str, ...]:
        """The arrays' names, sorted."""
        return tuple(sorted(self.specs))

    def array(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        """Rows of frames ``start`` to ``stop`` (0-based, as Python slices) of an array, a copy.

        Raises:
            FeatureError: there is no such array, or the file is damaged.
        """
        if name not in self.specs:
            have = ", ".join(self.names) or "none"
            raise FeatureError(
                f"'{self.name}' has no features called '{name}' (has {have})", _HINT
            )
        start, stop, _ = slice(start, stop).indices(self.frames)
        return self._slice(name, start, max(start, stop))

    def chunks(self) -> Iterator[dict[str, Array]]:
        """All arrays by name, some hundred frames at a time."""
        for start in range(0, self.frames, _CHUNK):
            yield {name: self.array(name, start, start + _CHUNK) for name in self.names}


class SpooledSubject(SubjectFeatures):
    """A subject read straight from the spool of a finished pass.

    Args:
        name: the subject's name.
        spool: the pass.
        track_ids: the tracks that are this subject. On a frame with records of two of them the
            more confident one counts.

    Attributes:
        tracks: those.
    """

    def __init__(self, name: str, spool: Spool, track_ids: Sequence[int]) -> None:
        self.tracks = tuple(track_ids)
        self._name = name
        self._spool = spool
        self._rows = spool.rows
        self._times = spool.times()
        self._track = np.full(len(self._times), -1, np.int32)
        self._record = np.zeros(len(self._times), np.int32)
        self._faces = np.zeros(len(self._times), BASE)
        self._faces["presence"] = -np.inf
        for track in track_ids:
            faces = spool.base(track)
            better = faces["presence"] > self._faces["presence"][faces["frame"]]
            at = faces["frame"][better]
            self._faces[at] = faces[better]
            self._track[at] = track
            self._record[at] = np.flatnonzero(better)

    @property
    def name(self) -> str:
        return self._name

    @property
    def times(self) -> NDArray[np.float64]:
        return self._times

    @property
    def present(self) -> NDArray[np.bool_]:
        return self._track >= 0

    @property
    def confidence(self) -> NDArray[np.float32]:
        return np.where(self.present, self._faces["confidence"], np.float32(np.nan))

    @property
    def geometry(self) -> NDArray[np.float32]:
        found = np.stack([self._field(name) for name in GEOMETRY], axis=1)
        found[~self.present] = np.nan
        return found

    @property
    def presence(self) -> NDArray[np.float32]:
        return np.where(self.present, self._faces["presence"], np.float32(np.nan))

    @property
    def seen(self) -> NDArray[np.float32]:
        return np.where(self.present[:, None], self._faces["seen"], np.float32(np.nan))

    @property
    def specs(self) -> dict[str, ArraySpec]:
        return self._spool.arrays | {name: file.spec for name, file in self._rows.items()}

    def table(self) -> pd.DataFrame:
        need("pandas")
        return self.arrow_table().to_pandas()

    def arrow_table(self) -> pa.Table:
        """The frame table as it is stored."""
        import pyarrow as pa

        from avaffect.files.table import arrow_array

        columns: dict[str, Any] = {
            "frame": arrow_array(np.arange(1, self.frames + 1, dtype=np.int32)),
            "time": arrow_array(self._times),
            "present": arrow_array(self.present),
        }
        for column in _FIELDS:
            columns[column] = arrow_array(self._field(column), self.present)
        columns["track"] = arrow_array(self._track)
        columns["held"] = arrow_array(self._faces["held"])
        return pa.table(columns)

    def _field(self, column: str) -> Array:
        """[N], a column of :data:`_FIELDS`; meaningless where not present."""
        field, place = _FIELDS[column]
        values: Array = self._faces[field]
        for index in place:
            values = values[:, index]
        return values

    def _slice(self, name: str, start: int, stop: int) -> Array:
        if name in self._rows:
            return self._rows[name].read(start, stop)
        out = self._spool.arrays[name].missing(stop - start)
        tracks, records = self._track[start:stop], self._record[start:stop]
        for track in np.unique(tracks[tracks >= 0]):
            mine = tracks == track
            first, last = int(records[mine].min()), int(records[mine].max())
            found = self._spool.track(int(track), first, last + 1)[name]
            out[mine] = found[records[mine] - first]
        return out


class StoredSubject(SubjectFeatures):
    """A subject in the feature store; see :meth:`SubjectFeatures.open`.

    Attributes:
        folder: where it is stored.
        keys: what each array and the frame table (``faces``) was made with.
        provenance: the content of ``provenance.json``.
    """

    def __init__(self, folder: Path, *, mapped: bool = False) -> None:
        self.folder = folder
        self._table_checked = False
        with reading(folder, FeatureError):
            if not folder.is_dir():
                raise FeatureError(f"there is no feature store in '{folder}'", _HINT)
        missing = self._unfinished()
        self.provenance: dict[str, Any] = read_json(
            folder / PROVENANCE, {"version": int}, FeatureError, _BROKEN, _HINT, missing=missing
        )
        if self.provenance["version"] != STORE_VERSION:
            raise FeatureError(
                f"the feature store '{folder}' was written by another version of avaffect", _HINT
            )
        if not fits(self.provenance, _PROVENANCE):
            raise missing
        self._name: str = self.provenance["subject"]
        self._frames: int = self.provenance["frames"]
        self.keys: dict[str, str] = self.provenance["keys"]
        with reading(folder, FeatureError, _BROKEN, _HINT, missing=missing):
            self._arrays = {
                name: NpyFile(folder / entry["file"], mapped=mapped, hashes=entry["hashes"])
                for name, entry in self.provenance["arrays"].items()
                if array_of(entry["file"]) == name
            }
            with open_parquet(folder / FRAMES) as parquet:
                whole = (
                    self.keys.keys()
                    == {FACES, *self._arrays}
                    == {FACES, *self.provenance["arrays"]}
                    and (parquet.metadata.metadata or {}).get(b"faces")
                    == self.keys[FACES].encode()
                    and parquet.metadata.num_rows == self._frames
                    and tuple(parquet.schema_arrow.names) in (COLUMNS, _EARLIER_COLUMNS)
                    and all(file.rows == self._frames for file in self._arrays.values())
                )
            subject_file_name(self._name)
        if not whole:
            raise missing

    def _unfinished(self) -> FeatureError:
        return FeatureError(f"the feature store '{self.folder}' is unfinished or damaged", _HINT)

    @property
    def name(self) -> str:
        return self._name

    @property
    def frames(self) -> int:
        return self._frames

    @cached_property
    def times(self) -> NDArray[np.float64]:
        times = self._column("time").astype(np.float64)
        if not np.isfinite(times).all():
            raise self._unfinished()
        return times

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        return self._column("present").astype(np.bool_)

    @cached_property
    def confidence(self) -> NDArray[np.float32]:
        return self._column("confidence").astype(np.float32)

    @cached_property
    def presence(self) -> NDArray[np.float32]:
        return self._column("presence").astype(np.float32)

    @cached_property
    def seen(self) -> NDArray[np.float32]:
        columns = [self._column(f"{region}_seen") for region in REGIONS]
        return np.stack(columns, axis=1).astype(np.float32)

    @cached_property
    def track(self) -> NDArray[np.int32]:
        """int32 [N], the number of the track that the face is of; -1 where not present."""
        return self._column("track").astype(np.int32)

    @cached_property
    def held(self) -> NDArray[np.bool_]:
        """bool [N], whether the face lies between other frames, see :data:`COLUMNS`."""
        with self._frame_table() as file:
            if "held" not in file.schema_arrow.names:  # of an earlier version
                return np.zeros(self._frames, np.bool_)
            return read_column(file, "held").astype(np.bool_)

    @property
    def geometry(self) -> NDArray[np.float32]:
        with self._frame_table() as file:
            columns = read_columns(file, GEOMETRY)
        return np.stack([columns[name] for name in GEOMETRY], axis=1).astype(np.float32)

    @property
    def specs(self) -> dict[str, ArraySpec]:
        return {name: file.spec for name, file in self._arrays.items()}

    def has(self, name: str, key: str) -> bool:
        """Whether the array ``name`` (or ``faces``) is there and was made with ``key``."""
        return self.keys.get(name) == key

    def table(self) -> pd.DataFrame:
        need("pandas")
        with self._frame_table() as file:
            return file.read().to_pandas()

    def _column(self, name: str) -> Array:
        with self._frame_table() as file:
            return read_column(file, name)

    @contextmanager
    def _frame_table(self) -> Iterator[pq.ParquetFile]:
        path = self.folder / FRAMES
        with reading(self.folder, FeatureError, _BROKEN, _HINT, missing=self._unfinished()):
            if not self._table_checked:
                if file_sha256(path) != self.provenance["frames_sha256"]:
                    raise self._unfinished()
                self._table_checked = True
            with open_parquet(path) as file:
                if file.metadata.num_rows != self._frames:
                    raise self._unfinished()
                yield file

    def _slice(self, name: str, start: int, stop: int) -> Array:
        return self._arrays[name].read(start, stop)


def array_of(file: str) -> str | None:
    """The array that a file of that name holds; None if it is none of the store's."""
    match = _FILE.fullmatch(file)
    return None if match is None else match[1]
