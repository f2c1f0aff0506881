"""Finding and reading the files that a submission is made of, or is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.editions import EDITIONS, edition_named
from avaffect.challenge.faults import Faults
from avaffect.challenge.image_rows import is_image_list
from avaffect.challenge.layout import is_annotation
from avaffect.challenge.places import files_in, joined
from avaffect.challenge.rows import RowReader, Rows
from avaffect.challenge.templates import (
    MTL,
    SINGLE_FILE,
    Template,
    distinct,
    places_of,
    submission_form,
    submission_header,
    track_keys,
)
from avaffect.challenge.zip import (
    damage_noted,
    match_names,
    open_member,
    opened_zip,
    plain_name,
    usable_members,
)
from avaffect.errors import InputNotFoundError, UsageError
from avaffect.files.outside import reading

_START = 8192
_Opener = Callable[[], AbstractContextManager[BinaryIO]]
_Openers = Mapping[str, _Opener]


@dataclass(frozen=True)
class Wish:
    """What is to be submitted.

    Attributes:
        task: ``va``, ``expr``, ``au`` or ``mtl``.
        edition: an edition of ``challenge.editions``.
        template: what the organisers ask for, if it is known.
        allow_missing: whether rows may have no prediction.

    Raises:
        UsageError: the edition does not have the task.
    """

    task: str
    edition: str
    template: Template | None
    allow_missing: bool

    def __post_init__(self) -> None:
        submission_form(self.edition, self.task)

    @property
    def form(self) -> str:
        """See `templates.submission_form`."""
        return submission_form(self.edition, self.task)

    @property
    def subjects(self) -> tuple[str, ...]:
        """The tracks of the template."""
        return self.template.subjects if self.template else ()

    @property
    def holds(self) -> str:
        """What the template lists: ``rows``, ``tracks`` alone, or nothing if there is none."""
        if self.template is None:
            return ""
        return "rows" if len(self.template.keys) or self.template.counts else "tracks"

    @property
    def header(self) -> str:
        """The first line of each file."""
        if self.template:
            return self.template.header
        return submission_header(self.edition, self.task)

    @property
    def top(self) -> str:
        """The folder in the zip: ABAW1 has one."""
        return edition_named(self.edition).folder(self.task) if self.edition == "abaw1" else ""

    def reader(self, faults: Faults, *, strict: bool) -> RowReader:
        """What reads its files."""
        return RowReader(
            self.task,
            self.edition,
            faults,
            strict=strict,
            subjects=self.subjects,
            header=self.header,
        )

    def keys(self, rows: Rows) -> NDArray[np.int64]:
        """int64 [N], the images that there must be, in order.

        Where nothing else is known, those of ``rows``.
        """
        if self.template is not None and self.form != "files":
            return self.template.keys
        counts = self.template.counts if self.template else {}
        places, first = np.unique(places_of(rows.keys), return_index=True)
        seen = places[np.argsort(first)].tolist()
        known = distinct(rows.keys)
        edges = np.searchsorted(places_of(known), np.arange(len(rows.subjects) + 1))
        parts = [
            track_keys(place, counts[rows.subjects[place]])
            if rows.subjects[place] in counts
            else known[edges[place] : edges[place + 1]]
            for place in (range(len(self.subjects)) if self.template else seen)
        ]
        return np.concatenate([np.zeros(0, np.int64), *parts])


def find_predictions(path: Path, wish: Wish) -> tuple[bool, dict[str, Path]]:
    """Whether predictions are a list of images, and the file or files by name.

    Args:
        path: what `submit` takes.
        wish: what they are for.

    Raises:
        InputNotFoundError: there are none.
        UsageError: it is not clear which are meant.
    """
    if path.is_file():
        listed = is_image_list(path) or (wish.form != "files" and not _is_track(path))
        return listed, {path.name: path}
    if not path.is_dir():
        raise InputNotFoundError(f"there is no file or folder '{path}'", "check the path")
    folders = ["MTL_Challenge"]
    if wish.task != MTL:
        own = edition_named(wish.edition).folder(wish.task)
        folders = [own, *(edition.folder(wish.task) for edition in EDITIONS.values())]
    names = (
        [SINGLE_FILE["mtl"], SINGLE_FILE["single"]] if wish.task == MTL else ["predictions.txt"]
    )
    for place in (*(path / name for name in dict.fromkeys(folders)), path):
        lists = [place / name for name in names if (place / name).is_file()]
        tracks = {} if wish.task == MTL else _tracks(place)
        if lists and tracks:
            raise UsageError(
                f"'{place}' has both '{lists[0].name}' and files of tracks",
                "give the one that is meant, or move the other away",
            )
        if lists:
            return True, {lists[0].name: lists[0]}
        if tracks:
            return False, tracks
    form = "mtl" if wish.task == MTL else "files"
    raise InputNotFoundError(
        f"there are no predictions of task '{wish.task}' in '{path}'",
        f'give what was predicted with form="{form}", or a folder with {names[0]}',
    )


def _tracks(folder: Path) -> dict[str, Path]:
    """The files that may be those of tracks, whatever the case of their suffix, by their names.

    In the challenge's folders they may lie in folders, see `challenge.places`.
    """
    names = {name for edition in EDITIONS.values() for name in edition.folders.values()}
    found: dict[str, Path] = {}
    for place, path in files_in(folder, deep=folder.absolute().name in names):
        if path.suffix.lower() not in (".txt", ".csv"):
            continue
        if not is_annotation(path.with_suffix(".txt")):
            continue
        if (first := found.setdefault(joined(place), path)) != path:
            raise UsageError(
                f"'{first}' and '{path}' are of the same track", "move one of them away"
            )
    return found


def _is_track(path: Path) -> bool:
    """Whether the second line has numbers alone."""
    with reading(path), path.open("rb") as file:
        file.readline(_START)
        second = file.readline(_START).decode("utf-8", "replace").strip()
    try:
        return bool([float(value) for value in second.split(",")])
    except ValueError:
        return False


def read_files(
    files: Mapping[str, Path], wish: Wish, faults: Faults, *, listed: bool, strict: bool
) -> Rows:
    """The rows of files on the disk.

    Args:
        files: what `find_predictions` found.
        wish: what they are for.
        faults: where faults go.
        listed: whether it is a list of images.
        strict: see `RowReader`.

    Raises:
        FormatError: a file cannot be read.
    """
    reader = wish.reader(faults, strict=strict)
    openers = {name: _opener(path) for name, path in files.items()}
    if listed:
        for name, opener in openers.items():
            with opener() as file:
                reader.read_list(file, name)
    else:
        _read_tracks(openers, wish, reader, faults, strict=strict)
    return reader.rows()


def _read_tracks(
    openers: _Openers, wish: Wish, reader: RowReader, faults: Faults, *, strict: bool
) -> None:
    subjects = wish.subjects if wish.template else sorted({plain_name(name) for name in openers})
    about_names = Faults()
    matched = match_names(openers, [f"{subject}.txt" for subject in subjects], about_names)
    for fault in about_names.kept:
        # Where a submission is made, what nobody asks for is left out.
        if strict or fault.kind != "unexpected file":
            faults.add(fault.kind, fault.file, fault.line, fault.text)
    for wanted, name in matched.items():
        with openers[name]() as file:
            reader.read_track(file, name, wanted.removesuffix(".txt"))


def read_zip(path: Path, wish: Wish, faults: Faults) -> Rows:
    """The rows of a zip, which may be anything; see `read_files`.

    Bounds: see `submission_zip.opened_zip`, `submission_zip.usable_members` and `RowReader`.
    """
    reader = wish.reader(faults, strict=True)
    with opened_zip(path, faults) as archive:
        members = usable_members(archive, faults, wish.top) if archive else {}
        openers = {
            name: _member_opener(archive, member) for name, member in members.items() if archive
        }
        with damage_noted(path, "holds a file that is damaged", faults):
            if wish.form == "files":
                _read_tracks(openers, wish, reader, faults, strict=True)
            else:
                single = SINGLE_FILE[wish.form]
                matched = match_names(openers, [single], faults)
                if archive and single not in matched:
                    faults.add("missing file", single, 0, f"there is no '{single}' in the zip")
                for name in matched.values():
                    with openers[name]() as file:
                        reader.read_list(file, name)
    if not openers and not faults.counts:
        faults.add("empty", path.name, 0, "there is no file in the zip")
    return reader.rows()


def _opener(path: Path) -> _Opener:
    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        with reading(path), path.open("rb") as file:
            yield file

    return opened


def _member_opener(archive: ZipFile, member: str) -> _Opener:
    return lambda: open_member(archive, member)
