"""The feature store: one folder a subject, written once, read in slices.

- ``arrays.safetensors``: arrays with a row for each of the N decoded frames. Where the subject is
  not in the picture, float arrays hold NaN. Deep embeddings are float16 (relative precision
  2^-11, magnitude below 65504), everything else float32.
- ``frames.parquet``: the frame table, see :data:`COLUMNS`.
- ``provenance.json``: from which video, with which settings, models and library versions.

Each array and the frame table (``faces``) carries a key, see ``store.provenance``: a store
knows what it was made with, so that only what depends on a changed setting is made again. The
three files are renamed into place one after the other, and each carries the keys, so a store torn
by a crash between two renames is recognised. The provenance also has hashes of the other two
files, so that damage is noticed before it is read (stores of earlier versions have none).
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.text import subject_file_name
from avaffect.errors import FeatureError
from avaffect.faces.quality import REGIONS
from avaffect.files.outside import fits, parse_json, read_json, reading
from avaffect.files.parquet import open_parquet, read_column
from avaffect.files.tensors import Array, ArraySpec, TensorFile
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
}
_SEEN = tuple(f"{region}_seen" for region in REGIONS)
# Columns that stores of earlier versions lack.
_LATER: dict[str, tuple[str, tuple[int, ...]]] = {
    "presence": ("presence", ()),
    **{name: ("seen", (i,)) for i, name in enumerate(_SEEN)},
}
# Where the face lies: box, points and pose.
GEOMETRY = tuple(name for name in _FIELDS if name != "confidence")
_EARLIER_COLUMNS = ("frame", "time", "present", *_FIELDS, "track")
COLUMNS = ("frame", "time", "present", *_FIELDS, *_LATER, "track")
"""Columns of the frame table.

``frame`` int32, 1-based as in Aff-Wild2; ``time`` float64, seconds; ``present`` bool; then
float32, null where not present: the box (pixels), the five points (pixels; left and right as seen
in the picture), ``yaw``, ``pitch``, ``roll`` (degrees), ``confidence`` (0..1, the face's quality),
``presence`` (0..1, the landmark net's), ``brows_seen``, ``eyes_seen``, ``mouth_seen`` (0..1, see
``faces.quality``); ``track`` int32, -1 where not present.
"""

_CHUNK = 512
_HINT = "run `avaffect preprocess` again"
_BROKEN = "holds a feature store that is unfinished or damaged"
_PROVENANCE = {
    "version": int,
    "subject": str,
    "frames": int,
    "keys": {str: str},
    "hashes?": {"arrays?": {str: [str]}, "frames?": str},
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

        Bounds: those of `outside.read_json`, `parquet.open_parquet` and `TensorFile`.

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
        self._rows = spool.rows()
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
        return self._spool.arrays | (self._rows.specs if self._rows else {})

    def table(self) -> pd.DataFrame:
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
        for column in (*_FIELDS, *_LATER):
            columns[column] = arrow_array(self._field(column), self.present)
        columns["track"] = arrow_array(self._track)
        return pa.table(columns)

    def _field(self, column: str) -> Array:
        """[N], a column of :data:`_FIELDS` or :data:`_LATER`; meaningless where not present."""
        field, place = (_FIELDS | _LATER)[column]
        values: Array = self._faces[field]
        for index in place:
            values = values[:, index]
        return values

    def _slice(self, name: str, start: int, stop: int) -> Array:
        if self._rows and name in self._rows.specs:
            return self._rows.read(name, start, stop)
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
        record = folder / "provenance.json"
        missing = self._unfinished()
        self.provenance: dict[str, Any] = read_json(
            record, _PROVENANCE, FeatureError, _BROKEN, _HINT, missing=missing
        )
        self._hashes: dict[str, Any] = self.provenance.get("hashes", {})
        arrays = self._hashes.get("arrays", {})
        self._tensors = TensorFile(folder / "arrays.safetensors", mapped=mapped, hashes=arrays)
        self._name: str = self.provenance["subject"]
        self._frames: int = self.provenance["frames"]
        with reading(folder, FeatureError, _BROKEN, _HINT, missing=missing):
            self.keys: dict[str, str] = parse_json(self._tensors.metadata["keys"])
            with open_parquet(folder / "frames.parquet") as parquet:
                self._columns = columns = tuple(parquet.schema_arrow.names)
                whole = (
                    fits(self.keys, {str: str})
                    and self.provenance["version"] == STORE_VERSION
                    and self.provenance["keys"] == self.keys
                    and self.keys.keys() == {FACES, *self._tensors.specs}
                    and (parquet.metadata.metadata or {}).get(b"faces")
                    == self.keys[FACES].encode()
                    and parquet.metadata.num_rows == self._frames
                    and columns in (COLUMNS, _EARLIER_COLUMNS)
                    and self._tensors.rows == (self._frames if self._tensors.specs else 0)
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
        whole = "presence" in self._columns
        return self._column("presence").astype(np.float32) if whole else super().presence

    @cached_property
    def seen(self) -> NDArray[np.float32]:
        if _SEEN[0] not in self._columns:
            return super().seen
        return np.stack([self._column(name) for name in _SEEN], axis=1).astype(np.float32)

    @property
    def geometry(self) -> NDArray[np.float32]:
        with self._frame_table() as file:
            found = [read_column(file, name).astype(np.float32) for name in GEOMETRY]
        return np.stack(found, axis=1)

    @property
    def specs(self) -> dict[str, ArraySpec]:
        return self._tensors.specs

    def has(self, name: str, key: str) -> bool:
        """Whether the array ``name`` (or ``faces``) is there and was made with ``key``."""
        return self.keys.get(name) == key

    def table(self) -> pd.DataFrame:
        with self._frame_table() as file:
            return file.read().to_pandas()

    def _column(self, name: str) -> Array:
        with self._frame_table() as file:
            return read_column(file, name)

    @contextmanager
    def _frame_table(self) -> Iterator[pq.ParquetFile]:
        path = self.folder / "frames.parquet"
        with reading(self.folder, FeatureError, _BROKEN, _HINT, missing=self._unfinished()):
            if not self._table_checked and "frames" in self._hashes:
                if table_hash(path) != self._hashes["frames"]:
                    raise self._unfinished()
                self._table_checked = True
            with open_parquet(path) as file:
                if file.metadata.num_rows != self._frames:
                    raise self._unfinished()
                yield file

    def _slice(self, name: str, start: int, stop: int) -> Array:
        return self._tensors.read(name, start, stop)


def table_hash(path: Path) -> str:
    """A hash of a frame table's file, 16 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
