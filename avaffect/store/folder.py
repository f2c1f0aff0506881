"""The folder that ``preprocess`` writes for one video, and what is known to be finished in it.

<root>/cropped_aligned/<subject>/00001.jpg   aligned faces, numbered by frame from 1
<root>/audio.wav                             16 kHz mono, on the picture's clock
<root>/features/<subject>/                   the feature store
<root>/preprocess.json                       which video, which settings, who was found, and which
                                             of the above are ours
<root>/.work/                                an unfinished pass, to go on with
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avaffect.challenge.text import require_subjects, subject_file_name
from avaffect.config import fingerprint
from avaffect.errors import FeatureError, UsageError
from avaffect.files.atomic import write_json
from avaffect.files.lock import alone_in
from avaffect.files.ours import foreign, read_claims, relative, require_ours, write_claims
from avaffect.files.outside import fits, read_kept, reading
from avaffect.media.sound import SoundInfo
from avaffect.store.prepared import RECORD
from avaffect.store.subject import FACES, StoredSubject, SubjectFeatures

_WORK_FOLDERS = ("crops", "crops-again")
_WORK_FILES = ("claims.json", "audio.wav", "times.f8", "rows.safetensors", "checkpoint.json")
_SOUND = {
    "samples": int,
    "sample_rate": int,
    "duration_s": float,
    "start_s": float,
    "end_s": float,
    "errors": int,
    "cuts?": [[float]],
}
_SHAPE = {
    "video?": {"name": str, "sha256": str},
    "name?": str,
    "made_with?": str,
    "frames?": int,
    "faces?": int,
    "subjects?": [str],
    "files?": [str],
    "damage?": dict,
    "media?": dict,
    "crops?": (str, None),
    "sound?": (_SOUND, None),
    "wav?": (str, None),
    "configuration?": dict,
}
_FINISHED = {"video": dict, "frames": int, "faces": int}


@dataclass(frozen=True)
class Folder:
    """One video's preprocessed folder.

    Attributes:
        root: where it is.
    """

    root: Path

    @property
    def wav(self) -> Path:
        """The sound."""
        return self.root / "audio.wav"

    @property
    def work(self) -> Path:
        """The unfinished pass."""
        return self.root / ".work"

    def crops(self, subject: str) -> Path:
        """The aligned pictures of a subject."""
        return self.root / "cropped_aligned" / subject

    def features(self, subject: str) -> Path:
        """The stored features of a subject."""
        return self.root / "features" / subject

    def record(self) -> dict[str, Any]:
        """The content of ``preprocess.json``; empty if there is none, or it is damaged.

        Bounds: as `outside.read_json`.

        Raises:
            FormatError: it may not be read.
            FeatureError: it names a subject whose files would lie elsewhere.
        """
        record: dict[str, Any] = read_kept(self.root / RECORD, _SHAPE) or {}
        require_subjects(record.get("subjects", ()), self.root / RECORD, FeatureError)
        return record

    def video(self) -> dict[str, str]:
        """``name`` and ``sha256`` of the video; empty if preprocessing was not finished."""
        video: dict[str, str] = self.record().get("video") or {}
        return video

    def media(self) -> dict[str, Any]:
        """What is known of the file's clock, see ``media.facts``; empty if nothing is."""
        record = self.record()
        # An earlier version noted the first frame's time alone.
        older = {key: record[key] for key in ("first_time_s",) if key in record}
        media: dict[str, Any] = record.get("media", older)
        return media

    def sound(self) -> SoundInfo | None:
        """What is known of :attr:`wav`; None without sound.

        Raises:
            FeatureError: the record says what cannot be.
        """
        kept = self.record().get("sound")
        with reading(self.root / RECORD, FeatureError):
            return None if kept is None else SoundInfo.from_record(kept)

    def made_with(self, pictures: bool = False) -> str:
        """Fingerprint of everything the stored features, or pictures too, were made with."""
        keys: list[Any] = [subject.keys for subject in self.subjects()]
        return fingerprint([*keys, self.record().get("crops")] if pictures else keys)

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Write ``preprocess.json``, which names all that is ours; what was claimed is named now.

        Raises:
            ForeignFileError: there is a ``preprocess.json`` that is no record of ours.
            OutputError: the disk does not take it.
        """
        self.require_own_record()
        ours = sorted(one for one in self.ours() if (self.root / one).exists())
        write_json(self.root / RECORD, {**record, "files": ours})
        with suppress(OSError):
            self._claims.unlink()
            self.work.rmdir()  # unless a pass is in it

    def name_as(self, name: str) -> None:
        """Write down that the results are called so, and not as the video's file is."""
        if self.record().get("name") != name:
            self.write_record({**self.record(), "name": name})

    def alone(self) -> AbstractContextManager[None]:
        """A block in which no other process writes here; see ``files.lock``.

        Raises:
            BusyError: another one does.
        """
        return alone_in(self.root)

    def ours(self) -> set[str]:
        """What avaffect wrote here or is about to, relative to the folder; see ``files.ours``."""
        record = self.record()
        found = set(record.get("files", ()))
        # Records of earlier versions have no list of files; these are what they name.
        names = record.get("subjects", ())
        found |= {f"features/{one}" for one in names}
        if record.get("crops") is not None:
            found |= {f"cropped_aligned/{one}" for one in names}
        # That of a sound file has no key of its own.
        if record.get("sound") is not None and record.get("wav", "") is not None:
            found.add(self.wav.name)
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
        write_claims(self._claims, self.ours() | {relative(one, self.root) for one in paths})

    def require_own_record(self) -> None:
        """Raise ForeignFileError if ``preprocess.json`` is no record of ours."""
        path = self.root / RECORD
        if path.exists() and "made_with" not in self.record():
            raise foreign(path)

    def clear_work(self) -> None:
        """Remove the unfinished pass, and nothing else that lies there."""
        with suppress(OSError):
            for path in [*self.work.iterdir()]:
                if path.name in _WORK_FOLDERS and path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.name in _WORK_FILES or path.match("track-*.bin"):
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
        record = self.record()
        names = record.get("subjects")
        if not names or not fits(record, _FINISHED):
            raise FeatureError(
                f"'{self.root}' holds no finished preprocessing",
                "run `avaffect preprocess` on the video again, into this folder",
            )
        return [SubjectFeatures.open(self.features(name)) for name in names]

    def finished(self, key: str) -> list[StoredSubject] | None:
        """The subjects that a finished run made with ``key`` (of the frame table), or None."""
        if self.record().get("made_with") != key:
            return None
        try:
            stored = self.subjects()
        except FeatureError:
            return None
        return stored if all(one.has(FACES, key) for one in stored) else None

    def require_free_for(self, video: str, sha256: str) -> None:
        """Raise UsageError if the folder belongs to another video."""
        other = self.video()
        if other and other.get("name") != video and other.get("sha256") != sha256:
            raise UsageError(
                f"'{self.root}' holds the results of '{other.get('name')}'",
                f"choose another output folder for '{video}'",
            )


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
        video = Folder(source).video().get("name")
        # A name of its own is that of a video below other folders, see `preprocessing.names`.
        other = Path(video).stem if video else source.resolve().name
        name = Folder(source).record().get("name", other)
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the file name {source.name!a} is not UTF-8", "rename the video file"
        ) from error
    subject_file_name(f"{name}_right")
    return name
