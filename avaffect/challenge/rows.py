"""The rows of a submission, read so that every fault in its files is found."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import edition_named
from avaffect.challenge.faults import Faults
from avaffect.challenge.header import column_order
from avaffect.challenge.templates import (
    ImageKeys,
    distinct_places,
    line_batches,
    submission_header,
)
from avaffect.challenge.values import BadValuesError, are_numbers, value_check
from avaffect.files.outside import MOST_ROWS

# What is read of a submission, however large it is: after so many faults nobody wants the next.
MOST_FAULTS = 200_000
MOST_TEXT_BYTES = 256 << 20


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of a submission, in the order of its files.

    Attributes:
        subjects: the tracks; their places are those in ``keys``.
        files: the file that each track is in, by place.
        keys: int64 [N], the images, numbered as in `templates.ImageKeys`.
        lines: int64 [N], where each stands in its file.
        missing: bool [N], the row marks that there is no prediction.
    """

    subjects: tuple[str, ...]
    files: dict[int, str]
    keys: NDArray[np.int64]
    lines: NDArray[np.int64]
    missing: NDArray[np.bool_]
    _starts: NDArray[np.int64]
    _ends: NDArray[np.int64]
    _texts: bytes | bytearray

    def __len__(self) -> int:
        return len(self.keys)

    def texts(self, rows: NDArray[np.int64]) -> Iterator[str]:
        """The values of some rows, as they were written."""
        starts, ends = self._starts[rows].tolist(), self._ends[rows].tolist()
        for start, end in zip(starts, ends, strict=True):
            yield self._texts[start:end].decode()

    def take(self, which: NDArray[np.bool_]) -> Rows:
        """Some of the rows, by a mask [N]."""
        columns = ("keys", "lines", "missing", "_starts", "_ends")
        return replace(self, **{name: getattr(self, name)[which] for name in columns})

    def file(self, place: int) -> str:
        """The file that the track at ``place`` is in, its name if it is in none."""
        return self.files.get(place, self.subjects[place])


class RowReader:
    """Reads a submission's files, noting every fault instead of stopping at the first.

    Bounds, of all files together: `outside.MOST_ROWS`, ``MOST_FAULTS``, ``MOST_TEXT_BYTES`` of
    values, `outside.MOST_SUBJECTS`. What is beyond is not read, which is a fault.

    Args:
        task: ``va``, ``expr``, ``au`` or ``mtl``.
        edition: an edition of ``challenge.editions``.
        faults: where faults go.
        strict: whether the files must be as they are submitted; otherwise header, line ends, byte
            order mark and blanks may be as they like.
        subjects: those whose places are known already: the template's.
        header: the first line that is wanted; None for the edition's.
    """

    def __init__(
        self,
        task: str,
        edition: str,
        faults: Faults,
        *,
        strict: bool,
        subjects: Iterable[str] = (),
        header: str | None = None,
    ) -> None:
        self._check = value_check(task, edition)
        self._faults = faults
        self._strict = strict
        self._header = header or submission_header(edition, task)
        self._edition = edition
        self._task = task
        self._images = ImageKeys(subjects)
        self._files: dict[int, str] = {}
        self._keys = array("q")
        self._lines = array("q")
        self._missing = array("b")
        self._ends = array("q", [0])
        self._texts = bytearray()

    def read_list(self, file: BinaryIO, name: str) -> None:
        """Read a file with rows of ``<subject>/00001.jpg,values``."""
        first = len(self._keys)
        for number, text in self._data(file, name, lambda line: "/" in line.partition(",")[0], 1):
            image, _, values = text.partition(",")
            try:
                key = self._images.key(image)
            except ValueError as error:
                self._faults.add("row", name, number, str(error))
                continue
            self._add(name, key, number, values)
        places = distinct_places(np.array(self._keys[first:], np.int64))
        self._files |= dict.fromkeys(places.tolist(), name)

    def read_track(self, file: BinaryIO, name: str, subject: str) -> None:
        """Read the file of one subject, whose rows are the frames from 1 on."""
        try:
            key = self._images.of(subject, 0)
        except ValueError as error:
            self._faults.add("file name", name, 0, str(error))
            return
        self._files[self._images.places[subject]] = name
        for number, text in self._data(file, name, are_numbers):
            key += 1
            self._add(name, key, number, text)

    def rows(self) -> Rows:
        """All that was read."""
        ends = np.array(self._ends, np.int64)
        return Rows(
            tuple(self._images.places),
            dict(self._files),
            np.array(self._keys, np.int64),
            np.array(self._lines, np.int64),
            np.array(self._missing, bool),
            ends[:-1],
            ends[1:],
            self._texts,
        )

    def _add(self, name: str, key: int, number: int, values: str) -> None:
        missing = False
        try:
            missing = self._check(values)
        except BadValuesError as error:
            self._faults.add(error.kind, name, number, str(error))
        self._keys.append(key)
        self._lines.append(number)
        self._missing.append(missing)
        self._texts += values.encode("utf-8", "replace")
        self._ends.append(len(self._texts))

    def _data(
        self, file: BinaryIO, name: str, is_data: Callable[[str], bool], first: int = 0
    ) -> Iterator[tuple[int, str]]:
        """The lines below the header, with their numbers; values begin in column ``first``."""
        number = rows = crlf = 0
        # Of the empty lines behind the last one that holds something.
        first_empty = empty = 0
        try:
            for batch in line_batches(file):
                for text in batch:
                    number += 1
                    if self._full(name, number, empty):
                        return
                    if text[-1:] == "\r":
                        text = text[:-1]
                        crlf = crlf or number
                    if number == 1:
                        if "\0" in text:
                            self._faults.add("encoding", name, 1, "this is not text in UTF-8")
                            return
                        text = self._without_mark(name, text)
                        if not is_data(text):
                            self._check_header(name, text)
                            self._check_order(name, text.split(",")[first:])
                            continue
                        self._faults.add(
                            "header",
                            name,
                            1,
                            "the file begins with a row of data: the challenge's readers skip "
                            f"the first line, which should be '{self._header}'",
                        )
                    if not text or text.isspace():
                        first_empty = first_empty if empty else number
                        empty += 1
                        continue
                    if empty:
                        self._empty_lines(name, first_empty, empty)
                        empty = 0
                    rows += 1
                    if not self._strict and (" " in text or "\t" in text):
                        text = ",".join(value.strip() for value in text.split(","))
                    yield number, text
        except ValueError as error:
            self._faults.add("row", name, number + 1, str(error))
        if self._strict:
            self._empty_lines(name, first_empty, empty)
            if crlf:
                text = r"lines end with \r\n, as Windows writes them"
                self._faults.add("line ends", name, crlf, text)
        if not rows:
            what = "has a header and no rows" if number else "is empty"
            self._faults.add("empty", name, 0, f"the file {what}")

    def _empty_lines(self, name: str, first: int, count: int) -> None:
        for number in range(first, first + count):
            self._faults.add("row", name, number, "the line is empty")

    def _full(self, name: str, number: int, empty: int) -> bool:
        """Whether no more is read, which is a fault."""
        if (
            len(self._keys) < MOST_ROWS
            and self._faults.total + empty < MOST_FAULTS
            and len(self._texts) < MOST_TEXT_BYTES
        ):
            return False
        text = f"there are too many rows or faults to go on: nothing is read from line {number} on"
        self._faults.add("too much", name, number, text)
        return True

    def _without_mark(self, name: str, text: str) -> str:
        if text.startswith("\ufeff") and self._strict:
            self._faults.add("encoding", name, 1, "the file begins with a byte order mark")
        return text.removeprefix("\ufeff")

    def _check_header(self, name: str, text: str) -> None:
        if self._strict and text != self._header:
            shown = text[:120].encode("ascii", "replace").decode()
            wanted = f"the header is '{shown}' where {self._edition} wants '{self._header}'"
            if ",Neutral," in self._header:
                wanted += " (it names every class, though a row has one value)"
            self._faults.add("header", name, 1, wanted)

    def _check_order(self, name: str, header: list[str]) -> None:
        """A header with known names elsewhere: the rows are passed on by position."""
        try:
            if column_order(header, self._task, edition_named(self._edition)) is None:
                return
            text = f"the header '{','.join(header)[:120]}' names the columns in another order"
        except ValueError as error:
            text = str(error)
        self._faults.add("column order", name, 1, text)
