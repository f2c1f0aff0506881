"""From predictions to the zip that is sent to the organisers, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from zipfile import is_zipfile

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.dummies import check_dummies
from avaffect.challenge.faults import Fault, Faults
from avaffect.challenge.row_order import (
    check_complete,
    check_gaps,
    check_missing,
    check_order,
    check_repeats,
    sources,
)
from avaffect.challenge.rows import Rows
from avaffect.challenge.submission_files import Wish, find_predictions, read_files, read_zip
from avaffect.challenge.submissions import Numbered, note_submission, require_free
from avaffect.challenge.templates import (
    SINGLE_FILE,
    distinct_places,
    frames_of,
    image_name,
    place_of,
    places_of,
    read_template,
)
from avaffect.challenge.zip import is_own_zip, write_zip
from avaffect.errors import UsageError, boundary
from avaffect.files.atomic import atomic_path
from avaffect.files.hashing import file_sha256
from avaffect.files.lock import alone_in
from avaffect.files.ours import require_own_file
from avaffect.progress import EventCallback, Notice, ignore_events

_BATCH = 8192
# Another process that writes a numbered submission into the folder is soon done.
_WAIT_S = 60.0


@dataclass(frozen=True)
class Report:
    """What was found, and what was written.

    Attributes:
        form: how the edition takes the task, see `templates.submission_form`.
        file: the name of the single file, empty for ``files``.
        tracks, rows: how much was submitted.
        held: what it was held against: ``rows`` of a template, its ``tracks`` alone, or nothing.
        marked: rows without a prediction, marked as such.
        repeated: by track, how often its last row was repeated since the template lists more.
        left_out: rows that were not taken since the template does not list them.
        raw: True if what was checked is no submission yet, so that the faults are those of what
            `submit` would make of it.
        faults: the first of each kind.
        counts: how many there are of each kind.
        path: the zip that was written, None if there is none.
    """

    form: str
    file: str = ""
    tracks: int = 0
    rows: int = 0
    held: str = ""
    marked: int = 0
    repeated: Mapping[str, int] = field(default_factory=dict)
    left_out: int = 0
    raw: bool = False
    faults: tuple[Fault, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    path: Path | None = None


@boundary()
def submit(
    predictions: Path | str,
    out: Path | str,
    task: str,
    edition: str,
    template: Path | str | None = None,
    *,
    allow_missing: bool = False,
    number: int | None = None,
    overwrite: bool = False,
    on_event: EventCallback = ignore_events,
) -> Report:
    """Bring predictions into the edition's form and write the zip, if nothing is wrong with it.

    Values are passed on as they are written. Nothing is made up, but for one thing: where the
    template lists one or two frames behind the last of a track, that row is repeated.

    Args:
        predictions: a folder that ``predict`` wrote, a folder of ``<track>.txt``, one such file,
            or a list of images.
        out: the zip. It is written whole or not at all, and only if there are no faults.
        task: ``va``, ``expr``, ``au`` or ``mtl``.
        edition: an edition of ``challenge.editions``.
        template: the organisers' list of images or names; None to take what is there.
        allow_missing: let rows pass that have -5 or -1 for "no prediction".
        number: which of a team's five submissions in the track it is. What produced it is then
            written into ``submissions.json`` beside the zip, see ``challenge.submissions``; and
            ``out`` may be a folder.
        overwrite: replace another submission of that number.
        on_event: gets a warning if there is no template.

    Returns:
        what was written, or the faults.

    Raises:
        InputNotFoundError: there are no predictions, or no such template.
        UsageError: the edition does not have the task, the template is another's, or it is not
            clear which predictions are meant.
        FormatError: the template is none, or a file cannot be read.
        ForeignFileError: a file is there that is no submission of ours.
        OutputError: the zip cannot be written.
    """
    predictions, out = Path(predictions), Path(out)
    numbered = None if number is None else Numbered(task, edition, number, overwrite)
    if numbered is not None:
        out = numbered.zip_in(out)
    wish = _wish(task, edition, template, allow_missing, on_event)
    if is_zipfile(predictions):
        raise UsageError(
            f"'{predictions}' is a zip already", "only check it, or give what is in it"
        )
    if out.suffix.lower() != ".zip":
        raise UsageError(
            f"'{out}' does not end in .zip", 'name the zip to write, as out="NAME.zip"'
        )
    listed, files = find_predictions(predictions, wish)
    report, rows, keys, taken = _assemble(listed, files, wish)
    if report.counts:
        return report
    with ExitStack() as stack:
        if numbered is not None:
            stack.enter_context(alone_in(out.parent, wait=_WAIT_S))
        report = _write(report, rows, keys, taken, wish, out, numbered, on_event)
        if numbered is not None and report.path is not None:
            used = None if template is None else Path(template)
            note_submission(out, numbered, predictions, used, report.rows, on_event)
    return report


def _write(
    report: Report,
    rows: Rows,
    keys: NDArray[np.int64],
    taken: NDArray[np.int64],
    wish: Wish,
    out: Path,
    numbered: Numbered | None,
    on_event: EventCallback,
) -> Report:
    """Write the zip, unless what was written is not what it should be; the report of that."""
    require_own_file(out, is_own_zip)
    with suppress(_FaultyError), atomic_path(out) as temporary:
        write_zip(temporary, _contents(rows, keys, taken, wish))
        # What was written is read again, as the organisers will.
        faults = Faults()
        _hold(read_zip(temporary, wish, faults), wish, faults)
        if faults.counts:
            report = _report(wish, rows, faults)
            raise _FaultyError
        if numbered is not None:
            require_free(out.parent, numbered, file_sha256(temporary), on_event)
    return report if report.counts else replace(report, path=out)


@boundary()
def check_submission(
    path: Path | str,
    task: str,
    edition: str,
    template: Path | str | None = None,
    *,
    allow_missing: bool = False,
    on_event: EventCallback = ignore_events,
) -> Report:
    """Find everything that is wrong with a submission, or with what would become one.

    Args:
        path: a zip, whose content must be exactly as it is sent; or predictions as `submit` takes
            them. If these are in the edition's form they must be right as they are; otherwise the
            faults are those that would keep `submit` from making a zip.
        task: ``va``, ``expr``, ``au`` or ``mtl``.
        edition: an edition of ``challenge.editions``.
        template: the organisers' list of images or names; None to take what is there.
        allow_missing: let rows pass that have -5 or -1 for "no prediction".
        on_event: gets a warning if there is no template.

    Raises:
        InputNotFoundError, UsageError, FormatError: as `submit`.
    """
    wish = _wish(task, edition, template, allow_missing, on_event)
    path = Path(path)
    faults = Faults()
    if path.is_file() and (path.suffix.lower() == ".zip" or is_zipfile(path)):
        rows = read_zip(path, wish, faults)
    else:
        listed, files = find_predictions(path, wish)
        if listed != (wish.form != "files"):
            return _assemble(listed, files, wish, raw=True)[0]
        rows = read_files(files, wish, faults, listed=listed, strict=True)
    _hold(rows, wish, faults)
    return _report(wish, rows, faults)


class _FaultyError(Exception):
    """What was written is not what it should be: leave no zip behind."""


def _wish(
    task: str,
    edition: str,
    template: Path | str | None,
    allow_missing: bool,
    on_event: EventCallback,
) -> Wish:
    read = None if template is None else read_template(Path(template), task, edition)
    wish = Wish(task, edition, read, allow_missing)
    if read is None:
        on_event(
            Notice(
                "no template: whether every track and row is there cannot be told; only the "
                "format, the ranges and gaps are checked",
                warning=True,
            )
        )
    return wish


def _hold(rows: Rows, wish: Wish, faults: Faults) -> None:
    """Hold the rows of a submission against the template, as strictly as can be."""
    if not wish.allow_missing:
        check_missing(rows, faults)
    # A file without rows needs no more faults.
    if not len(rows) and faults.counts:
        return
    _check_dummies(rows, wish, faults)
    if wish.template is not None:
        check_order(rows, wish.keys(rows), len(wish.subjects), faults)
    elif wish.form == "mtl":
        check_repeats(rows, wish.keys(rows), faults)
    else:
        check_gaps(rows, faults)


def _check_dummies(rows: Rows, wish: Wish, faults: Faults) -> None:
    """Only lists of images have samples with values."""
    if wish.form != "files":
        check_dummies(rows, wish.task, wish.template.dummy if wish.template else "", faults)


def _assemble(
    listed: bool, files: Mapping[str, Path], wish: Wish, *, raw: bool = False
) -> tuple[Report, Rows, NDArray[np.int64], NDArray[np.int64]]:
    """What is to be submitted: the report, all rows, the wanted images, and the row of each."""
    faults = Faults()
    rows = read_files(files, wish, faults, listed=listed, strict=False)
    keys = wish.keys(rows)
    taken, repeated = sources(rows, keys)
    used = rows.take(np.isin(rows.keys, keys))
    if not wish.allow_missing:
        check_missing(used, faults)
    _check_dummies(used, wish, faults)
    if len(rows) or not faults.counts:
        check_complete(rows, keys[~repeated], len(wish.subjects), faults)
        if wish.form == "files" or (wish.template is None and wish.form != "mtl"):
            check_gaps(used, faults)
        else:
            check_repeats(used, keys, faults)
    places, times = np.unique(places_of(keys[repeated]), return_counts=True)
    report = _report(
        wish,
        used,
        faults,
        keys=keys,
        repeated={
            rows.subjects[place]: count
            for place, count in zip(places.tolist(), times.tolist(), strict=True)
        },
        left_out=len(rows) - len(used),
        raw=raw,
    )
    return report, rows, keys, taken


def _report(
    wish: Wish,
    rows: Rows,
    faults: Faults,
    *,
    keys: NDArray[np.int64] | None = None,
    repeated: Mapping[str, int] | None = None,
    left_out: int = 0,
    raw: bool = False,
) -> Report:
    keys = rows.keys if keys is None else keys
    return Report(
        form=wish.form,
        file=SINGLE_FILE.get(wish.form, ""),
        tracks=len(distinct_places(keys)),
        rows=len(keys),
        held=wish.holds,
        marked=int(rows.missing.sum()),
        repeated=repeated or {},
        left_out=left_out,
        raw=raw,
        faults=tuple(faults.kept),
        counts=dict(faults.counts),
    )


def _contents(
    rows: Rows, keys: NDArray[np.int64], taken: NDArray[np.int64], wish: Wish
) -> Iterator[tuple[str, Iterable[str]]]:
    """The files of the zip: names, and pieces of text."""
    if wish.form != "files":
        yield SINGLE_FILE[wish.form], _list_text(rows, keys, taken, wish.header)
        return
    top = f"{wish.top}/" if wish.top else ""
    edges = np.flatnonzero(np.diff(places_of(keys))) + 1
    for part in np.split(np.arange(len(keys)), edges):
        subject = rows.subjects[place_of(keys[part[0]])]
        values = "".join(f"{text}\n" for text in rows.texts(taken[part]))
        yield f"{top}{subject}.txt", (wish.header, "\n", values)


def _list_text(
    rows: Rows, keys: NDArray[np.int64], taken: NDArray[np.int64], header: str
) -> Iterator[str]:
    yield f"{header}\n"
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH]
        columns = places_of(batch).tolist(), frames_of(batch).tolist()
        texts = rows.texts(taken[start : start + _BATCH])
        yield "".join(
            f"{image_name(rows.subjects[place], frame)},{text}\n"
            for place, frame, text in zip(*columns, texts, strict=True)
        )
