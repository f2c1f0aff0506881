"""What the organisers ask for: the rows or the files that a submission must have.

Three kinds of file are known by what they hold:

* a list of images (ABAW5 and later, multi-task): a row an image below one header line, with a bare
  comma behind the image (ABAW5), with dummy values (ABAW6), or with nothing;
* a list of names (ABAW1 to 3, ``VA_test_set_release.txt``): a track a line;
* a list of names and how many rows each has (ABAW2,
  ``Expr_Challenge_video_and_total_number_of_frames.txt``).

Lists have up to a million rows, so an image is one number here; see `ImageKeys`.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import TRACKS, edition_named
from avaffect.challenge.image_rows import check_subject, parse_image
from avaffect.errors import FormatError, UnknownNameError, UsageError, boundary
from avaffect.files.outside import LONGEST_LINE, MOST_SUBJECTS, reading, require_rows
from avaffect.tasks.registry import TASKS

MTL = "mtl"
SINGLE_FILE = {"single": "predictions.txt", "mtl": "MTL_predictions.txt"}
_FRAME_BITS = 32
_BLOCK = 1 << 18
_COUNTED = re.compile(r"(\S+?)[\s,;:]+([0-9]{1,9})")
_FILE_SUFFIXES = (".txt", ".mp4", ".avi")
_MTL_HEADER = "image,valence,arousal,expression,aus"


def submission_form(edition: str, task: str) -> str:
    """How an edition takes the predictions of a task: one of ``editions.FORMATS``.

    ``files``: one a track (ABAW1 to 3); ``single``: one ``predictions.txt`` (ABAW5 and later);
    ``mtl``: one ``MTL_predictions.txt``.

    >>> submission_form("abaw3", "va"), submission_form("abaw6", "va")
    ('files', 'single')

    Raises:
        UnknownNameError: no such edition or task.
        UsageError: the edition does not have the task.
    """
    formats = edition_named(edition).formats
    if task not in (*TASKS, MTL):
        raise UnknownNameError("task", task, (*TASKS, MTL))
    for form in ("mtl",) if task == MTL else ("single", "files"):
        if form in formats:
            return form
    has = "va, expr and au" if task == MTL else 'the multi-task track alone (task="mtl")'
    raise UsageError(
        f"edition {edition} takes no submissions of task '{task}'",
        f"it has {has}: choose another edition or task",
    )


def submission_header(edition: str, task: str) -> str:
    """The first line of a submitted file."""
    form = submission_form(edition, task)
    if form == "mtl":
        return _MTL_HEADER
    header = edition_named(edition).header(task)
    return f"image_location,{header}" if form == "single" else header


def columns(edition: str, task: str) -> int:
    """How many values a row has behind the image."""
    chosen = edition_named(edition)
    names = TRACKS if task == MTL else (task,)
    return sum(chosen.columns(name) for name in names)


class ImageKeys:
    """Numbers for images: ``subject's place << 32 | frame``, so that a million fit into 8 MB.

    Args:
        subjects: those whose places are known already.
    """

    def __init__(self, subjects: Iterable[str] = ()) -> None:
        self.places = {subject: place for place, subject in enumerate(subjects)}
        self._subject = self._next = ""
        self._last = self._frame = 0

    def key(self, image: str) -> int:
        """The number of ``<subject>/00001.jpg``; new subjects get the next place.

        Raises:
            UsageError: it is no image, or its number is not written with five digits.
        """
        # Nearly every row is the frame after the one before.
        if image == self._next:
            self._last += 1
            self._frame += 1
        else:
            subject, frame = parse_image(image)
            written = image_name(subject, frame)
            if image != written:
                raise UsageError(f"'{image[:60]}' is written '{written[:60]}' by the organisers")
            self._last = self.of(subject, frame)
            self._subject, self._frame = subject, frame
        self._next = f"{self._subject}/{self._frame + 1:05d}.jpg"
        return self._last

    def of(self, subject: str, frame: int) -> int:
        """The number of a frame, from 1 on.

        Raises:
            UsageError: the subject cannot stand in a list or be a file's name.
        """
        if subject not in self.places:
            if len(self.places) >= MOST_SUBJECTS:
                raise UsageError(f"there are more than {MOST_SUBJECTS:,} subjects")
            check_subject(subject)
            self.places[subject] = len(self.places)
        return self.places[subject] << _FRAME_BITS | frame


def image_name(subject: str, frame: int) -> str:
    """The image of a frame, as lists name it.

    >>> image_name("video_left", 12)
    'video_left/00012.jpg'
    """
    return f"{subject}/{frame:05d}.jpg"


def frame_of(key: int | np.int64) -> int:
    """The frame of a number of `ImageKeys`."""
    return int(key) & ((1 << _FRAME_BITS) - 1)


def place_of(key: int | np.int64) -> int:
    """The place of the subject of a number of `ImageKeys`."""
    return int(key) >> _FRAME_BITS


def places_of(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of the subjects of numbers of `ImageKeys`."""
    return keys >> _FRAME_BITS


def frames_of(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """The frames of numbers of `ImageKeys`."""
    return keys & ((1 << _FRAME_BITS) - 1)


def distinct_places(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of the subjects that are in ``keys``, rising."""
    return np.flatnonzero(np.bincount(places_of(keys)))


def distinct(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each of ``keys`` once, rising (a tenth of the time of np.unique, which hashes)."""
    keys = np.sort(keys)
    return keys[np.diff(keys, prepend=-1) != 0]


def track_keys(place: int, rows: int) -> NDArray[np.int64]:
    """The numbers of the frames 1 to ``rows`` of the subject at ``place``."""
    return (place << _FRAME_BITS) | np.arange(1, rows + 1, dtype=np.int64)


def line_batches(file: BinaryIO) -> Iterator[list[str]]:
    r"""The lines without their ``\n``, some thousand at a time; bytes that are no UTF-8 become
    lone surrogates. They may be as many as they like.

    Raises:
        UsageError: a line is longer than any row.
    """
    rest = b""
    while block := file.read(_BLOCK):
        whole, end, rest = (rest + block).rpartition(b"\n")
        if end:
            yield whole.decode("utf-8", "surrogateescape").split("\n")
        if len(rest) > LONGEST_LINE:
            raise UsageError(f"a line is longer than {LONGEST_LINE} bytes")
    if rest:
        yield [rest.decode("utf-8", "surrogateescape")]


@dataclass(frozen=True, eq=False)
class Template:
    """What a submission must have.

    Attributes:
        path: the template's file.
        form: ``files``, ``single`` or ``mtl``, see `submission_form`.
        subjects: the tracks, in order.
        header: the first line of the submitted file.
        keys: int64 [N], for lists of images: all rows in order, the subjects' places being those
            in ``subjects``. Empty for lists of names.
        counts: the number of rows by subject, where a list of names has it.
        dummy: the values of its first row, where it has any.
    """

    path: Path
    form: str
    subjects: tuple[str, ...]
    header: str
    keys: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: dict[str, int] = field(default_factory=dict)
    dummy: str = ""


@boundary()
def read_template(path: Path, task: str, edition: str) -> Template:
    """Read a list of images or of names, whichever it is.

    Bounds: `outside.MOST_ROWS` rows, listed or counted, `outside.MOST_SUBJECTS`, and
    ``LONGEST_LINE`` bytes a line.

    The header of a list is the one that the submission must have, if it names the task's columns.

    Args:
        path: the organisers' file.
        task: ``va``, ``expr``, ``au`` or ``mtl``.
        edition: an edition of ``challenge.editions``.

    Raises:
        InputNotFoundError: there is no such file.
        UsageError: the file is of another task, or of an edition that takes something else.
        FormatError: it is neither kind of list; the message names file and line.
    """
    path = Path(path)
    form = submission_form(edition, task)
    with _reading(path), path.open("rb") as file:
        start = _first_lines(file)
    listed = [at for at, line in enumerate(start[:2]) if _is_image_row(line)]
    _check_form(path, bool(listed), form, edition, task)
    header = submission_header(edition, task)
    if listed:
        given = start[0] if listed[0] else ""
        _check_task(path, given, start[listed[0]], task, edition)
        header = given if _task_of(given) == task else header
        with _reading(path), path.open("rb") as file:
            subjects, keys = _read_images(file, skip=listed[0] > 0)
        dummy = start[listed[0]].partition(",")[2].strip(", ")
        return Template(path, form, subjects, header, keys, dummy=dummy)
    with _reading(path), path.open("rb") as file:
        counts = _read_names(file)
    known = {name: count for name, count in counts.items() if count is not None}
    return Template(path, form, tuple(counts), header, counts=known)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    hint = "give the organisers' file as it came: a list of images or of track names"
    with reading(path, FormatError, "is no template", hint):
        try:
            yield
        except UsageError as error:
            raise FormatError(f"'{path}' {error.problem}", hint) from error


def _first_lines(file: BinaryIO) -> list[str]:
    start: list[str] = []
    for batch in line_batches(file):
        start += batch[:2]
        if len(start) > 1:
            break
    if not any(line.strip() for line in start):
        raise UsageError("is empty")
    return [line.strip().removeprefix("\ufeff") for line in start[:2]]


def _is_image_row(line: str) -> bool:
    try:
        parse_image(line.partition(",")[0].strip())
    except ValueError:
        return False
    return True


def _check_form(path: Path, listed: bool, form: str, edition: str, task: str) -> None:
    if listed and form == "files":
        raise UsageError(
            f"'{path}' is a list of images, but {edition} takes one file a track of task '{task}'",
            "give the list of names (as VA_test_set_release.txt), or choose another edition",
        )
    if not listed and form != "files":
        raise UsageError(
            f"'{path}' is no list of images, but {edition} takes one file with a row an image",
            "give the organisers' sample of the file to submit (as ABAW_VA_test_set_sample.txt), "
            "not the list of videos",
        )


def _check_task(path: Path, header: str, row: str, task: str, edition: str) -> None:
    """Raise UsageError if the header or the dummy values are another task's."""
    values = row.partition(",")[2].strip(", ")
    width = len(values.split(",")) if values else 0
    by_width = {columns(edition, name): name for name in (*TASKS, MTL, task)}
    theirs = _task_of(header) or by_width.get(width, "") or ("something else" if width else "")
    if theirs and theirs != task:
        raise UsageError(
            f"'{path}' is a template of task '{theirs}', not '{task}'",
            "choose the other task, or give the template of this one",
        )
    if width not in (0, columns(edition, task)):
        raise UsageError(
            f"'{path}' has {width} values a row, {edition} has {columns(edition, task)} for "
            f"'{task}'",
            "choose the edition that the template comes from",
        )


def _task_of(header: str) -> str:
    """The task whose columns a list's header names, empty if it names none."""
    names = {name.strip() for name in header.split(",")}
    if "valence" in names and names & {"expression", "aus"}:
        return MTL
    return next((name for name, task in TASKS.items() if names & {*task.targets}), "")


def _read_images(file: BinaryIO, *, skip: bool) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    images = ImageKeys()
    keys = array("q")
    number = 0
    for batch in line_batches(file):
        for line in batch:
            number += 1
            text = line.partition(",")[0].strip()
            if number == 1:
                text = text.removeprefix("\ufeff")
            if (number == 1 and skip) or not text:
                continue
            try:
                require_rows(len(keys) + 1)
                keys.append(images.key(text))
            except ValueError as error:
                raise UsageError(f"line {number}: {error}") from None
    return tuple(images.places), np.array(keys, np.int64)


def _read_names(file: BinaryIO) -> dict[str, int | None]:
    lines: list[tuple[int, str]] = []
    for number, line in enumerate((line for batch in line_batches(file) for line in batch), 1):
        if line.strip():
            lines.append((number, line.strip().removeprefix("\ufeff")))
        if max(len(lines), number // 100) > MOST_SUBJECTS:
            raise UsageError(f"has more than {MOST_SUBJECTS:,} names")
    counted = [(number, _COUNTED.fullmatch(line)) for number, line in lines]
    # The first line may be a header of the two columns.
    pairs = counted[1:] if len(counted) > 1 and counted[0][1] is None else counted
    found: dict[str, int | None] = {}
    named: list[tuple[int, str, int | None]]
    if all(match is not None for _, match in pairs):
        named = [(number, match[1], int(match[2])) for number, match in pairs if match is not None]
    else:
        named = [(number, line, None) for number, line in lines]
    require_rows(sum(count or 0 for _, _, count in named))
    for number, name, count in named:
        name = name[:-4] if name.lower().endswith(_FILE_SUFFIXES) else name
        try:
            check_subject(name)
        except ValueError as error:
            raise UsageError(f"line {number}: {error}") from None
        if found.setdefault(name, count) != count:
            raise UsageError(f"line {number}: '{name}' has {found[name]} rows and {count} rows")
    return found
