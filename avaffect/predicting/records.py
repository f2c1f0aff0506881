"""The records in an output folder of ``predict``: a JSON file a source, which names its files.

What no record names is not touched, see ``files.ours``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avaffect.challenge.places import checked, files_in, remove_empty
from avaffect.challenge.text import require_subjects, single_path
from avaffect.errors import AvaffectError, UsageError
from avaffect.files.atomic import write_json
from avaffect.files.names import RECORDS, TABLES
from avaffect.files.ours import read_claims, relative, write_claims
from avaffect.files.outside import read_kept
from avaffect.tasks.registry import TASKS

# Unfinished work in the output folder, and what it claims.
WORK = ".predict-work"
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
    "csv?": (str, None),
    "video?": {"name": str, "sha256": str},
}


@dataclass(frozen=True)
class Records:
    """The records of all sources, and what unfinished runs claim.

    Attributes:
        root: the output folder.
    """

    root: Path

    def path(self, name: str) -> Path:
        """Where the record of the source ``name`` lies."""
        return self.root / RECORDS / f"{checked(name)}.json"

    def names(self) -> list[str]:
        """The names of the sources that have a record."""
        found = []
        for place, _ in files_in(self.root / RECORDS):
            with suppress(UsageError):  # no source can be called so
                if place.suffix == ".json":
                    found.append(checked(place.with_suffix("")).as_posix())
        return found

    def read(self, name: str) -> dict[str, Any]:
        """The record of the source ``name``; empty if there is none.

        Bounds: as `outside.read_json`.

        Raises:
            FormatError: it may not be read, or names a subject whose files would lie elsewhere.
        """
        path = self.path(name)
        record: dict[str, Any] = read_kept(path, _SHAPE) or {}
        require_subjects(record.get("subjects", ()), path)
        return record

    def write(self, name: str, record: Mapping[str, Any]) -> None:
        """Replace the record of the source ``name``.

        Raises:
            OutputError: the disk does not take it.
        """
        write_json(self.path(name), record)

    def ours_of(self, name: str) -> set[str]:
        """The files of the source ``name`` that avaffect wrote or is about to, see `ours`."""
        return named_by(self.read(name)) | read_claims(self._claims(name))

    def results_of(self, name: str) -> set[str]:
        """The record of the source ``name`` and the files that it names, as `ours_of`."""
        return {relative(self.path(name), self.root), *self.ours_of(name)}

    def ours(self) -> set[str]:
        """The files that avaffect wrote here or is about to, relative to the folder."""
        found: set[str] = set()
        for name in self.names():
            found |= named_by(self.read(name))
        for place, path in files_in(self.root / WORK):
            if place.suffix == ".claims":
                found |= read_claims(path)
        return found

    def claim(self, name: str, files: Iterable[str]) -> None:
        """Write down what is about to be written for the source ``name``.

        Raises:
            OutputError: the disk does not take it.
        """
        write_claims(self._claims(name), files)

    def unclaim(self, name: str) -> None:
        """Forget the claim of the source ``name``: its record names the files."""
        claims = self._claims(name)
        with suppress(OSError):
            claims.unlink()
            remove_empty(claims.parent, self.root)

    def _claims(self, name: str) -> Path:
        return self.root / WORK / f"{checked(name)}.claims"


def named_by(record: Mapping[str, Any]) -> set[str]:
    """The files that a record names, relative to the output folder."""
    found = set(record.get("files", ()))
    if "single" in record:
        return found | set(record["single"])
    # Records of earlier versions do not name the files for all subjects.
    if found and all(file.startswith(f"{TABLES}/") for file in found):
        with suppress(AvaffectError):
            edition = str(record.get("edition"))
            places = [single_path(Path(), kind, edition) for kind in (*TASKS, "mtl")]
            found |= {path.as_posix() for path in places}
    return found
