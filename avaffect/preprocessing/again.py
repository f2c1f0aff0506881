"""A second pass over the pictures with the face points of the first: no detection, no tracking."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
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
        points = face_points(subject)
        frames = _frames(video, config, subject.frames, "encode", on_event)
        replace_arrays(
            subject.folder, specs, _encoded(frames, points, encoders, specs), about, array_keys
        )
    stored[:] = folder.subjects()


def _encoded(
    frames: Iterator[Frame], points: Points, encoders: list[Encoder], specs: dict[str, ArraySpec]
) -> Iterator[dict[str, Array]]:
    batch: list[Frame] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) >= frames_at_once(*frame.image.shape[:2]):
            yield _encode_batch(batch, points, encoders, specs)
            batch = []
    if batch:
        yield _encode_batch(batch, points, encoders, specs)


def _encode_batch(
    batch: list[Frame], points: Points, encoders: list[Encoder], specs: dict[str, ArraySpec]
) -> dict[str, Array]:
    rows = {name: spec.missing(len(batch)) for name, spec in specs.items()}
    seen = [at for at, frame in enumerate(batch) if np.isfinite(points[frame.index]).all()]
    for encoder in encoders if seen else ():
        crops = [
            align(frame.image, frame.scale.to_picture(points[frame.index]), encoder.spec.crop)
            for frame in (batch[at] for at in seen)
        ]
        rows[encoder.spec.name][seen] = encoder(np.stack(crops))
    return rows


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
