"""The output of ``predict``: files of the chosen form, a table a subject (parquet
and CSV), a record a video.

The record names the files, see ``predicting.records``. A source whose name has folders, as
``P01/session1``, has its files there, see ``challenge.places``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import Any

from avaffect.challenge.editions import DEFAULT_EDITION, TRACKS
from avaffect.challenge.places import checked, joined, place_of, remove_empty
from avaffect.challenge.text import subject_file_name
from avaffect.config import PredictConfig, fingerprint
from avaffect.errors import AvaffectError, BusyError, FormatError, UsageError
from avaffect.files.csv_text import require_decimal
from avaffect.files.gaps import policy_of
from avaffect.files.lock import alone
from avaffect.files.ours import foreign, relative, require_ours, require_written
from avaffect.files.outside import reading
from avaffect.files.table import read_about, read_table
from avaffect.files.temporaries import remove_abandoned
from avaffect.predicting.records import WORK, Records
from avaffect.predicting.run import Result
from avaffect.predicting.writers.csv_table import CsvTable
from avaffect.predicting.writers.parquet_table import ParquetTable
from avaffect.predicting.writers.registry import DEFAULT_FORM, WRITERS, build_writer
from avaffect.predicting.writers.writer import Ready, Writer
from avaffect.predictions.missing import fill
from avaffect.predictions.prediction import Prediction

# Raised whenever the same features, model and settings would be written as something else.
OUTPUT_VERSION = 3
# What another process needs at most for writing the files of a video.
_PATIENCE_S = 120.0
_WRITING = ".writing"


@dataclass(frozen=True)
class Outputs:
    """Where and how predictions are written.

    Attributes:
        root: the output folder.
        edition: whose headers and folder names are used, see ``challenge.editions``.
        form: a key of ``writers.registry.WRITERS``; tables are written beside every form.
        tasks: of which there are predictions.
        decimal: one of ``files.csv_text.DECIMALS``, as the CSV beside each table has them; None
            writes none.
    """

    root: Path
    edition: str = DEFAULT_EDITION
    form: str = DEFAULT_FORM
    tasks: tuple[str, ...] = TRACKS
    decimal: str | None = "point"

    def __post_init__(self) -> None:
        if self.decimal is not None:
            require_decimal(self.decimal)
        elif isinstance(self.writer, CsvTable):
            raise UsageError("no CSV is wanted, and no other form", "leave one of the two out")

    @cached_property
    def records(self) -> Records:
        """The record of each source."""
        return Records(self.root)

    @cached_property
    def writer(self) -> Writer:
        """Writes the form."""
        writer = build_writer(self.form, self.root, self.edition, self.tasks)
        if isinstance(writer, ParquetTable):
            return self._tables
        return self._csv if isinstance(writer, CsvTable) else writer

    @cached_property
    def _csv(self) -> CsvTable:
        return CsvTable(self.root, self.decimal or "point")

    @cached_property
    def _tables(self) -> ParquetTable:
        return ParquetTable(self.root)

    @cached_property
    def _known(self) -> tuple[Writer, ...]:
        """The writers of all that may be here, by this form or another."""
        forms = (build_writer(form, self.root, self.edition) for form in WRITERS)
        return (self._tables, *forms)

    @property
    def _written(self) -> tuple[Writer, ...]:
        """The writers of what a subject gets for itself: the form, table and CSV, each once."""
        own = () if self.writer.shared or self.writer is self._tables else (self.writer,)
        csv = () if self.decimal is None or self.writer is self._csv else (self._csv,)
        return (*own, self._tables, *csv)

    def alone(self, name: str) -> AbstractContextManager[None]:
        """A block in which no other process works on the source ``name``; see ``files.lock``."""
        return alone(self.root / WORK / f"{name}.lock", self.root / name)

    def alone_with_single(self) -> AbstractContextManager[None]:
        """A block in which no other process writes the files for all subjects."""
        return alone(self.root / WORK / ".single", self.root)

    def writing(self, wait: float = _PATIENCE_S) -> AbstractContextManager[None]:
        """A block in which no other process writes files, of whatever source."""
        return alone(self.root / WORK / _WRITING, self.root, wait=wait)

    def key(self, made_with: str, model: str, config: PredictConfig) -> str:
        """Changes whenever the written files would, and with nothing else: not with a path.

        Args:
            made_with: fingerprint of all that the features are made with.
            model: that of the predictor, see `predictors.interface.Predictor`.
            config: the settings; where the model lies does not count.
        """
        # Files for all subjects are no source's own.
        own = "" if self.writer.shared else self.form
        settings = {**config.to_dict(), "checkpoint": None}
        return fingerprint([OUTPUT_VERSION, made_with, model, settings, self.edition, own])

    def written(self, name: str, key: str) -> dict[str, Any] | None:
        """The record of an earlier run that did the same and whose files are all there.

        The CSV of a table does not count, see `complete`.
        """
        record = self.records.read(name)
        made = {relative(self._csv_of(subject, name), self.root) for subject in _subjects(record)}
        files = set(record.get("files", ())) - made
        there = record.get("key") == key and all((self.root / file).is_file() for file in files)
        return record if there else None

    def complete(self, name: str, record: dict[str, Any]) -> dict[str, Any]:
        """The record, once each table has its CSV as it is wanted; nothing is predicted for it.

        Args:
            name: what the source's files are called.
            record: what `written` found.

        Raises:
            AvaffectError: a table is damaged, or something that is not ours is in the way.
        """
        made = {subject: self._csv_of(subject, name) for subject in _subjects(record)}
        known = record.get("csv") == self.decimal and all(map(Path.is_file, made.values()))
        if self.decimal is None or known:
            self.records.unclaim(name)  # a run may have been killed before it did so
            return record
        ours = self.records.ours_of(name)
        self.require_ours(made.values(), ours)
        files = {relative(path, self.root) for path in made.values()}
        self.records.claim(name, ours | files)
        for subject in made:
            columns, _ = read_table(self._table(subject, name))
            self._csv.write_columns(_place(subject, name), columns)
        files = files - set(record["files"])
        record = {**record, "files": [*record["files"], *sorted(files)], "csv": self.decimal}
        self.records.write(name, record)
        self.records.unclaim(name)
        return record

    def owners(self, but: Collection[str] = ()) -> dict[str, str]:
        """Of which source each subject is, for the subjects that have files here.

        Args:
            but: sources that are not looked at.
        """
        return {
            subject: name
            for name in self.records.names()
            if name not in but
            for subject in self.records.read(name).get("subjects", ())
            if self._table(subject, name).is_file()
        }

    def require_free_for(self, name: str, video: Mapping[str, str]) -> None:
        """Raise UsageError if the files of ``name`` are of another video.

        Args:
            name: what the source's files are called.
            video: its ``name`` and ``sha256``.
        """
        other = self.records.read(name).get("video", {})
        if other and all(other.get(key) != video[key] for key in ("name", "sha256")):
            raise UsageError(
                f"'{self.root}' holds the results of '{other.get('name')}', called '{name}' too",
                f"choose another output folder for '{video['name']}', or replace them with "
                "overwrite=True",
            )

    def tidy(self, name: str) -> None:
        """Remove what killed processes left where the files of the source ``name`` are written.

        Once a process, see ``files.temporaries``.
        """
        place = checked(name)
        paths = [path for writer in self._known for path in (*writer.shared, *writer.files(place))]
        paths.append(self.records.path(name))
        for folder in {self.root, *(path.parent for path in paths)}:
            remove_abandoned(folder)
        if (self.root / WORK / _WRITING).exists():
            with suppress(BusyError), self.writing(0.0):
                pass  # with its holder the lock goes

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
            require_ours(self.root, others, self.records.ours())

    def require_place(self, name: str, made_with: str = "") -> None:
        """Refuse to predict what could not be written in the end, as far as is known before.

        Args:
            name: what the source's files are called.
            made_with: SHA-256 of the video.

        Raises:
            ForeignFileError: something is in the way that avaffect did not write.
        """
        path, subject = self.records.path(name), joined(PurePath(name))
        if path.exists() and "key" not in self.records.read(name):
            raise foreign(path)
        self.require_ours(
            [*self._planned(subject, name), *self.writer.shared],
            self._ours_of(name, [subject], made_with),
        )

    def read(self, name: str, record: Mapping[str, Any]) -> list[Ready]:
        """The subjects of an earlier run of the source ``name``, from the tables of its record.

        Raises:
            AvaffectError: if a table is no longer what was written.
        """
        found = []
        for subject in record["subjects"]:
            table = self._table(subject, name)
            columns, about = read_table(table)
            with reading(table, FormatError, "is no longer what was written"):
                limits = about.get("au_thresholds")
                prediction = Prediction.from_columns(columns, subject, about["model"], limits)
                found.append(
                    Ready(
                        prediction,
                        fill(prediction, policy_of(about)),
                        about,
                        _place(subject, name),
                    )
                )
        return found

    def write(self, name: str, result: Result, key: str) -> list[Path]:
        """Write everything of one source; each file is whole or not there.

        Subjects that an earlier run found and this one did not lose their files.

        Raises:
            ForeignFileError: if something is in the way that avaffect did not write.
            OutputError: if a file cannot be written.
        """
        subjects = [prediction.subject for prediction in result.predictions]
        planned = [path for subject in subjects for path in self._planned(subject, name)]
        video = result.about.get("video")
        sha256 = str(video.get("sha256", "")) if isinstance(video, dict) else ""
        ours = self._ours_of(name, subjects, sha256)
        self.require_ours(planned, ours)
        self.records.claim(name, ours | {relative(path, self.root) for path in planned})
        paths: list[Path] = []
        for subject in ready(name, result):
            paths += [path for writer in self._written for path in writer.write(subject)]
            if (
                self.decimal is None
                and relative(csv := self._csv.path(subject.place), self.root) in ours
            ):
                # It would be of another prediction than the table.
                csv.unlink(missing_ok=True)
        self.drop(name, set(_subjects(self.records.read(name))) - set(subjects))
        require_written(paths)
        self.records.write(
            name,
            {
                "key": key,
                "files": [str(path.relative_to(self.root)) for path in paths],
                "subjects": subjects,
                "frames": result.frames,
                "frames_with_face": result.found,
                "faces": dict(zip(subjects, result.faces, strict=True)),
                "frames_with_value": result.valued,
                "edition": self.edition,
                "csv": self.decimal,
                "single": self._single(self.records.read(name)),
                **result.about,
            },
        )
        self.records.unclaim(name)
        return paths

    def name_single(self, name: str) -> None:
        """Have the record of the source ``name`` name the files for all subjects too."""
        record = self.records.read(name)
        if record.get("single") != (single := self._single(record)):
            self.records.write(name, {**record, "single": single})

    def drop(self, name: str, subjects: Iterable[str]) -> None:
        """Delete the files of ``subjects`` of the source ``name``, as far as they are ours.

        Of whatever form they are.
        """
        subjects = list(subjects)
        ours = self.records.ours() if subjects else set()
        for path in (path for subject in subjects for path in self._files(subject, name)):
            if relative(path, self.root) in ours:
                path.unlink(missing_ok=True)
                remove_empty(path.parent, self.root)

    def _files(self, subject: str, name: str) -> list[Path]:
        """The files that a subject of the source ``name`` may have, of whatever form."""
        place = _place(subject, name)
        return [path for writer in self._known for path in writer.files(place)]

    def _planned(self, subject: str, name: str) -> list[Path]:
        """The files of a subject that are written or replaced."""
        place = _place(subject, name)
        return [path for writer in self._written for path in writer.files(place)]

    def _ours_of(self, name: str, subjects: Iterable[str], sha256: str) -> set[str]:
        """Our files of a source: its record names them, or a table itself does."""
        found = self.records.ours_of(name)
        for subject in subjects:
            # A table tells its own story, which stands for a record that was lost.
            if (table := self._table(subject, name)).is_file() and sha256:
                with suppress(AvaffectError, LookupError, TypeError):
                    about = read_about(table)
                    if about["subject"] == subject and about["video"]["sha256"] == sha256:
                        files = set(self._files(subject, name))
                        if self.records.path(name).exists():
                            # A table may have got a CSV from its reader, with any program.
                            files.discard(self._csv_of(subject, name))
                        found |= {relative(path, self.root) for path in files}
        return found

    def _single(self, record: Mapping[str, Any]) -> list[str]:
        named = {relative(path, self.root) for path in self.writer.shared}
        return sorted(named | set(record.get("single", ())))

    def _table(self, subject: str, name: str) -> Path:
        return self._tables.path(_place(subject, name))

    def _csv_of(self, subject: str, name: str) -> Path:
        return self._csv.path(_place(subject, name))


def _place(subject: str, name: str) -> PurePath:
    subject_file_name(subject)
    return place_of(subject, checked(name))


def ready(name: str, result: Result) -> list[Ready]:
    """The subjects of the source ``name``, ready to be written."""
    found = []
    for prediction, filled in zip(result.predictions, result.written, strict=True):
        about = {"subject": prediction.subject, **result.about}
        if prediction.au_thresholds is not None:
            about["au_thresholds"] = prediction.au_thresholds.tolist()
        found.append(Ready(prediction, filled, about, _place(prediction.subject, name)))
    return found


def _subjects(record: Mapping[str, Any]) -> Sequence[str]:
    subjects: Sequence[str] = record.get("subjects", ())
    return subjects
