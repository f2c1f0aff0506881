"""The spool: results of one streaming pass over a video, appended to files.

Who matters in a video is known only at its end, so the pass writes down every face of every track
as it comes. Memory stays flat, and :meth:`Spool.checkpoint` with :meth:`Spool.resume` lets an
interrupted pass go on in mid-video. In the folder:

- ``times.f8``: float64, the time of each decoded frame in seconds;
- ``track-<id>.bin``: one fixed-size record per face of that track (:attr:`Spool.dtype`);
- ``rows-<array>.npy``: a row per decoded frame, of what no face is needed for, e.g. sound;
- ``checkpoint.json``: how far the files are known to be good, a checksum of each up to there, and
  the caller's own state.

What does not fit its checksum, since another process wrote to it or a power cut tore it, is never
read: such a pass begins anew.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import FeatureError, InputNotFoundError, UsageError, output_error
from avaffect.files.atomic import write_json
from avaffect.files.npy import Array, ArraySpec, NpyFile, write_arrays
from avaffect.files.outside import read_kept, reading

# What every face has: 0-based frame, box and points in pixels, yaw/pitch/roll in degrees, the
# quality, the landmark net's presence, and how surely brows, eyes and mouth are seen, all 0..1;
# and whether the face was held: not looked at in this frame, but between others (faces.holding).
BASE = np.dtype(
    [
        ("frame", "<i8"),
        ("box", "<f4", (4,)),
        ("points", "<f4", (5, 2)),
        ("pose", "<f4", (3,)),
        ("confidence", "<f4"),
        ("presence", "<f4"),
        ("seen", "<f4", (3,)),
        ("held", "?"),
    ]
)

_VERSION = 4
_FLUSH_RECORDS = 256
_SAVED = {"made_with": dict, "frames": int, "tracks": {str: int},
          "crc32": {str: int}, "state": (object, None)}  # fmt: skip
_READ_ROWS = 512
_READ_BYTES = 1 << 20
_PATTERNS = ("times.f8", "track-*.bin", "rows-*.npy", "checkpoint.json")


class Spool:
    """An append-only store of one pass; made by :meth:`create` or :meth:`resume`.

    Attributes:
        folder: where the files are.
        arrays: what each face carries besides :data:`BASE`, by name.
        key: fingerprint of the video and the settings that the records depend on.
        dtype: the structured dtype of a record: :data:`BASE`, then a field per array.
        saved: decoded frames that :meth:`resume` would find.
    """

    def __init__(self, folder: Path, arrays: Mapping[str, ArraySpec], key: str) -> None:
        self.folder = folder
        self.arrays = dict(arrays)
        self.key = key
        self.dtype = np.dtype(
            [(name, BASE[name]) for name in BASE.names or ()]
            + [
                (name, np.dtype(spec.dtype).newbyteorder("<"), spec.shape)
                for name, spec in arrays.items()
            ]
        )
        self.saved = 0
        self._frames = 0
        self._counts: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._rows: dict[str, NpyFile] = {}
        # By path, the CRC-32 of all that was written to it.
        self._sums: dict[Path, int] = {}
        self._unsynced: set[Path] = set()
        self._pending_times = bytearray()
        self._pending: dict[int, bytearray] = {}
        self._pending_records = 0

    @classmethod
    def create(cls, folder: Path, arrays: Mapping[str, ArraySpec], key: str) -> Spool:
        """An empty spool in ``folder``; one that is there already is deleted.

        Raises:
            OutputError: the folder cannot be written.
        """
        spool = cls(folder, arrays, key)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            spool._delete_files()
            spool._times_path.touch()
        except OSError as error:
            raise output_error(folder, error) from error
        return spool

    @classmethod
    def resume(
        cls, folder: Path, arrays: Mapping[str, ArraySpec], key: str
    ) -> tuple[Spool, Any] | None:
        """The spool in ``folder`` as it was at its last checkpoint, and the state saved then.

        Bounds: as `outside.read_json`; files that are as long as in the checkpoint.

        Returns:
            None where there is no checkpoint, or it was made with another key or other arrays,
            or files are shorter than in the checkpoint or hold something else.

        Raises:
            OutputError: the files cannot be cut back to the checkpoint.
        """
        spool = cls(folder, arrays, key)
        saved = read_kept(folder / "checkpoint.json", _SAVED)
        if saved is None or saved["made_with"] != spool._made_with():
            return None
        state = saved["state"]
        try:
            with reading(folder, FeatureError):
                frames = saved["frames"]
                counts = {int(track): count for track, count in saved["tracks"].items()}
                sizes = {spool._times_path: frames * 8}
                sizes |= {
                    spool._track_path(t): n * spool.dtype.itemsize for t, n in counts.items()
                }
                sums: dict[Path, int] = {path: saved["crc32"][path.name] for path in sizes}
                if any(_crc32(path, size) != sums[path] for path, size in sizes.items()):
                    return None
        except (FeatureError, InputNotFoundError):
            return None
        try:
            for path, size in sizes.items():
                with path.open("r+b") as file:
                    file.truncate(size)
            for path in set(folder.glob("track-*.bin")) - sizes.keys():
                path.unlink()
        except OSError as error:
            raise output_error(folder, error) from error
        spool.saved = spool._frames = frames
        spool._counts, spool._sums = counts, sums
        for track, count in counts.items():
            if count:
                spool._last[track] = int(spool.track(track, count - 1)["frame"][0])
        return spool, state

    @property
    def frames(self) -> int:
        """Decoded frames appended so far."""
        return self._frames

    @property
    def tracks(self) -> dict[int, int]:
        """Number of records of each track."""
        return dict(self._counts)

    def append_frame(self, time: float) -> None:
        """Add the next decoded frame, at ``time`` seconds."""
        self._pending_times += np.float64(time).astype("<f8").tobytes()
        self._frames += 1
        # Also without a face the buffer must not grow.
        if len(self._pending_times) >= 8 * _FLUSH_RECORDS:
            self.flush()

    def append_face(
        self,
        track_id: int,
        frame: int,
        box: NDArray[np.float32],
        points: NDArray[np.float32],
        pose: NDArray[np.float32],
        confidence: float,
        arrays: Mapping[str, Array],
        presence: float | None = None,
        seen: NDArray[np.float32] | None = None,
    ) -> None:
        """Add a face, in frame order within its track.

        Args:
            track_id: track number, 0 or more.
            frame: 0-based index of a frame that has been appended.
            box: float [4], left, top, right, bottom in pixels.
            points: float [5, 2] in pixels.
            pose: float [3], yaw, pitch, roll in degrees.
            confidence: the face's quality, 0..1.
            arrays: a row for every array of the spool, cast to its dtype.
            presence: the landmark net's, 0..1; None for the same as ``confidence``.
            seen: float [3], 0..1, see ``faces.quality``; None for all that there is.

        Raises:
            UsageError: a shape, name, frame or confidence that does not fit.
            OutputError: the disk does not take it.
        """
        record = self.record(frame, box, points, pose, confidence, arrays, presence, seen)
        self.append_record(track_id, record)

    def record(
        self,
        frame: int,
        box: NDArray[np.float32],
        points: NDArray[np.float32],
        pose: NDArray[np.float32],
        confidence: float,
        arrays: Mapping[str, Array],
        presence: float | None = None,
        seen: NDArray[np.float32] | None = None,
    ) -> Array:
        """What :meth:`append_face` adds, structured [] of :attr:`dtype`.

        Raises:
            UsageError: a shape, name or confidence that does not fit.
        """
        if arrays.keys() != self.arrays.keys():
            raise UsageError(f"arrays {sorted(arrays)}, expected {sorted(self.arrays)}")
        if not np.isfinite(confidence):
            raise UsageError(f"confidence is {confidence}")
        values: dict[str, Any] = {"frame": frame, "box": box, "points": points, "pose": pose}
        values |= {"confidence": confidence, **arrays}
        values["presence"] = confidence if presence is None else presence
        values["seen"] = np.ones(3, np.float32) if seen is None else seen
        record = np.zeros((), self.dtype)
        for name, value in values.items():
            if np.shape(value) != record[name].shape:
                shape = record[name].shape
                raise UsageError(f"'{name}' has shape {np.shape(value)}, expected {shape}")
            record[name] = value
        return record

    def append_record(self, track_id: int, record: Array) -> None:
        """Add a :meth:`record`, in frame order within its track.

        Raises:
            UsageError: a track or frame that does not fit.
            OutputError: the disk does not take it.
        """
        frame = int(record["frame"])
        if track_id < 0 or not self._last.get(track_id, -1) < frame < self._frames:
            raise UsageError(
                f"frame {frame} of track {track_id} does not follow frame "
                f"{self._last.get(track_id)} within the {self._frames} frames there are"
            )
        self._pending.setdefault(track_id, bytearray()).extend(record.tobytes())
        self._counts[track_id] = self._counts.get(track_id, 0) + 1
        self._last[track_id] = frame
        self._pending_records += 1
        if self._pending_records >= _FLUSH_RECORDS:
            self.flush()

    def flush(self) -> None:
        """Write out what is buffered.

        Raises:
            OutputError: the disk does not take it; go on from the last checkpoint.
        """
        waiting = {self._track_path(track): data for track, data in self._pending.items()}
        waiting[self._times_path] = self._pending_times
        try:
            for path, data in waiting.items():
                if data:
                    with path.open("ab") as file:
                        file.write(data)
                    self._sums[path] = zlib.crc32(data, self._sums.get(path, 0))
                    self._unsynced.add(path)
        except OSError as error:
            raise output_error(path, error) from error
        self._pending_times = bytearray()
        self._pending.clear()
        self._pending_records = 0

    def checkpoint(self, state: Any) -> None:
        """Make everything up to here what :meth:`resume` comes back to.

        Args:
            state: any JSON-able value that the caller needs to go on.

        Raises:
            OutputError: the disk does not take it; the checkpoint before stays.
        """
        self.flush()
        try:
            for path in self._unsynced:
                with path.open("r+b") as file:
                    os.fsync(file.fileno())
        except OSError as error:
            raise output_error(path, error) from error
        self._unsynced.clear()
        write_json(
            self.folder / "checkpoint.json",
            {
                "made_with": self._made_with(),
                "frames": self._frames,
                "tracks": self._counts,
                "crc32": {path.name: value for path, value in self._checksums().items()},
                "state": state,
            },
        )
        self.saved = self._frames

    def require_whole(self) -> None:
        """Read everything once: it is what this pass wrote, and nothing else.

        Raises:
            FeatureError: it is not; the checkpoint is gone, so that the next pass begins anew.
        """
        self.flush()
        sizes = {self._times_path: self._frames * 8}
        sizes |= {self._track_path(t): n * self.dtype.itemsize for t, n in self._counts.items()}
        for path, value in self._checksums().items():
            try:
                whole = _crc32(path, sizes[path]) == value and path.stat().st_size == sizes[path]
            except (OSError, ValueError):
                whole = False
            if not whole:
                (self.folder / "checkpoint.json").unlink(missing_ok=True)
                raise FeatureError(
                    f"'{path}' holds something else than this run wrote",
                    "run again when no other program writes there",
                )

    def times(self) -> NDArray[np.float64]:
        """float64 [frames], each decoded frame's time in seconds."""
        self.flush()
        return self._read(self._times_path, np.dtype("<f8"), 0, self._frames)

    def track(self, track_id: int, start: int = 0, stop: int | None = None) -> Array:
        """Records ``start`` to ``stop`` of a track, structured [n] of :attr:`dtype`.

        A copy, read from the file: for a long track ask for some hundred at a time, or take
        :meth:`base`.
        """
        start, stop, _ = slice(start, stop).indices(self._counts[track_id])
        if self._pending.get(track_id):
            self.flush()
        return self._read(self._track_path(track_id), self.dtype, start, max(start, stop))

    def base(self, track_id: int) -> Array:
        """All of a track's records without the arrays, structured [n] of :data:`BASE`."""
        out = np.empty(self._counts[track_id], BASE)
        for at in range(0, len(out), _READ_ROWS):
            records = self.track(track_id, at, at + _READ_ROWS)
            for name in BASE.names or ():
                out[name][at : at + _READ_ROWS] = records[name]
        return out

    def write_rows(
        self, specs: Mapping[str, ArraySpec], chunks: Iterable[Mapping[str, Array]]
    ) -> None:
        """Write the arrays that have a row per decoded frame, in place of any written before.

        Args:
            specs: the arrays.
            chunks: for consecutive frames, [n, *shape] of each array by name.

        Raises:
            UsageError: not as many rows as frames.
            OutputError: the disk does not take it.
        """
        if clash := specs.keys() & set(self.dtype.names or ()):
            raise UsageError(f"names taken by the faces' own fields: {sorted(clash)}")
        files = {name: self.folder / f"rows-{name}.npy" for name in specs}
        write_arrays(files, self._frames, specs, chunks)
        self._rows = {name: NpyFile(path) for name, path in files.items()}

    @property
    def rows(self) -> dict[str, NpyFile]:
        """By name, what :meth:`write_rows` wrote; nothing before."""
        return dict(self._rows)

    def _checksums(self) -> dict[Path, int]:
        """The checksum of each file that there is; that of no bytes is 0."""
        paths = [self._times_path, *map(self._track_path, self._counts)]
        return {path: self._sums.get(path, 0) for path in paths}

    @property
    def _times_path(self) -> Path:
        return self.folder / "times.f8"

    def _track_path(self, track_id: int) -> Path:
        return self.folder / f"track-{track_id:06d}.bin"

    def _made_with(self) -> dict[str, Any]:
        arrays = {name: [list(spec.shape), spec.dtype] for name, spec in self.arrays.items()}
        return {"version": _VERSION, "key": self.key, "arrays": arrays}

    def _delete_files(self) -> None:
        for pattern in _PATTERNS:
            for path in self.folder.glob(pattern):
                path.unlink()

    def _read(self, path: Path, dtype: np.dtype[Any], start: int, stop: int) -> Array:
        try:
            records = np.fromfile(path, dtype, stop - start, offset=start * dtype.itemsize)
        except OSError as error:
            raise FeatureError(f"cannot read '{path}' ({error.strerror})", "run again") from error
        if len(records) != stop - start:
            raise FeatureError(f"'{path}' is shorter than it was written", "run again")
        return records


def _crc32(path: Path, size: int) -> int:
    """The CRC-32 of the first ``size`` bytes of a file.

    Raises:
        UsageError: there are fewer.
    """
    value = 0
    with path.open("rb") as file:
        while size > 0:
            chunk = file.read(min(size, _READ_BYTES))
            if not chunk:
                raise UsageError(f"'{path}' is shorter than it was written")
            size -= len(chunk)
            value = zlib.crc32(chunk, value)
    if size < 0:
        raise UsageError("a size below 0")
    return value
