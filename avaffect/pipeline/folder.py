"""The folder that ``preprocess`` writes for one video, and what is known to be finished in it.

<root>/cropped_aligned/<subject>/00001.jpg   aligned faces, numbered by frame from 1
<root>/audio.wav                             16 kHz mono, on the picture's clock
<root>/features/<subject>/                   the feature store
<root>/preprocess.json                       which video, which settings, who was found
<root>/.work/                                an unfinished pass, to go on with
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avaffect.config import fingerprint
from avaffect.errors import FeatureError, UsageError
from avaffect.features.store import FACES, StoredSubject, SubjectFeatures
from avaffect.files.atomic import write_json
from avaffect.files.challenge import require_subjects, subject_file_name
from avaffect.files.outside import fits, read_kept

RECORD = "preprocess.json"
_SHAPE = {
    "video?": {"name": str, "sha256": str},
    "made_with?": str,
    "frames?": int,
    "faces?": int,
    "subjects?": [str],
    "damage?": dict,
    "crops?": (str, None),
    "sound?": ({"start_s": float, "end_s": float}, None),
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

    def made_with(self, pictures: bool = False) -> str:
        """Fingerprint of everything the stored features, or pictures too, were made with."""
        keys: list[Any] = [subject.keys for subject in self.subjects()]
        return fingerprint([*keys, self.record().get("crops")] if pictures else keys)

    def write_record(self, record: Mapping[str, Any]) -> None:
        """Write ``preprocess.json``."""
        write_json(self.root / RECORD, dict(record))

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
                "run `avaffect preprocess VIDEO -o` with this folder",
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
                f"choose another folder for '{video}' with -o",
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
        name = Path(video).stem if video else source.resolve().name
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the file name {source.name!a} is not UTF-8", "rename the video file"
        ) from error
    subject_file_name(f"{name}_right")
    return name
