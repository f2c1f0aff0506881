"""What ``predict`` leaves behind: challenge files, a parquet a subject, a record a video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avaffect import __version__
from avaffect.config import PredictConfig, fingerprint
from avaffect.errors import FormatError, UsageError
from avaffect.files.atomic import write_json
from avaffect.files.challenge import require_subjects, subject_file_name, write_challenge
from avaffect.files.editions import DEFAULT_EDITION, edition_named
from avaffect.files.outside import read_kept, reading
from avaffect.files.table import read_table, write_table
from avaffect.pipeline.predict import Result
from avaffect.predictions.prediction import Prediction

TABLES = "tables"
_SHAPE = {
    "key?": str,
    "files?": [str],
    "subjects?": [str],
    "frames?": int,
    "frames_with_face?": int,
    "frames_with_value?": int,
    "video?": {"name": str, "sha256": str},
}


@dataclass(frozen=True)
class Outputs:
    """Where and how predictions are written.

    Attributes:
        root: the output folder.
        edition: whose headers and folder names are used, see ``files.editions``.
        files: whether to write one challenge file a subject and task.
    """

    root: Path
    edition: str = DEFAULT_EDITION
    files: bool = True

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

    def owners(self) -> dict[str, str]:
        """Of which source each subject is, for the subjects that have files here."""
        return {
            subject: path.stem
            for path in sorted(self._record_path("any").parent.glob("*.json"))
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

    def read(self, record: Mapping[str, Any]) -> list[Prediction]:
        """The predictions of an earlier run, from the tables of its record.

        Raises:
            AvaffectError: if a table is no longer what was written.
        """
        predictions = []
        for subject in record["subjects"]:
            table = self._table(subject)
            columns, about = read_table(table)
            with reading(table, FormatError, "is no longer what was written"):
                limits = about.get("au_thresholds")
                predictions.append(
                    Prediction.from_columns(columns, subject, about["model"], limits)
                )
        return predictions

    def write(self, name: str, result: Result, key: str) -> list[Path]:
        """Write everything of one source; each file is whole or not there.

        Subjects that an earlier run found and this one did not lose their files.

        Raises:
            OutputError: if a file cannot be written.
        """
        paths = []
        for prediction in result.predictions:
            if self.files:
                paths += [
                    write_challenge(prediction, task, self.root, self.edition)
                    for task in prediction.tasks
                ]
            table = self._table(prediction.subject)
            about = {"subject": prediction.subject, **result.about}
            if prediction.au_thresholds is not None:
                about["au_thresholds"] = prediction.au_thresholds.tolist()
            write_table(table, prediction.columns(), about)
            paths.append(table)
        subjects = [one.subject for one in result.predictions]
        self.drop(set(self.record(name).get("subjects", ())) - set(subjects))
        write_json(
            self._record_path(name),
            {
                "key": key,
                "files": [str(path.relative_to(self.root)) for path in paths],
                "subjects": subjects,
                "frames": result.frames,
                "frames_with_face": result.found,
                "frames_with_value": result.valued,
                "edition": self.edition,
                **result.about,
            },
        )
        return paths

    def drop(self, subjects: set[str]) -> None:
        """Delete the tables and challenge files of ``subjects``."""
        for subject in subjects:
            name = subject_file_name(subject)
            folders = edition_named(self.edition).folders.values()
            for path in (self._table(subject), *(self.root / folder / name for folder in folders)):
                path.unlink(missing_ok=True)

    def _table(self, subject: str) -> Path:
        return self.root / TABLES / f"{subject_file_name(subject).removesuffix('.txt')}.parquet"

    def _record_path(self, name: str) -> Path:
        return self.root / "records" / f"{name}.json"
