"""A second pass over the pictures with the face points of the first: no detection, no tracking."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.config import AnalysisConfig
from avaffect.errors import FeatureError, output_error
from avaffect.faces.align import align
from avaffect.faces.encoders import Encoder
from avaffect.files.npy import Array, ArraySpec
from avaffect.media.frames import Frame, FrameReader
from avaffect.media.source import Source
from avaffect.preprocessing.between import mixed
from avaffect.preprocessing.recorder import crop_file, frames_at_once, write_crop
from avaffect.progress import EventCallback, Progress, ignore_events
from avaffect.store.prepared import Prepared
from avaffect.store.subject import POINT_NAMES, StoredSubject
from avaffect.store.writing import replace_arrays

Points = NDArray[np.float32]


def face_points(subject: StoredSubject) -> Points:
    """float32 [N, 5, 2], each frame's five points in the file's own pixels; NaN without a face."""
    table = subject.table()
    columns = [f"{point}_{axis}" for point in POINT_NAMES for axis in "xy"]
    return table[columns].to_numpy(np.float32, na_value=np.nan).reshape(-1, 5, 2)


@dataclass(frozen=True, eq=False)
class _Faces:
    """A subject's faces: float32 [N, 5, 2], NaN without one; int [N], -1 without; bool [N]."""

    points: Points
    tracks: NDArray[np.int32]
    held: NDArray[np.bool_]

    @classmethod
    def of(cls, subject: StoredSubject) -> _Faces:
        return cls(face_points(subject), subject.track, subject.held)

    @cached_property
    def looked_at(self) -> NDArray[np.bool_]:
        """bool [N], the frames in which the face was found, and not held."""
        return np.isfinite(self.points).all((1, 2)) & ~self.held

    def follow(self, first: int, last: int) -> bool:
        """Whether these frames and all between are of one track."""
        return bool((self.tracks[first : last + 1] == self.tracks[first]).all())


@dataclass(frozen=True, eq=False)
class _Start:
    """The last frame in which the face was looked at, and its row of each array."""

    time: float
    rows: dict[str, Array]


def _frames(
    video: Source, config: AnalysisConfig, expected: int, stage: str, on_event: EventCallback
) -> Iterator[Frame]:
    with FrameReader(video.path, config.media, info=video.media) as reader:
        count = 0
        for count, frame in enumerate(reader, start=1):
            if count > expected:
                break
            yield frame
            if count % 10 == 0:
                on_event(Progress(stage, count, expected))
    if count != expected:
        raise FeatureError(
            f"'{video.path.name}' now has {count} frames where {expected} were stored",
            "delete the output folder and run `avaffect preprocess` again",
        )
    on_event(Progress(stage, expected, expected, finished=True))


def encode_again(
    video: Source,
    config: AnalysisConfig,
    folder: Prepared,
    stored: list[StoredSubject],
    encoders: list[Encoder],
    wanted: Mapping[str, str],
    about: Mapping[str, Any],
    on_event: EventCallback = ignore_events,
) -> None:
    """Add or replace the arrays of ``encoders`` in every stored subject."""
    specs = {
        encoder.spec.name: ArraySpec((encoder.spec.size,), encoder.spec.dtype)
        for encoder in encoders
    }
    array_keys = {name: wanted[name] for name in specs}
    for subject in stored:
        faces = _Faces.of(subject)
        frames = _frames(video, config, subject.frames, "encode", on_event)
        replace_arrays(
            subject.folder, specs, _encoded(frames, faces, encoders, specs), about, array_keys
        )
    stored[:] = folder.subjects()


def _encoded(
    frames: Iterator[Frame], faces: _Faces, encoders: list[Encoder], specs: dict[str, ArraySpec]
) -> Iterator[dict[str, Array]]:
    batch: list[Frame] = []
    start: _Start | None = None
    for frame in frames:
        batch.append(frame)
        many = len(batch) >= frames_at_once(*frame.image.shape[:2])
        # What is held waits for the next frame in which the face was looked at.
        if many and not faces.held[frame.index]:
            rows, start = _encode_batch(batch, faces, encoders, specs, start)
            yield rows
            batch = []
    if batch:
        yield _encode_batch(batch, faces, encoders, specs, start)[0]


def _encode_batch(
    batch: list[Frame],
    faces: _Faces,
    encoders: list[Encoder],
    specs: dict[str, ArraySpec],
    start: _Start | None,
) -> tuple[dict[str, Array], _Start | None]:
    """A row for each frame, and from where those behind go on; held ones lie between."""
    rows = {name: spec.missing(len(batch)) for name, spec in specs.items()}
    seen = [at for at, frame in enumerate(batch) if faces.looked_at[frame.index]]
    for encoder in encoders if seen else ():
        crops = []
        for frame in (batch[at] for at in seen):
            points = frame.scale.to_picture(faces.points[frame.index])
            crops.append(align(frame.image, points, encoder.spec.crop))
        rows[encoder.spec.name][seen] = encoder(np.stack(crops))
    for at, frame in enumerate(batch):
        if at in seen:
            start = _Start(frame.time, {name: values[at].copy() for name, values in rows.items()})
        elif faces.held[frame.index] and start is not None:
            after = next((other for other in seen if other > at), None)
            same = after is not None and faces.follow(frame.index, batch[after].index)
            for name, values in rows.items():
                values[at] = start.rows[name]
                if after is not None and same:
                    whole = batch[after].time - start.time
                    part = (frame.time - start.time) / whole
                    values[at] = mixed(start.rows[name], values[after], part)
    return rows, start


def crop_again(
    video: Source,
    config: AnalysisConfig,
    folder: Prepared,
    stored: list[StoredSubject],
    on_event: EventCallback = ignore_events,
) -> None:
    """Write the crops of every stored subject anew."""
    points = {subject.name: face_points(subject) for subject in stored}
    fresh = folder.work / "crops-again"
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        for frame in _frames(video, config, stored[0].frames, "crop", on_event):
            for name, five in points.items():
                if np.isfinite(five[frame.index]).all():
                    path = crop_file(fresh / name, frame.index)
                    here = frame.scale.to_picture(five[frame.index])
                    write_crop(frame.image, here, config.faces.crop_size, path)
        for name in points:
            (fresh / name).mkdir(parents=True, exist_ok=True)
            put_crops(fresh / name, folder.crops(name))
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        with suppress(OSError):  # something else is in it
            folder.work.rmdir()


def put_crops(fresh: Path, target: Path) -> None:
    """Let the folder ``fresh`` take the place of ``target``."""
    try:
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.rename(target)
    except OSError as error:
        raise output_error(target, error) from error
