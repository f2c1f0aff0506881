"""A team's submissions: five a track, and what produced each, in a record beside the zips."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from avaffect.challenge.makers import makers_of
from avaffect.errors import FormatError, UsageError
from avaffect.files.atomic import write_json
from avaffect.files.hashing import file_sha256
from avaffect.files.names import SUBMISSIONS
from avaffect.files.outside import read_json, reading
from avaffect.progress import EventCallback, Notice, ignore_events
from avaffect.version import __version__

MOST = 5
"""Submissions that a team has in a track of an edition."""
_RECORD_VERSION = 1
_ENTRY = {
    "task": str,
    "edition": str,
    "number": int,
    "file": str,
    "sha256": str,
    "date": str,
    "predictions": str,
}
_SHAPE = {"version": object, "submissions": [_ENTRY]}


@dataclass(frozen=True)
class Numbered:
    """Which submission a zip is to be.

    Attributes:
        task: ``va``, ``expr``, ``au`` or ``mtl``.
        edition: an edition of ``challenge.editions``.
        number: from 1 to `MOST`.
        overwrite: whether it may replace another one of this number.

    Raises:
        UsageError: a number that no submission has.
    """

    task: str
    edition: str
    number: int
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.number <= MOST:
            raise UsageError(
                f"there is no submission {self.number}",
                f"a team has {MOST} in a track: choose a number from 1 to {MOST}",
            )

    def zip_in(self, out: Path) -> Path:
        """The zip to write: ``out``, or if that is a folder one called by track and number."""
        if out.suffix.lower() == ".zip":
            return out
        return out / f"{self.edition}_{self.task}_{self.number}.zip"


def read_submissions(folder: Path) -> list[dict[str, Any]]:
    """What was submitted from ``folder``, as its record says; empty without one.

    Bounds: as `outside.read_json`.

    Raises:
        FormatError: the record is damaged.
    """
    path, hint = folder / SUBMISSIONS, "mend it, or move it away"
    if not path.is_file():
        return []
    found = read_json(path, _SHAPE, FormatError, "is no record of submissions", hint)
    with reading(path, FormatError, "is no record of submissions", hint):
        if found["version"] != _RECORD_VERSION:
            raise UsageError(f"it is of version {found['version']}")
    entries: list[dict[str, Any]] = found["submissions"]
    return entries


def require_free(folder: Path, wish: Numbered, sha256: str, on_event: EventCallback) -> None:
    """Refuse a number that another zip has.

    Args:
        folder: where the record lies.
        wish: the number.
        sha256: of the zip that is to have it.
        on_event: gets a warning if another number has the same zip.

    Raises:
        UsageError: another zip has the number, and is not to be replaced.
        FormatError: the record is damaged.
    """
    mine = _of_track(read_submissions(folder), wish)
    held = next((entry for entry in mine if entry["number"] == wish.number), None)
    if held is not None and held["sha256"] != sha256 and not wish.overwrite:
        taken = {entry["number"] for entry in mine}
        free = [number for number in range(1, MOST + 1) if number not in taken]
        raise UsageError(
            f"submission {wish.number} of '{wish.task}' ({wish.edition}) is another one: "
            f"'{held['file']}' of {held['date'][:10]}",
            (f"choose number={free[0]}, or " if free else "all five are made: ")
            + "replace it with overwrite=True if it was not sent",
        )
    for entry in mine:
        if entry["sha256"] == sha256 and entry["number"] != wish.number:
            on_event(
                Notice(f"it is the same as submission {entry['number']}, byte for byte", True)
            )


def note_submission(
    zip_path: Path,
    wish: Numbered,
    predictions: Path,
    template: Path | None,
    rows: int,
    on_event: EventCallback = ignore_events,
) -> None:
    """Write down in the record beside ``zip_path`` what it is and what produced it.

    Raises:
        FormatError: the record is damaged.
        OutputError: it cannot be written.
    """
    folder = zip_path.parent
    others = [
        entry
        for entry in read_submissions(folder)
        if (entry["task"], entry["edition"], entry["number"])
        != (wish.task, wish.edition, wish.number)
    ]
    made_by = makers_of(predictions)
    if not made_by:
        on_event(
            Notice(
                f"what made '{predictions}' is not known, since no record of `avaffect predict` "
                "lies there: note it yourself"
            )
        )
    entry = {
        "task": wish.task,
        "edition": wish.edition,
        "number": wish.number,
        "file": zip_path.name,
        "sha256": file_sha256(zip_path),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "rows": rows,
        "predictions": str(predictions.absolute()),
        "template": template and {"file": template.name, "sha256": file_sha256(template)},
        "avaffect": __version__,
        "made_by": made_by,
    }
    every = sorted(
        [*others, entry], key=lambda each: (each["edition"], each["task"], each["number"])
    )
    write_json(folder / SUBMISSIONS, {"version": _RECORD_VERSION, "submissions": every})


def numbers_of(folder: Path, wish: Numbered) -> tuple[int, ...]:
    """The numbers of the track's submissions that were made, rising."""
    return tuple(entry["number"] for entry in _of_track(read_submissions(folder), wish))


def _of_track(entries: list[dict[str, Any]], wish: Numbered) -> list[dict[str, Any]]:
    of = (wish.task, wish.edition)
    return [entry for entry in entries if (entry["task"], entry["edition"]) == of]
