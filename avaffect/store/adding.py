"""Adding an array to what ``preprocess`` left of a video: names, and what is there already."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from avaffect.errors import UsageError
from avaffect.faces.encoders import ENCODERS
from avaffect.files.npy import Array, ArraySpec
from avaffect.progress import EventCallback, Progress
from avaffect.recipes.pictures import FACE_PICTURES
from avaffect.sound.mfcc import SOUND
from avaffect.store.pictures import HAS_FACE
from avaffect.store.prepared import Prepared
from avaffect.store.provenance import backbones_in
from avaffect.store.subject import StoredSubject
from avaffect.store.writing import replace_arrays

# Arrays that are made, or read, under their own names.
RESERVED = ("face_pose", *SOUND, FACE_PICTURES, HAS_FACE, *ENCODERS)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}", re.ASCII)
# Of a store's provenance, what `store.provenance.provenance` makes.
_KEPT = ("video", "configuration", "models", "versions")


@dataclass(frozen=True)
class NewArray:
    """An array of a subject that can be made.

    Attributes:
        key: of the array, see ``store.provenance.backbone_key``.
        spec: what a row looks like.
        chunks: makes consecutive rows [n, *shape], as many as frames in all.
        about: where it comes from, JSON-able, for the record.
    """

    key: str
    spec: ArraySpec
    chunks: Callable[[], Iterable[Array]]
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Added:
    """The outcome of a preprocessed folder.

    Attributes:
        folder: which.
        name: the array.
        subjects: everyone in it.
        done: those whose array was made now; empty if all were there.
        frames: of the video.
        faces: frames with a face, of the subject seen most often.
    """

    folder: Prepared
    name: str
    subjects: tuple[str, ...]
    done: tuple[str, ...]
    frames: int
    faces: int


def require_name(name: str) -> str:
    """``name``, if an array that is added can be called so.

    Raises:
        UsageError: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"an array cannot be called '{name}'",
            "name=... takes a letter, then letters, digits, '.', '_' and '-', 100 in all",
        )
    if name in RESERVED:
        raise UsageError(
            f"'{name}' is what `avaffect preprocess` calls an array of its own",
            "choose another one with name=...",
        )
    return name


def require_replaceable(stored: Sequence[StoredSubject], name: str) -> None:
    """Raise UsageError if an array of this name is none that was added."""
    for subject in stored:
        if name in subject.specs and name not in backbones_in(subject.keys):
            raise UsageError(
                f"'{subject.folder}' has an array '{name}' that no backbone made",
                "choose another one with name=...",
            )


def add_array(
    whole: Prepared,
    stored: Sequence[StoredSubject],
    name: str,
    arrays: Sequence[NewArray],
    unit: str,
    on_event: EventCallback,
) -> Added:
    """Write an array for each subject who does not have it yet; while alone in the folder.

    Args:
        whole: the folder.
        stored: its subjects.
        name: of the array, from `require_name`.
        arrays: a subject's each.
        unit: what progress is called.
        on_event: progress in frames.

    Raises:
        OutputError: results cannot be written; subjects that were finished are kept.
    """
    todo = [
        (subject, array)
        for subject, array in zip(stored, arrays, strict=True)
        if not subject.has(name, array.key)
    ]
    total, before = len(todo) * stored[0].frames, 0

    def chunks(array: NewArray, before: int) -> Iterator[dict[str, Array]]:
        done = before
        for rows in array.chunks():
            yield {name: rows}
            done += len(rows)
            on_event(Progress(unit, done, total))

    for subject, array in todo:
        replace_arrays(
            subject.folder,
            {name: array.spec},
            chunks(array, before),
            {part: subject.provenance[part] for part in _KEPT if part in subject.provenance},
            {name: array.key},
            {name: array.about},
        )
        before += subject.frames
    if todo:
        on_event(Progress(unit, total, total, finished=True))
    return Added(
        whole,
        name,
        tuple(subject.name for subject in stored),
        tuple(subject.name for subject, _ in todo),
        stored[0].frames,
        max(int(subject.present.sum()) for subject in stored),
    )
