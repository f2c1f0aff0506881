"""The folder that ``preprocess`` writes for one video, and what is known to be finished in it.

Nobody else needs to know what lies where in it:

<root>/cropped_aligned/<subject>/00001.jpg   aligned faces, numbered by frame from 1
<root>/audio.wav                             16 kHz mono, on the picture's clock
<root>/features/<subject>/                   the feature store
<root>/preprocess.json                       which video, which settings, who was found, and which
                                             of the above are ours
<root>/.work/                                an unfinished pass, to go on with
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avaffect.challenge.text import subject_file_name
from avaffect.config import fingerprint
from avaffect.errors import FeatureError, UsageError
from avaffect.files.lock import alone_in
from avaffect.files.names import CROPS, FEATURES, RECORD, SEGMENTS, WAV
from avaffect.files.ours import (
    foreign,
    holds,
    read_claims,
    relative,
    require_ours,
    write_claims,
)
from avaffect.files.outside import reading, real_path
from avaffect.media.sound import SoundInfo
from avaffect.store.pictures import FACE_PICTURES, WithPictures
from avaffect.store.record import Record
from avaffect.store.subject import FACES, StoredSubject, SubjectFeatures

_WORK_FOLDERS = ("crops", "crops-again", SEGMENTS)
# The last is of an earlier version.
_WORK_FILES = ("claims.json", WAV, "times.f8", "checkpoint.json", "rows.safetensors")
_WORK_PATTERNS = ("track-*.bin", "rows-*.npy")
# What such a folder has in it; no other one lies there.
_INSIDE = {CROPS, FEATURES}
_MOST_FOLDERS = 50_000


@dataclass(frozen=True)
class Prepared:
    """One video's preprocessed folder.

    Its record is read once, when it is first asked for, and again when another process may have
    changed it: when it is this one's :meth:`alone`.

    Attributes:
        root: where it is.
    """

    root: Path
    _kept: list[Record] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def wav(self) -> Path:
        """The sound."""
        return self.root / WAV

    @property
    def work(self) -> Path:
        """The unfinished pass."""
        return self.root / ".work"

    def crops(self, subject: str) -> Path:
        """The folder of a subject's crops."""
        return self.root / CROPS / subject

    def features(self, subject: str) -> Path:
        """The stored features of a subject."""
        return self.root / FEATURES / subject

    @property
    def path(self) -> Path:
        """The record's file."""
        return self.root / RECORD

    @property
    def record(self) -> Record:
        """The content of ``preprocess.json``; empty if there is none.

        Raises:
            FeatureError: as `Record.read`.
        """
        if not self._kept:
            self._kept.append(Record.read(self.path))
        return self._kept[0]

    @property
    def video(self) -> dict[str, str]:
        """``name`` and ``sha256`` of the video; empty if preprocessing was not finished."""
        video = self.record.video
        return {} if video is None else video.to_dict()

    @property
    def media(self) -> dict[str, Any]:
        """What is known of the file's clock, see ``media.facts``; empty if nothing is."""
        record = self.record
        if record.media is not None:
            return record.media.to_dict()
        # An earlier version noted the first frame's time alone.
        return {"first_time_s": record.first_time_s} if record.knows("first_time_s") else {}

    @property
    def sound(self) -> SoundInfo | None:
        """What is known of :attr:`wav`; None without sound.

        Raises:
            FeatureError: the record contradicts itself.
        """
        sound = self.record.sound
        with reading(self.path, FeatureError):
            return None if sound is None else SoundInfo.from_record(sound.to_dict())

    def made_with(self, pictures: bool = False) -> str:
        """Fingerprint of everything the stored features, or pictures too, were made with."""
        keys: list[Any] = [subject.keys for subject in self.subjects()]
        return fingerprint([*keys, self.record.crops] if pictures else keys)

    def update(self, **changes: Any) -> None:
        """Write the record with other values of some fields; see :meth:`write`."""
        self.write(self.record.but(**changes))

    def write(self, record: Record) -> None:
        """Write ``preprocess.json``, which names all that is ours; what was claimed is named now.

        Raises:
            ForeignFileError: there is a ``preprocess.json`` that is no record of ours.
            OutputError: the disk does not take it.
        """
        self.require_own_record()
        ours = sorted(place for place in self.ours() if (self.root / place).exists())
        record = record.but(files=ours)
        self._kept.clear()
        record.write(self.path)
        self._kept.append(record)
        with suppress(OSError):
            self._claims.unlink()
            self.work.rmdir()  # unless a pass is in it

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A block in which no other process writes here; see ``files.lock``.

        Raises:
            BusyError: another one does.
        """
        with alone_in(self.root):
            self._kept.clear()
            yield

    def ours(self) -> set[str]:
        """What avaffect wrote here or is about to, relative to the folder; see ``files.ours``."""
        record = self.record
        found = set(record.files)
        # Records of earlier versions have no list of files; these are what they name.
        found |= {f"{FEATURES}/{subject}" for subject in record.subjects}
        if record.crops is not None:
            found |= {f"{CROPS}/{subject}" for subject in record.subjects}
        # That of a sound file has no key of its own.
        if record.sound is not None and (record.wav is not None or not record.knows("wav")):
            found.add(WAV)
        return found | read_claims(self._claims)

    def require_ours(self, paths: Iterable[Path]) -> None:
        """Refuse to write what is there and not ours.

        Raises:
            ForeignFileError: one of ``paths``, or the record, is so.
        """
        self.require_own_record()
        require_ours(self.root, paths, self.ours())

    def claim(self, paths: Iterable[Path]) -> None:
        """Have ``paths`` written from now on, if they are ours or not there.

        Raises:
            ForeignFileError: one is there and not ours.
        """
        paths = list(paths)
        self.require_ours(paths)
        write_claims(self._claims, self.ours() | {relative(path, self.root) for path in paths})

    def require_own_record(self) -> None:
        """Raise ForeignFileError if ``preprocess.json`` is no record of ours.

        Raises:
            FeatureError: it is one of ours, and damaged or of a later version.
        """
        if not self.path.exists():
            return
        try:
            known = self.record.made_with is not None
        except FeatureError as error:
            if isinstance(error.__cause__, OSError) or holds(b'"made_with"')(self.path):
                raise
            raise foreign(self.path) from error
        if not known:
            raise foreign(self.path)

    def clear_work(self) -> None:
        """Remove the unfinished pass, and nothing else that lies there."""
        with suppress(OSError):
            for path in [*self.work.iterdir()]:
                if path.name in _WORK_FOLDERS and path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.name in _WORK_FILES or any(map(path.match, _WORK_PATTERNS)):
                    path.unlink()
            self.work.rmdir()

    @property
    def _claims(self) -> Path:
        return self.work / "claims.json"

    def subjects(self) -> list[StoredSubject]:
        """The stored subjects.

        Raises:
            FeatureError: if preprocessing was not finished here, or files are damaged.
        """
        record = self.record
        whole = None not in (record.video, record.frames, record.faces)
        if not record.subjects or not whole:
            raise FeatureError(
                f"'{self.root}' holds no finished preprocessing",
                "run `avaffect preprocess` on the video again, into this folder",
            )
        return [SubjectFeatures.open(self.features(name)) for name in record.subjects]

    def finished(self, key: str) -> list[StoredSubject] | None:
        """The subjects that a finished run made with ``key`` (of the frame table), or None."""
        if self.record.made_with != key:
            return None
        try:
            stored = self.subjects()
        except FeatureError:
            return None
        return stored if all(subject.has(FACES, key) for subject in stored) else None

    def pictured(self) -> list[WithPictures]:
        """The stored subjects with their pictures, as the arrays ``faces`` and ``has_face``.

        A frame whose picture was deleted counts as one without a face.

        Raises:
            FeatureError: the pictures are not finished, or a subject's are gone.
        """
        pictured = []
        for subject in self.subjects():
            found = WithPictures(subject, self.crops(subject.name))
            nobody = not subject.present.any()
            if FACE_PICTURES not in found.specs or (self.record.crops is None and not nobody):
                raise FeatureError(
                    f"'{self.root}' lacks pictures of the aligned faces",
                    "preprocess the video again, into the same folder",
                )
            pictured.append(found)
        return pictured

    def require_free_for(self, video: str, sha256: str) -> None:
        """Raise UsageError if the folder belongs to another video."""
        self.require_own_record()
        other = self.video
        if other and other["name"] != video and other["sha256"] != sha256:
            raise UsageError(
                f"'{self.root}' holds the results of '{other['name']}'",
                f"choose another output folder for '{video}'",
            )


def sound_only(subjects: Sequence[StoredSubject]) -> bool:
    """Whether what is stored is of a file without a picture."""
    return all("face_pose" not in subject.names for subject in subjects)


def is_preprocessed(path: Path) -> bool:
    """Whether ``path`` is a folder that ``preprocess`` has written."""
    return path.is_dir() and (path / RECORD).is_file()


def source_name(source: Path) -> str:
    """What the results of a video, or of a preprocessed folder, are called: the video's stem.

    Raises:
        UsageError: if files cannot be called so.
    """
    name = source.stem
    if is_preprocessed(source):
        record = Prepared(source).record
        # A name of its own is that of a video below other folders, see `preprocessing.names`.
        other = real_path(source).name if record.video is None else Path(record.video.name).stem
        name = record.name or other
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the file name {source.name!a} is not UTF-8", "rename the video file"
        ) from error
    subject_file_name(f"{name}_right")
    return name


def prepared_in(root: Path) -> list[Path]:
    """The folders with a record of ``preprocess`` in ``root``, sorted; hidden ones are left out.

    Looks at some 50,000 folders at most.
    """
    found = []
    for count, (parent, folders, names) in enumerate(os.walk(root)):
        inside = _INSIDE if RECORD in names else set()
        folders[:] = [name for name in folders if name not in inside and not name.startswith(".")]
        if inside and Path(parent) != root:
            found.append(Path(parent))
        if count > _MOST_FOLDERS:
            break
    return sorted(found)
