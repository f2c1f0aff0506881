"""What can be wrong with a submission, and what to do about it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from avaffect.errors import UsageError

ADVICE = {
    "missing file": "predict this track too; `avaffect submit` makes the file",
    "unexpected file": "leave it out",
    "file name": "rename the file",
    "missing rows": "predict these frames too, with or without a face (the last one or two of a "
    "track are filled by `avaffect submit`)",
    "unexpected rows": "leave them out; `avaffect submit` does",
    "order": "bring the rows into the template's order; `avaffect submit` does",
    "duplicate rows": "keep one row an image",
    "row": "write <track>/00001.jpg, a comma and the values",
    "value": "write plain numbers",
    "range": "bring the values into range",
    "no prediction": 'predict with missing="linear", or allow such rows with allow_missing=True',
    "columns": "write as many values as the edition wants",
    "header": "write the edition's header; `avaffect submit` does",
    "column order": "bring the columns into the edition's order",
    "encoding": "save the file as UTF-8 without byte order mark; `avaffect submit` does",
    "line ends": r"end the lines with \n alone; `avaffect submit` does",
    "blanks": "write commas without blanks; `avaffect submit` does",
    "empty": "write a header and the rows",
    "too much": "give the rows of one test set, one row an image",
    "template": "give what was predicted; the organisers' sample says which rows there must be",
    "zip": "make the zip again; `avaffect submit` does",
    "zip folder": "put the files at the top of the zip; `avaffect submit` does",
    "zip junk": "leave out what the operating system adds; `avaffect submit` does",
    "zip path": "do not unpack this zip, make it again from the predictions",
    "zip size": "do not unpack this zip, make it again from the predictions",
}
KEPT_PER_KIND = 100


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        file: its name in the submission.
        line: from 1 on; 0 where no single line is wrong.
        kind: one of ``ADVICE``, which has what to do.
        text: what is wrong, in plain words.
    """

    file: str
    line: int
    kind: str
    text: str

    def __post_init__(self) -> None:
        if self.kind not in ADVICE:
            raise UsageError(f"no fault is called '{self.kind}'")

    @property
    def advice(self) -> str:
        """What to do about it."""
        return ADVICE[self.kind]


@dataclass
class Faults:
    """Counts all faults and keeps the first of each kind, however many there are.

    Attributes:
        counts: how many of each kind.
        kept: up to ``KEPT_PER_KIND`` of each kind, in the order they were found.
        total: how many there are.
    """

    counts: Counter[str] = field(default_factory=Counter)
    kept: list[Fault] = field(default_factory=list)
    total: int = 0

    def add(self, kind: str, file: str, line: int, text: str) -> None:
        """Add one; see `Fault`."""
        self.total += 1
        self.counts[kind] += 1
        if self.counts[kind] <= KEPT_PER_KIND:
            self.kept.append(Fault(file, line, kind, text))
