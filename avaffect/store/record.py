"""The record ``preprocess.json``: which video, which settings, who was found, what is ours."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from avaffect.challenge.text import require_subjects
from avaffect.errors import FeatureError, InputNotFoundError
from avaffect.files.atomic import write_json
from avaffect.files.outside import read_json, reading
from avaffect.media.facts import MediaFacts
from avaffect.media.sound import SoundInfo

_WHAT = "is damaged or not written by this version of avaffect"
_HINT = "preprocess the video again, into a new folder"
# Pairs of seconds: from when, and how many. What is written is tuples.
_Gaps = Annotated[list[Annotated[list[float], Field(strict=False)]], Field(strict=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def to_dict(self) -> dict[str, Any]:
        """What it knows, JSON-able."""
        return self.model_dump(exclude_unset=True)


class Video(_Part):
    """Which file it was made of."""

    name: str
    sha256: str


class Damage(_Part):
    """What decoding met, see ``media.frames.DecodeReport``."""

    decoding_errors: int
    first_error: str | None
    repaired_times: int


class Media(_Part):
    """See ``media.facts.MediaFacts``; records of earlier versions lack some of it."""

    first_time_s: float = 0.0
    fps: float | None = None
    duration_s: float = 0.0
    width: int | None = None
    height: int | None = None
    header_fps: float | None = None
    header_duration_s: float | None = None
    start_s: float | None = None

    @classmethod
    def of(cls, facts: MediaFacts) -> Media:
        """The facts as a record has them."""
        return cls(**facts.to_dict())


class Sound(_Part):
    """See ``media.sound.SoundInfo``; ``closed_gaps`` are a sound file's, that has no clock."""

    samples: int
    sample_rate: int
    duration_s: float
    start_s: float
    end_s: float
    errors: int
    stream: int = 0
    streams: int = 1
    channels: int = 1
    mix: str = ""
    cuts: _Gaps = []
    closed_gaps: _Gaps = []

    @classmethod
    def of(cls, sound: SoundInfo, **more: Any) -> Sound:
        """What is known of a sound as a record has it."""
        return cls(**asdict(sound), **more)


class Record(_Part):
    """A record. What it does not know it leaves out; None is a value: there is none.

    Attributes:
        video: which file.
        made_with: the key of the frame table, see ``store.keys``.
        frames: decoded frames, of a sound file the rows on its clock.
        faces: frames with a face, of the subject seen most often.
        subjects: their names.
        first_time_s: of the first frame on the file's own clock; in ``media`` too.
        media: the file's clock, rate and picture.
        damage: what decoding met.
        rotate: the ``MediaConfig.rotate`` by which faces would be upright.
        segments: how many the pass was joined of; left out where it was done in one go.
        people: who was seen, see ``preprocessing.people``.
        crops: the key of the pictures; None while they are not finished.
        sound: what ``audio.wav`` holds; None without sound.
        wav: the key of ``audio.wav``; None while it is not finished.
        configuration: the settings.
        versions: of the libraries.
        files: what is ours in the folder, relative to it.
        name: what the subjects are called, where it is not the video's stem.
    """

    video: Video | None = None
    made_with: str | None = None
    frames: int | None = None
    faces: int | None = None
    subjects: list[str] = []
    first_time_s: float | None = None
    media: Media | None = None
    damage: Damage | None = None
    rotate: int | None = None
    segments: int | None = None
    people: dict[str, Any] | None = None
    crops: str | None = None
    sound: Sound | None = None
    wav: str | None = None
    configuration: dict[str, Any] | None = None
    versions: dict[str, str | None] | None = None
    files: list[str] = []
    name: str | None = None

    @classmethod
    def read(cls, path: Path) -> Record:
        """The record in a file; one that knows nothing if there is none.

        Bounds: as `outside.read_json`.

        Raises:
            FeatureError: it may not be read, or holds a field that no record has, or a value of
                another type, or names a subject whose files would lie elsewhere.
        """
        try:
            tree = read_json(path, dict, FeatureError, _WHAT, _HINT)
        except InputNotFoundError:
            return cls()
        with reading(path, FeatureError, _WHAT, _HINT):
            record = cls.model_validate(tree)
        require_subjects(record.subjects, path, FeatureError)
        return record

    def write(self, path: Path) -> None:
        """Write it to a file.

        Raises:
            OutputError: the disk does not take it.
        """
        write_json(path, self.to_dict())

    def knows(self, name: str) -> bool:
        """Whether it has a field, even with the value "there is none"."""
        return name in self.model_fields_set

    def but(self, **changes: Any) -> Record:
        """The same with other values of some fields."""
        return self.model_copy(update=changes)
