"""The challenge's text files: written, and read back strictly."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import (
    DEFAULT_EDITION,
    TRACKS,
    Edition,
    check_choice,
    edition_named,
)
from avaffect.challenge.header import column_order
from avaffect.errors import AvaffectError, FormatError, UsageError
from avaffect.files.atomic import atomic_path
from avaffect.files.outside import lines, reading
from avaffect.tasks.registry import task_named
from avaffect.tasks.task import Task

_CHUNK = 8192
_MOST_KNOWN = 100_000
_LONGEST_NAME = 240
# What Windows takes for a device or a drive, whatever stands behind it.
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?|[a-z]:.*", re.I)
_Row = Sequence[float]


class SubjectLabels(Protocol):
    """What is written of a subject: `predictions.prediction.Prediction` has it all."""

    @property
    def subject(self) -> str:
        """The subject's name, e.g. ``video_left``."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """What is predicted of it."""

    def labels(self, task: str, targets: Sequence[str]) -> NDArray[Any]:
        """What the values of some of the task's targets come to, see `tasks.task.Task.decide`."""


def subject_file_name(subject: str) -> str:
    """``<subject>.txt`` for a name that is safe as a file name, on every system.

    Raises:
        UsageError: empty, ``.``, ``..``, with a path separator or a control character, not to be
            encoded, a device or drive of Windows, or too long for a file system.
    """
    if (
        subject in ("", ".", "..")
        or any(c in "/\\" or ord(c) < 32 or ord(c) == 127 for c in subject)
        or any("\ud800" <= c <= "\udfff" and not "\udc80" <= c <= "\udcff" for c in subject)
        or _RESERVED.fullmatch(subject)
        or len(subject.encode(errors="replace")) > _LONGEST_NAME
    ):
        raise UsageError(f"a subject cannot be called {subject[:80]!r}", "rename the video file")
    return f"{subject}.txt"


def require_subjects(
    subjects: Iterable[str], path: Path, kind: type[AvaffectError] = FormatError
) -> None:
    """Raise ``kind`` unless all subjects that the record ``path`` names can be files."""
    for subject in subjects:
        try:
            subject_file_name(subject)
        except UsageError as error:
            raise kind(
                f"'{path}' names a subject that cannot be a file ({subject[:40]!a})",
                "do not use this folder: it was not written by avaffect",
            ) from error


def labels_of(
    prediction: SubjectLabels, task: str, edition: str = DEFAULT_EDITION
) -> NDArray[np.float64] | NDArray[np.int64]:
    """One subject's labels as the edition's files hold them.

    Returns:
        va: float64 [N, 2] in [-1, 1], -5 where there is none;
        expr: int64 [N], -1 for none; an edition of seven classes gets the best of the first
        seven, so that *Other* goes to the runner-up;
        au: int64 [N, K] of 0 and 1 for the edition's K action units, -1 for none.

    Raises:
        UsageError: the model does not predict the task, or the edition has an unknown AU.
    """
    chosen, ours = edition_named(edition), task_named(task)
    if task not in prediction.tasks:
        raise UsageError(
            f"the model does not predict '{task}'", "choose another task or another model"
        )
    chosen.require_predicted(task)
    return ours.to_rows(prediction.labels(task, chosen.targets(task)))


def write_challenge(
    prediction: SubjectLabels, task: str, out_dir: Path, edition: str = DEFAULT_EDITION
) -> Path:
    """Write ``<out_dir>/<the edition's folder>/<subject>.txt``: a header, then a row a frame.

    Raises:
        UsageError: see `labels_of` and `subject_file_name`.
        OutputError: the file cannot be written.
    """
    folder = edition_named(edition).folder(task)
    path = Path(out_dir) / folder / subject_file_name(prediction.subject)
    write_annotations(path, labels_of(prediction, task, edition), task, edition)
    return path


def write_annotations(
    path: Path,
    labels: NDArray[np.float64] | NDArray[np.int64],
    task: str,
    edition: str = DEFAULT_EDITION,
) -> None:
    """Write labels, coded as in `labels_of`, as one subject's file."""
    with atomic_path(path) as temporary, _open_text(temporary) as file:
        file.write(edition_named(edition).header(task) + "\n")
        for rows in _rows(labels, task_named(task)):
            file.write("".join(row + "\n" for row in rows))


class SingleFileWriter:
    """Appends subjects to one file. Made by `open_single`."""

    def __init__(self, file: IO[str], tasks: tuple[str, ...], edition: str) -> None:
        self._file = file
        self._tasks = tasks
        self._edition = edition
        self._subjects: set[str] = set()

    def add(self, prediction: SubjectLabels) -> None:
        """Append a row for every frame of a subject, ``<subject>/00001.jpg,...``.

        Raises:
            UsageError: a subject twice, or one whose name cannot stand in a list.
        """
        subject = prediction.subject
        subject_file_name(subject)
        if "," in subject or not subject.isprintable():
            raise UsageError(
                f"{subject!r} cannot stand in a list of images",
                'rename the video without commas and unreadable letters, or use form="files"',
            )
        if subject in self._subjects:
            raise UsageError(
                f"two subjects are called '{subject}'",
                "rename one of the videos: the rows of both would carry the same name",
            )
        self._subjects.add(subject)
        labels = [labels_of(prediction, task, self._edition) for task in self._tasks]
        tasks = map(task_named, self._tasks)
        parts = [_rows(values, task) for values, task in zip(labels, tasks, strict=True)]
        frame = 0
        for chunks in zip(*parts, strict=True):
            lines = []
            for row in zip(*chunks, strict=True):
                frame += 1
                lines.append(f"{subject}/{frame:05d}.jpg,{','.join(row)}\n")
            self._file.write("".join(lines))


@contextmanager
def open_single(
    path: Path, task: str, edition: str = DEFAULT_EDITION
) -> Iterator[SingleFileWriter]:
    """A writer of one file for all subjects, complete when the block ends.

    Args:
        task: ``va``, ``expr`` or ``au`` for ``predictions.txt`` of ABAW5 and later, ``mtl`` for
            the multi-task file, whose rows are image, valence, arousal, expression, 12 AU.

    Raises:
        UsageError: the edition has no such file.
        OutputError: the file cannot be written.
    """
    tasks: tuple[str, ...]
    if task == "mtl":
        check_choice(edition, "mtl")
        header, tasks = "image,valence,arousal,expression,aus", TRACKS
    else:
        check_choice(edition, "single", (task,))
        header, tasks = f"image_location,{edition_named(edition).header(task)}", (task,)
    with atomic_path(path) as temporary, _open_text(temporary) as file:
        file.write(header + "\n")
        yield SingleFileWriter(file, tasks, edition)
        # Before the rename, so that a full disk is noticed in time.
        file.flush()


def single_path(out_dir: Path, task: str, edition: str = DEFAULT_EDITION) -> Path:
    """Where the single file of a task (or ``mtl``) belongs."""
    if task == "mtl":
        return Path(out_dir) / "MTL_Challenge" / "MTL_predictions.txt"
    return Path(out_dir) / edition_named(edition).folder(task) / "predictions.txt"


def read_annotations(
    path: Path,
    task: str,
    edition: str = DEFAULT_EDITION,
    on_error: Callable[[FormatError], None] | None = None,
) -> NDArray[np.float64] | NDArray[np.int64]:
    """Read one subject's file by position, as the challenge's readers do.

    Where line 1 has known names in another order, the columns are put in order, see
    `challenge.header`. Blank lines at the end are no rows.

    Bounds: `outside.MOST_ROWS` lines of at most `outside.LONGEST_LINE` bytes.

    Args:
        path: the file.
        task: ``va``, ``expr`` or ``au``.
        edition: an edition of ``challenge.editions``.
        on_error: gets the error of every line that does not fit, whose row is then invalid; None
            raises the first.

    Returns:
        labels coded as in `labels_of`: float64 [N, 2] for va, int64 [N] for expr,
        int64 [N, K] for au.

    Raises:
        InputNotFoundError: there is no such file.
        FormatError: a line that does not fit, or a header that names other columns; the message
            names file and line.
    """
    chosen, ours = edition_named(edition), task_named(task)
    path = Path(path)
    columns, width = chosen.columns(task), len(chosen.targets(task))
    invalid = [ours.invalid] * columns
    values: array[Any] = array("q" if ours.row_dtype == "int64" else "d")
    # Labels repeat from frame to frame: most lines are known already.
    known: dict[bytes, _Row] = {}
    order: Sequence[int] | None = None
    # How many blank lines came last: at the end they are no rows.
    blank = 0

    def wrong(number: int, error: ValueError) -> None:
        found = _misfit(path, number, error, chosen, task)
        if on_error is None:
            raise found from error
        on_error(found)
        if number > 1:
            values.extend(invalid)

    with reading(path), path.open("rb") as file:
        number = 0
        try:
            for number, raw in enumerate(lines(file), start=1):
                row = known.get(raw)
                if row is not None and not blank:
                    values.extend(row)
                    continue
                if number > 1 and not raw.strip():
                    blank += 1
                    continue
                for line in range(number - blank, number):
                    wrong(line, UsageError("the line is empty"))
                blank = 0
                try:
                    # The codec "utf-8-sig" does the same in five times the time.
                    fields = raw.decode().removeprefix("\ufeff").strip().split(",")
                    if number == 1:
                        _check_header(fields)
                        order = column_order(fields, task, chosen)
                        continue
                    if len(fields) != columns:
                        raise UsageError(f"{len(fields)} values where {columns} are expected")
                    if order is not None:
                        fields = [fields[at] for at in order]
                    row = ours.parse(fields, width)
                    if len(known) < _MOST_KNOWN:
                        known[raw] = row
                    values.extend(row)
                except ValueError as error:
                    wrong(number, error)
        except UsageError as error:  # of the lines themselves
            raise _misfit(path, number + 1, error, chosen, task) from error
    return np.array(values, ours.row_dtype).reshape(ours.shape(-1, columns))


def _open_text(path: Path) -> IO[str]:
    return path.open("w", encoding="utf-8", newline="\n")


def _rows(labels: NDArray[np.float64] | NDArray[np.int64], task: Task) -> Iterator[list[str]]:
    """The rows as text without line ends, some thousand at a time."""
    for start in range(0, len(labels), _CHUNK):
        yield task.text(labels[start : start + _CHUNK])


def _check_header(fields: list[str]) -> None:
    try:
        [float(text) for text in fields]
    except ValueError:
        return
    raise UsageError("numbers where the header is expected")


def _misfit(
    path: Path, number: int, error: ValueError, edition: Edition, task: str
) -> FormatError:
    reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
    return FormatError(
        f"'{path}' line {number}: {reason}",
        f"a file of {edition.name} has the header '{edition.header(task)}' and then one row a "
        "frame",
    )
