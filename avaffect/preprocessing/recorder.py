"""The second half of the streaming pass: from tracked faces to records on disk, in a thread.

The pass has three stages that overlap: decoding (a thread of the frame reader), following faces
(the caller's thread; each frame needs the one before) and this one: align, encode, write.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.errors import OutputError
from avaffect.faces.align import AFFWILD2, align
from avaffect.faces.encoders import Encoder
from avaffect.faces.shape import ShapeReader
from avaffect.faces.track import TrackedFace
from avaffect.files.atomic import write_bytes
from avaffect.files.npy import Array
from avaffect.media.frames import Frame
from avaffect.media.room import Room
from avaffect.preprocessing.between import Lines
from avaffect.preprocessing.doubt import Doubt
from avaffect.preprocessing.face_reader import FaceReader, ReadFace
from avaffect.store.spool import Spool

BATCH = 16
MAX_WAITING_BYTES = 32 << 20
JPEG_QUALITY = 95


def frames_at_once(width: int, height: int) -> int:
    """How many frames of this size to keep together: fewer where they are large."""
    return max(1, min(BATCH, MAX_WAITING_BYTES // (3 * width * height)))


@dataclass(frozen=True, slots=True)
class _Item:
    frame: Frame
    faces: list[TrackedFace]
    held: frozenset[int]
    state: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Save:
    state: dict[str, Any]
    done: threading.Event


def crop_file(folder: Path, frame: int) -> Path:
    """Where the crop of a frame (0-based) lies: numbered from 1, as in Aff-Wild2."""
    return folder / f"{frame + 1:05d}.jpg"


def write_crop(
    image: NDArray[np.uint8], points: NDArray[np.float32], size: int, path: Path
) -> None:
    """Write the crop at ``points`` of ``image`` (RGB) as a JPEG of ``size`` pixels."""
    crop = align(image, points, replace(AFFWILD2, size=size))
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    if not done:
        raise OutputError(f"the JPEG encoding of '{path}' failed")
    write_bytes(path, data.tobytes(), bulk=True)


class Recorder:
    """Aligns, encodes and records faces in a thread of its own, in frame order.

    Use as a context manager; :meth:`put` blocks while the thread is behind and raises what went
    wrong in it. Leaving the block without an exception waits until all is written.

    Args:
        spool: where records go.
        encoders: nets to run on each face; with ``face_pose``, their names are the spool's arrays.
        shapes: reads pose and blendshapes.
        crops: a folder for crops, a subfolder a track; None writes none.
        crop_size: their side in pixels.
        batch: frames that wait for this thread, and as many faces are encoded together.
        doubt: says which held faces to look at after all; None looks at none.
    """

    def __init__(
        self,
        spool: Spool,
        encoders: list[Encoder],
        shapes: ShapeReader,
        crops: Path | None = None,
        crop_size: int = 112,
        batch: int = BATCH,
        doubt: Doubt | None = None,
    ) -> None:
        self._spool = spool
        self._read = FaceReader(encoders, shapes)
        self._crops = crops
        self._crop_size = crop_size
        self._batch = batch
        self._queue: queue.SimpleQueue[_Item | _Save | None] = queue.SimpleQueue()
        self._room = Room(batch, MAX_WAITING_BYTES // 2)
        self._error: BaseException | None = None
        self._drop = False
        self._pending: list[_Item] = []
        self._lines = Lines(spool)
        self._doubt = doubt
        self._thread = threading.Thread(target=self._run, name="avaffect-recorder", daemon=True)

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._drop = kind is not None
        self._queue.put(None)
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def put(
        self,
        frame: Frame,
        faces: list[TrackedFace],
        state: dict[str, Any] | None,
        held: frozenset[int] = frozenset(),
    ) -> None:
        """Record ``frame``; with ``state``, make a checkpoint after it.

        Args:
            frame: the frame.
            faces: those in it.
            state: for the checkpoint; only where no face is held.
            held: tracks whose face was not looked at: it is put between the frames around, and
                these frames wait for each other.
        """
        if self._error is not None:
            raise self._error
        self._room.enter(frame.image.nbytes)
        self._queue.put(_Item(frame, faces, held, state))

    def save(self, state: dict[str, Any]) -> None:
        """Record what was put so far, make a checkpoint, and wait for it.

        What goes wrong is not raised: the checkpoint before stays.
        """
        done = threading.Event()
        self._queue.put(_Save(state, done))
        done.wait()

    def _run(self) -> None:
        # Goes on emptying the queue after an error or a break: put() must not block for ever.
        while (item := self._queue.get()) is not None:
            if isinstance(item, _Item):
                self._room.leave(item.frame.image.nbytes)
            if self._error is None and not self._drop:
                self._guarded(item)
            if isinstance(item, _Save):
                item.done.set()
        if self._error is None and not self._drop:
            self._guarded(None)

    def _guarded(self, item: _Item | _Save | None) -> None:
        try:
            if isinstance(item, _Item):
                self._pending.append(item)
            waiting = sum(len(item.faces) for item in self._pending)
            if (
                item is None
                or item.state is not None
                or waiting >= self._batch
                or len(self._pending) >= self._batch
                or sum(item.frame.image.nbytes for item in self._pending) > MAX_WAITING_BYTES // 2
            ):
                self._write(at_end=item is None)
            if item is not None and item.state is not None:
                self._spool.checkpoint(item.state)
        except BaseException as error:
            self._error = error

    def _write(self, at_end: bool = False) -> None:
        pending = self._taken(at_end)
        found = self._found(pending)
        for number, item in enumerate(pending):
            self._spool.append_frame(item.frame.time)
            for tracked in item.faces:
                track, points = tracked.track, tracked.face.points
                if track in item.held:
                    after = _next(pending, found, number, track)
                    record = self._lines.between(track, item.frame, after)
                    if (seen := self._after_all(item.frame, tracked, record)) is not None:
                        self._lines.begin(track, item.frame.time, record := seen)
                    points = item.frame.scale.to_picture(record["points"])
                else:
                    record = found[number][track]
                    self._lines.begin(track, item.frame.time, record)
                self._spool.append_record(track, record)
                if self._crops is not None:
                    target = crop_file(self._crops / str(track), item.frame.index)
                    write_crop(item.frame.image, points, self._crop_size, target)
        if pending:
            self._lines.keep({tracked.track for tracked in pending[-1].faces})

    def _taken(self, at_end: bool) -> list[_Item]:
        """What is pending up to the last frame in which nobody is held; at the end all."""
        count = len(self._pending)
        while count and not at_end and self._pending[count - 1].held:
            count -= 1
        taken, self._pending = self._pending[:count], self._pending[count:]
        return taken

    def _found(self, items: list[_Item]) -> list[dict[int, Array]]:
        """For each item the records of the faces that were looked at, by track."""
        seen = [
            (number, item.frame, tracked)
            for number, item in enumerate(items)
            for tracked in item.faces
            if tracked.track not in item.held
        ]
        found: list[dict[int, Array]] = [{} for _ in items]
        read = self._read([(frame, tracked.face) for _, frame, tracked in seen])
        for (number, frame, tracked), face in zip(seen, read, strict=True):
            found[number][tracked.track] = self._record(frame, face)
        return found

    def _after_all(self, frame: Frame, held: TrackedFace, record: Array) -> Array | None:
        """The record of a held face that is looked at in spite of that; None if it is not."""
        if self._doubt is None or not self._doubt(record):
            return None
        face = self._doubt.look(frame, held.face)
        return None if face is None else self._record(frame, self._read([(frame, face)])[0])

    def _record(self, frame: Frame, face: ReadFace) -> Array:
        return self._spool.record(
            frame.index,
            box=face.box,
            points=face.points,
            pose=face.pose,
            confidence=face.confidence,
            presence=face.presence,
            seen=face.seen,
            arrays=face.arrays,
        )


def _next(
    items: list[_Item], found: list[dict[int, Array]], number: int, track: int
) -> tuple[float, Array] | None:
    """Time and record of the face of ``track`` when it was looked at again, after it was held in
    ``items[number]``; None if it was not followed up to there."""
    following = number + 1
    while following < len(items) and track in items[following].held:
        following += 1
    if following == len(items) or track not in found[following]:
        return None
    return items[following].frame.time, found[following][track]
