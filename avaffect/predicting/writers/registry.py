"""The forms of output by name. Light to import: the help of the command lists them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from avaffect.challenge.editions import TRACKS, check_choice, edition_named
from avaffect.errors import UnknownNameError

if TYPE_CHECKING:
    from avaffect.predicting.writers.writer import Writer

DEFAULT_FORM = "files"
Build = Callable[[Path, str, tuple[str, ...]], "Writer"]


@dataclass(frozen=True)
class WriterEntry:
    """An entry of the registry: a form of output.

    Attributes:
        about: what is written, in a few words for the help.
        build: makes the writer, given output folder, edition and tasks. It imports what it needs
            when it is called.
        challenge: whether it is a form of the challenge, which not every edition has.
    """

    about: str
    build: Build
    challenge: bool = False


def _files(root: Path, edition: str, tasks: tuple[str, ...]) -> Writer:
    from avaffect.predicting.writers.subject_text import SubjectText

    return SubjectText(root, edition)


def _single(root: Path, edition: str, tasks: tuple[str, ...]) -> Writer:
    from avaffect.predicting.writers.shared_text import SharedText

    return SharedText(root, edition, tasks)


def _mtl(root: Path, edition: str, tasks: tuple[str, ...]) -> Writer:
    from avaffect.predicting.writers.shared_text import SharedText

    return SharedText(root, edition, ("mtl",))


def _csv(root: Path, edition: str, tasks: tuple[str, ...]) -> Writer:
    from avaffect.predicting.writers.csv_table import CsvTable

    return CsvTable(root)


def _parquet(root: Path, edition: str, tasks: tuple[str, ...]) -> Writer:
    from avaffect.predicting.writers.parquet_table import ParquetTable

    return ParquetTable(root)


WRITERS: dict[str, WriterEntry] = {
    "files": WriterEntry("a text file a subject and task", _files, challenge=True),
    "single": WriterEntry("one predictions.txt a task", _single, challenge=True),
    "mtl": WriterEntry("one file for all", _mtl, challenge=True),
    "csv": WriterEntry("nothing but tables", _csv),
    "parquet": WriterEntry("likewise; where no CSV is wanted, parquet alone", _parquet),
}


def build_writer(form: str, root: Path, edition: str, tasks: tuple[str, ...] = TRACKS) -> Writer:
    """The writer of a form.

    Args:
        form: a key of :data:`WRITERS`.
        root: the output folder.
        edition: whose headers, classes and folders the challenge's forms take.
        tasks: of which there are predictions.

    Raises:
        UnknownNameError: no such form.
    """
    return _entry(form).build(root, edition, tasks)


def require_form(form: str, edition: str, tasks: tuple[str, ...] = TRACKS) -> None:
    """Raise unless predictions of ``tasks`` can be written in this form.

    To be called before the long work, so that a wrong choice costs nothing.

    Raises:
        UnknownNameError: no such form, edition or task.
        UsageError: the edition does not have the form, or asks for more than is predicted.
    """
    edition_named(edition)
    if _entry(form).challenge:
        check_choice(edition, form, tasks)


def _entry(form: str) -> WriterEntry:
    if form not in WRITERS:
        raise UnknownNameError("format", form, WRITERS)
    return WRITERS[form]
