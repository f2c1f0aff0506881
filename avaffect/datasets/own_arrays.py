"""``features`` of files that users bring: arrays of the feature store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from avaffect.challenge.layout import source_video
from avaffect.config import fingerprint
from avaffect.datasets.own_files import by_name, files_with
from avaffect.datasets.row_files import RowFile
from avaffect.datasets.tables import SUFFIXES
from avaffect.errors import FeatureError, InputNotFoundError, UsageError, boundary
from avaffect.files.hashing import file_sha256
from avaffect.files.npy import ArraySpec
from avaffect.progress import EventCallback, Notice, ignore_events
from avaffect.store.adding import Added, NewArray, add_array, require_name, require_replaceable
from avaffect.store.prepared import Prepared
from avaffect.store.provenance import backbone_key, own_model
from avaffect.store.subject import FACES, StoredSubject


@dataclass(frozen=True)
class OwnFeatures:
    """A folder of files of features, and how they are read.

    Attributes:
        folder: of files, also in subfolders.
        files: by name without suffix.
        columns: names and wildcards of those that are features, see `row_files.RowFile.choose`.
        time: the column of seconds to match rows to frames by, see `row_files.RowFile.match`.
        rate: rows a second, in place of it.
    """

    folder: Path
    files: Mapping[str, Path]
    columns: tuple[str, ...] = ()
    time: str | None = None
    rate: float | None = None

    @classmethod
    def find(
        cls,
        folder: Path | str,
        columns: Sequence[str] = (),
        time: str | None = None,
        rate: float | None = None,
    ) -> OwnFeatures:
        """The files in ``folder`` and the folders in it.

        Raises:
            InputNotFoundError: there is no such folder, or no file of features in it.
            UsageError: two files of one name, or settings that exclude each other.
        """
        folder = Path(folder)
        if time is not None and rate is not None:
            raise UsageError("rows have either times or a rate", "leave out time=... or rate=...")
        if not folder.is_dir():
            raise InputNotFoundError(
                f"there is no folder '{folder}'", "name the folder of features"
            )
        files = by_name(files_with(folder, SUFFIXES))
        if not files:
            raise InputNotFoundError(
                f"'{folder}' holds no features", f"their files end in {', '.join(SUFFIXES)}"
            )
        return cls(folder, files, tuple(columns), time, rate)


def name_for(subject: str, named: Collection[str], together: Iterable[str]) -> str | None:
    """Which of ``named`` is the subject's: its own, else its video's; None if none is.

    A name with a side is also that of a subject who is alone in a video.

    Args:
        subject: the subject's name.
        named: names of files.
        together: all subjects of the video.
    """
    video = source_video(subject)
    for name in (subject, video):
        if name in named:
            return name
    sides = [f"{video}{side}" for side in ("_left", "_right", "_main")]
    alone = [source_video(other) for other in together] == [video]
    found = [name for name in sides if name in named] if alone else []
    return found[0] if len(found) == 1 else None


@boundary()
def store_own(
    folder: Path | str, own: OwnFeatures, name: str, *, on_event: EventCallback = ignore_events
) -> Added:
    """Put own features into the feature store as an array.

    The array is float32 [N, F] (float16 if the file is), NaN in frames without a row. A file is
    its subject's by its name, or its video's. Row 1 is frame 1, unless rows say their frame (a
    column ``frame``) or are matched by time; see ``datasets.matching``. A subject whose array was
    made of the same file in the same way is left as it is. Memory does not grow with the length.

    Args:
        folder: what ``preprocess`` wrote for a video.
        own: the files.
        name: of the array, see `store.adding.require_name`.
        on_event: progress, and notices of what differed.

    Raises:
        UsageError: the array cannot be called so, or one of that name is something else.
        FeatureError: the folder is not preprocessed, or a subject has no file.
        FormatError: a file that is not what it should be, or of another video.
        BusyError: another process writes there.
        OutputError: results cannot be written; subjects that were finished are kept.
    """
    name = require_name(name)
    whole = Prepared(Path(folder))
    whole.subjects()  # refuses what is no preprocessed folder before anything is written
    with whole.alone():
        stored = whole.subjects()
        require_replaceable(stored, name)
        files = _files_of(stored, own, on_event)
        arrays = [
            _array(subject, file, own, on_event)
            for subject, file in zip(stored, files, strict=True)
        ]
        return add_array(whole, stored, name, arrays, "features", on_event)


def _files_of(
    stored: Sequence[StoredSubject], own: OwnFeatures, on_event: EventCallback
) -> list[Path]:
    names = [subject.name for subject in stored]
    found = {subject: name_for(subject, own.files, names) for subject in names}
    if missing := [subject for subject, name in found.items() if name is None]:
        raise FeatureError(
            f"'{own.folder}' has no features of '{missing[0]}'",
            f"name its file as the subject or its video, such as {missing[0]}.npy",
        )
    chosen = [str(name) for name in found.values()]
    if len(set(chosen)) < len(chosen):
        on_event(
            Notice(
                f"'{own.files[chosen[0]]}' is given to {' and '.join(names)}: right for features "
                "of the sound; of faces give each a file, as NAME_left and NAME_right",
                warning=True,
            )
        )
    return [own.files[name] for name in chosen]


def _array(
    subject: StoredSubject, path: Path, own: OwnFeatures, on_event: EventCallback
) -> NewArray:
    file = RowFile.open(path)
    columns = file.choose(own.columns)
    matched = file.match(subject.frames, subject.times, own.time, own.rate)
    if matched.note:
        on_event(Notice(matched.note))
    sha256 = file_sha256(path)
    rate = f" at {own.rate:g} rows a second" if own.rate else ""
    facts = [sha256, columns, matched.rule, own.time, own.rate, subject.keys[FACES]]
    return NewArray(
        backbone_key(own_model(columns), fingerprint(facts)),
        ArraySpec((len(columns),), file.dtype),
        partial(file.aligned, columns, matched.rows),
        {
            "kind": "own",
            "file": path.name.encode(errors="surrogateescape").decode(errors="replace"),
            "sha256": sha256,
            "columns": list(columns),
            "matched_by": matched.rule + rate,
            "note": matched.note,
        },
    )
