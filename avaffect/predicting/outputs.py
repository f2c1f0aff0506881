"""What ``predict`` leaves behind: challenge files, a parquet a subject, a record a video.

The record names the files; what no record names is not touched, see ``files.ours``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avaffect.challenge.editions import DEFAULT_EDITION, edition_named
from avaffect.challenge.text import (
    require_subjects,
    single_path,
    subject_file_name,
    write_challenge,
)
from avaffect.config import PredictConfig, fingerprint
from avaffect.errors import AvaffectError, FormatError, UsageError
from avaffect.files.atomic import write_json
from avaffect.files.gaps import policy_of
from avaffect.files.lock import alone
from avaffect.files.ours import foreign, read_claims, relative, require_ours, write_claims
from avaffect.files.outside import read_kept, reading
from avaffect.files.table import read_about, read_table, write_table
from avaffect.files.temporaries import remove_abandoned
from avaffect.predicting.run import Result
from avaffect.predictions.missing import fill
from avaffect.predictions.prediction import Prediction
from avaffect.tasks.registry import TASKS
from avaffect.version import __version__

TABLES, RECORDS = "tables", "records"
WORK = ".predict-work"
# What another process needs at most for writing the files of a video.
_PATIENCE_S = 120.0
_SHAPE = {
    "key?": str,
    "files?": [str],
    "single?": [str],
    "subjects?": [str],
    "edition?": str,
    "frames?": int,
    "frames_with_face?": int,
    "frames_with_value?": int,
    "faces?": {str: int},
    "video?": {"name": str, "sha256": str},
}


@dataclass(frozen=True)
class Outputs:
    """Where and how predictions are written.

    Attributes:
        root: the output folder.
        edition: whose headers and folder names are used, see ``challenge.editions``.
        files: whether to write one challenge file a subject and task.
        kinds: of the files for all subjects, ``va``, ``expr``, ``au`` or ``mtl``.
    """

    root: Path
    edition: str = DEFAULT_EDITION
    files: bool = True
    kinds: tuple[str, ...] = ()

    def alone(self, name: str) -> AbstractContextManager[None]:
        """A block in which no other process works on the source ``name``; see ``files.lock``."""
        return alone(self.root / WORK / f"{name}.lock", self.root / name)

    def alone_with_single(self) -> AbstractContextManager[None]:
        """A block in which no other process writes the files for all subjects."""
        return alone(self.root / WORK / ".single", self.root)

    def writing(self, wait: float = _PATIENCE_S) -> AbstractContextManager[None]:
        """A block in which no other process writes files, of whatever source."""
        return alone(self.root / WORK / ".writing", self.root, wait=wait)

    @property
    def single_paths(self) -> tuple[Path, ...]:
        """The files for all subjects."""
        return tuple(single_path(self.root, kind, self.edition) for kind in self.kinds)

    def key(self, made_with: str, config: PredictConfig) -> str:
        """Changes whenever the written files would; ``made_with`` names the source's content."""
        return fingerprint([__version__, made_with, config.to_dict(), self.edition, self.files])

    def record(self, name: str) -> dict[str, Any]:
        """What is known of the files of the source ``name``; empty if nothing is.

        Bounds: as `outside.read_json`.

        Raises:
            FormatError: it may not be read, or names a subject whose files would lie elsewhere.
        """
        path = self._record_path(name)
        record: dict[str, Any] = read_kept(path, _SHAPE) or {}
        require_subjects(record.get("subjects", ()), path)
        return record

    def written(self, name: str, key: str) -> dict[str, Any] | None:
        """The record of an earlier run that did the same and whose files are all there."""
        record = self.record(name)
        files = record.get("files", ())
        there = record.get("key") == key and all((self.root / file).is_file() for file in files)
        return record if there else None

    def owners(self, but: Collection[str] = ()) -> dict[str, str]:
        """Of which source each subject is, for the subjects that have files here.

        Args:
            but: sources that are not looked at.
        """
        return {
            subject: path.stem
            for path in sorted(self._record_path("any").parent.glob("*.json"))
            if path.stem not in but
            for subject in self.record(path.stem).get("subjects", ())
            if self._table(subject).is_file()
        }

    def require_free_for(self, name: str, video: Mapping[str, str]) -> None:
        """Raise UsageError if the files of ``name`` are of another video.

        Args:
            name: what the source's files are called.
            video: its ``name`` and ``sha256``.
        """
        other = self.record(name).get("video", {})
        if other and all(other.get(key) != video[key] for key in ("name", "sha256")):
            raise UsageError(
                f"'{self.root}' holds the results of '{other.get('name')}', called '{name}' too",
                f"choose another folder for '{video['name']}' with -o, or --overwrite them",
            )

    def tidy(self) -> None:
        """Remove what killed processes left; once a process, see ``files.temporaries``."""
        folders = edition_named(self.edition).every_folder
        for name in ("", TABLES, RECORDS, *folders):
            remove_abandoned(self.root / name)

    def ours(self) -> set[str]:
        """What avaffect wrote here or is about to, relative to the folder."""
        found: set[str] = set()
        for path in self._record_path("any").parent.glob("*.json"):
            found |= _named(self.record(path.stem))
        for path in (self.root / WORK).glob("*.claims"):
            found |= read_claims(path)
        return found

    def require_ours(self, paths: Iterable[Path], ours: Iterable[str] = ()) -> None:
        """Refuse to replace what no record names; ``ours`` is known to be ours.

        Raises:
            ForeignFileError: one of ``paths`` is there and not ours.
        """
        known = set(ours)
        # Reading all records is for the few cases where it matters.
        others = [
            path for path in paths if path.exists() and relative(path, self.root) not in known
        ]
        if others:
            require_ours(self.root, others, self.ours())

    def require_place(self, name: str, made_with: str = "") -> None:
        """Refuse to predict what could not be written in the end, as far as is known before.

        Args:
            name: what the source's files are called.
            made_with: SHA-256 of the video.

        Raises:
            ForeignFileError: something is in the way that avaffect did not write.
        """
        path = self._record_path(name)
        if path.exists() and "key" not in self.record(name):
            raise foreign(path)
        self.require_ours(
            [*self._files(name), *self.single_paths], self._ours_of(name, [name], made_with)
        )

    def read(self, record: Mapping[str, Any]) -> list[Prediction]:
        """The predictions of an earlier run, filled as its text files are.

        They come from the tables of its record.

        Raises:
            AvaffectError: if a table is no longer what was written.
        """
        predictions = []
        for subject in record["subjects"]:
            table = self._table(subject)
            columns, about = read_table(table)
            with reading(table, FormatError, "is no longer what was written"):
                limits = about.get("au_thresholds")
                one = Prediction.from_columns(columns, subject, about["model"], limits)
                predictions.append(fill(one, policy_of(about)))
        return predictions

    def write(self, name: str, result: Result, key: str) -> list[Path]:
        """Write everything of one source; each file is whole or not there.

        Subjects that an earlier run found and this one did not lose their files.

        Raises:
            ForeignFileError: if something is in the way that avaffect did not write.
            OutputError: if a file cannot be written.
        """
        subjects = [one.subject for one in result.predictions]
        planned = [path for one in subjects for path in self._files(one)]
        video = result.about.get("video")
        sha256 = str(video.get("sha256", "")) if isinstance(video, dict) else ""
        ours = self._ours_of(name, subjects, sha256)
        self.require_ours(planned, ours)
        claims = self._claims_path(name)
        write_claims(claims, ours | {relative(path, self.root) for path in planned})
        paths = []
        for prediction, filled in zip(result.predictions, result.written, strict=True):
            if self.files:
                paths += [
                    write_challenge(filled, task, self.root, self.edition) for task in filled.tasks
                ]
            table = self._table(prediction.subject)
            about = {"subject": prediction.subject, **result.about}
            if prediction.au_thresholds is not None:
                about["au_thresholds"] = prediction.au_thresholds.tolist()
            write_table(table, prediction.columns(), about)
            paths.append(table)
        self.drop(set(self.record(name).get("subjects", ())) - set(subjects))
        write_json(
            self._record_path(name),
            {
                "key": key,
                "files": [str(path.relative_to(self.root)) for path in paths],
                "subjects": subjects,
                "frames": result.frames,
                "frames_with_face": result.found,
                "faces": dict(zip(subjects, result.faces, strict=True)),
                "frames_with_value": result.valued,
                "edition": self.edition,
                "single": self._single(self.record(name)),
                **result.about,
            },
        )
        with suppress(OSError):
            claims.unlink()
            claims.parent.rmdir()  # unless something else is in it
        return paths

    def name_single(self, name: str) -> None:
        """Have the record of the source ``name`` name the files for all subjects too."""
        record = self.record(name)
        if record.get("single") != (single := self._single(record)):
            write_json(self._record_path(name), {**record, "single": single})

    def drop(self, subjects: set[str]) -> None:
        """Delete the tables and challenge files of ``subjects``, as far as they are ours."""
        ours = self.ours() if subjects else set()
        for subject in subjects:
            for path in self._files(subject):
                if relative(path, self.root) in ours:
                    path.unlink(missing_ok=True)

    def _files(self, subject: str) -> list[Path]:
        """The table and the challenge files that a subject may have."""
        name = subject_file_name(subject)
        folders = edition_named(self.edition).every_folder
        return [self._table(subject), *(self.root / folder / name for folder in folders)]

    def _ours_of(self, name: str, subjects: Iterable[str], sha256: str) -> set[str]:
        """What is ours of a source: its record names it, or a table itself says so."""
        found = _named(self.record(name)) | read_claims(self._claims_path(name))
        for subject in subjects:
            # A table tells its own story, which stands for a record that was lost.
            if (table := self._table(subject)).is_file() and sha256:
                with suppress(AvaffectError, LookupError, TypeError):
                    about = read_about(table)
                    if about["subject"] == subject and about["video"]["sha256"] == sha256:
                        found |= {relative(path, self.root) for path in self._files(subject)}
        return found

    def _single(self, record: Mapping[str, Any]) -> list[str]:
        named = {relative(path, self.root) for path in self.single_paths}
        return sorted(named | set(record.get("single", ())))

    def _claims_path(self, name: str) -> Path:
        return self.root / WORK / f"{name}.claims"

    def _table(self, subject: str) -> Path:
        return self.root / TABLES / f"{subject_file_name(subject).removesuffix('.txt')}.parquet"

    def _record_path(self, name: str) -> Path:
        return self.root / RECORDS / f"{name}.json"


def _named(record: Mapping[str, Any]) -> set[str]:
    """The files that a record names."""
    found = set(record.get("files", ()))
    if "single" in record:
        return found | set(record["single"])
    # Records of earlier versions do not name the files for all subjects.
    if found and all(one.startswith(f"{TABLES}/") for one in found):
        with suppress(AvaffectError):
            edition = str(record.get("edition"))
            places = [single_path(Path(), kind, edition) for kind in (*TASKS, "mtl")]
            found |= {path.as_posix() for path in places}
    return found
