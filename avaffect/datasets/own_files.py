"""The files of a user's own data, and which of them is which clip's."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from avaffect.datasets.tables import SUFFIXES
from avaffect.errors import InputNotFoundError, UsageError
from avaffect.files.names import PROVENANCE
from avaffect.files.outside import real_path
from avaffect.files.picture_file import PICTURES, is_picture
from avaffect.store.pictures import is_numbered

LABEL_SUFFIXES = (*SUFFIXES, ".txt")
_SHOWN = 4


@dataclass(frozen=True)
class FeatureFiles:
    """The files of a folder that could be features.

    Attributes:
        folder: the folder.
        stores: folders of the feature store.
        tables: files.
        pictures: by folder, the names of the pictures in it.
    """

    folder: Path
    stores: tuple[Path, ...]
    tables: tuple[Path, ...]
    pictures: Mapping[Path, Sequence[str]]

    @classmethod
    def find(cls, folder: Path, others: set[Path]) -> FeatureFiles:
        """All in ``folder`` and the folders in it but ``others``.

        Raises:
            InputNotFoundError: there is no such folder, or nothing in it.
        """
        if not folder.is_dir():
            raise InputNotFoundError(
                f"there is no folder '{folder}'", "name the folder of features"
            )
        left_out = {real_path(path) for path in others}
        stores: list[Path] = []
        tables: list[Path] = []
        pictures: dict[Path, list[str]] = {}
        for parent, names in _walk(folder):
            if PROVENANCE in names:
                stores.append(parent)
                continue
            found = _with_suffix(parent, names, SUFFIXES)
            tables += [path for path in found if real_path(path) not in left_out]
            if faces := [name for name in names if is_picture(name)]:
                pictures[parent] = faces
        if not (stores or tables or pictures):
            raise InputNotFoundError(
                f"'{folder}' holds no features",
                "it should hold preprocessed folders, tables that end in "
                f"{', '.join(SUFFIXES)}, or pictures ({', '.join(PICTURES)})",
            )
        # Those beside stores are theirs.
        return cls(folder, tuple(stores), tuple(tables), {} if stores else pictures)

    @property
    def names(self) -> set[str]:
        """The possible names of clips."""
        if self.stores:
            return {path.name for path in self.stores}
        stems = {name.rpartition(".")[0] for names in self.pictures.values() for name in names}
        folders = {path.name for path in self._frame_folders}
        return {path.stem for path in self.tables} | stems | folders

    @property
    def _frame_folders(self) -> list[Path]:
        """Folders of numbered pictures."""
        return [
            path
            for path, names in self.pictures.items()
            if path != self.folder and any(map(is_numbered, names))
        ]

    def by_clip(self, labelled: Collection[str]) -> tuple[dict[str, Path], list[str]]:
        """The store, table, picture or folder of pictures of each clip; and notes.

        Stores if there are any, else tables, unless there are pictures too and no table is called
        as a label is. Of pictures, each is a clip, unless a folder of them is called as a label
        is: then each folder is.

        Args:
            labelled: the clips with labels.

        Raises:
            UsageError: two clips of one name.
        """
        tables = {path.stem for path in self.tables}
        if self.stores:
            return by_name(self.stores), note(
                "{} beside preprocessed folders left out: {}", self.tables
            )
        if self.tables and not (self.pictures and tables.isdisjoint(labelled)):
            return by_name(self.tables), note(
                "{} of pictures beside tables left out: {}",
                (path / name for path, names in self.pictures.items() for name in names),
            )
        folders = self._frame_folders
        if not {path.name for path in folders}.isdisjoint(labelled):
            return by_name(folders), []
        return by_name(path / name for path, names in self.pictures.items() for name in names), []


def label_files(folder: Path) -> dict[str, Path]:
    """The tables in ``folder`` and the folders in it, by clip.

    Raises:
        UsageError: two clips of one name.
    """
    return by_name(files_with(folder, LABEL_SUFFIXES))


def files_with(folder: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    """The files in ``folder`` and the folders in it that end so, but those of a feature store."""
    for parent, names in _walk(folder):
        if PROVENANCE not in names:
            yield from _with_suffix(parent, names, suffixes)


def _walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """``folder`` and each in it, and the files there; hidden ones are left out."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(parent), sorted(name for name in names if not name.startswith("."))


def _with_suffix(folder: Path, names: Iterable[str], suffixes: Sequence[str]) -> list[Path]:
    return [folder / name for name in names if name.lower().endswith(tuple(suffixes))]


def by_name(paths: Iterable[Path]) -> dict[str, Path]:
    """Paths by what clips they are: a folder's name, a file's without its suffix.

    Raises:
        UsageError: two of one name.
    """
    found: dict[str, Path] = {}
    for path in paths:
        name = path.name if path.is_dir() else path.stem
        if name in found:
            raise UsageError(
                f"two files are called '{name}': '{found[name]}' and '{path}'",
                "rename one, or keep features and labels in two folders",
            )
        found[name] = path
    return found


def note(text: str, names: Iterable[object]) -> list[str]:
    """A note on clips or files, if there are any; the first ones are named."""
    found = sorted(map(str, names))
    if not found:
        return []
    more = ", ..." if len(found) > _SHOWN else ""
    count = f"{len(found)} clip{'s' if len(found) > 1 else ''}"
    return [text.format(count, ", ".join(found[:_SHOWN]) + more)]
