"""Where the features of a dataset's subjects lie: feature stores, pictures, own tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from avaffect.challenge.layout import source_video
from avaffect.datasets.own_files import files_with
from avaffect.datasets.own_subject import OwnSource
from avaffect.datasets.own_tables import OwnTables, named_folder
from avaffect.datasets.tables import SUFFIXES
from avaffect.errors import FeatureError, InputNotFoundError, UsageError, boundary
from avaffect.files.names import CROPS
from avaffect.store.pictures import PictureFolder, WithPictures, open_features
from avaffect.store.prepared import prepared_in

PREPROCESS = (
    "run `avaffect preprocess` on the videos (recursive=True looks into subfolders), and give the "
    "folder that it wrote as features=..."
)
Features = WithPictures | PictureFolder | OwnSource


@boundary()
def find_stores(features: Path) -> dict[str, Path]:
    """The feature stores that ``avaffect preprocess`` has written, by subject; none is opened.

    Where there is none, folders of pictures stand for them, as the organisers hand them out.

    Args:
        features: the output folder of several videos (``<video>/features/<subject>``, also below
            other folders) or of one (``features/<subject>``); or a folder of pictures
            (``cropped_aligned/<subject>`` or ``<subject>``, and in it ``00001.jpg`` ...).

    Returns:
        folders as ``store.pictures.open_features`` takes them.

    Raises:
        InputNotFoundError: there is no such folder.
        FeatureError: there is none of all that, or a subject has two.
    """
    features = Path(features)
    if not features.is_dir():
        raise InputNotFoundError(f"there is no folder '{features}'", PREPROCESS)
    found: dict[str, Path] = {}
    for path in _stores_in(features):
        if path.name in found:
            raise FeatureError(
                f"'{path.name}' has features in both '{found[path.name]}' and '{path}'",
                "move one of them away",
            )
        found[path.name] = path
    if not found:
        raise FeatureError(f"'{features}' holds no features", PREPROCESS)
    return found


def _stores_in(features: Path) -> list[Path]:
    stores = _subfolders(features, "features/*", "*/features/*")
    for deeper in prepared_in(features):
        if deeper.parent != features:
            stores += _subfolders(deeper, "features/*")
    pictures = () if stores else _subfolders(features, f"{CROPS}/*", "*")
    return stores or [folder for folder in pictures if PictureFolder(folder).exist]


def _subfolders(folder: Path, *patterns: str) -> list[Path]:
    """The folders that ``patterns`` find, without hidden ones, sorted."""
    found = sorted(path for pattern in patterns for path in folder.glob(pattern))
    seen = (path for path in found if "/." not in f"/{path.relative_to(folder).as_posix()}")
    return [path for path in seen if path.is_dir()]


def is_tables(text: str) -> bool:
    """Whether ``DIR`` or ``NAME=DIR`` is a folder of tables, and not of stores or pictures."""
    name, folder = named_folder(text)
    if name:
        return True
    path = Path(folder)
    if not path.is_dir() or _stores_in(path):
        return False
    return next(iter(files_with(path, SUFFIXES)), None) is not None


def store_for(subject: str, stored: Collection[str], annotated: Collection[str]) -> str | None:
    """Which of the ``stored`` subjects is the annotated ``subject``; None if none is.

    Of a video in which preprocessing saw one person and of which one is annotated, that person is
    meant, whatever side the name gives.
    """
    if subject in stored:
        return subject
    video = source_video(subject)
    alone = [name for name in annotated if source_video(name) == video] == [subject]
    return video if alone and video in stored else None


@dataclass(frozen=True)
class FeatureFolders:
    """Folders of features, by subject.

    Attributes:
        where: the folders, for messages.
        stores: feature stores or folders of pictures, by subject.
        tables: own tables beside them, or alone.
        stand_ins: subjects that got the features of the only person of their video.
    """

    where: str
    stores: dict[str, Path]
    tables: OwnTables | None = None
    stand_ins: list[str] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def find(
        cls, folders: Sequence[str], columns: Sequence[str] = (), time: str | None = None
    ) -> FeatureFolders:
        """What is in some folders: of stores or pictures one at the most, of tables any number.

        Args:
            folders: ``DIR``, or of tables ``NAME=DIR``.
            columns: which columns of tables are features; none takes all, see
                `row_files.RowFile.choose`.
            time: their column of seconds, of the frames of a store.

        Raises:
            InputNotFoundError, FeatureError: there is no such folder, or nothing in it.
            UsageError: two folders of stores, or names that do not go together.
        """
        of_tables = [text for text in folders if is_tables(text)]
        others = [text for text in folders if text not in of_tables]
        if len(others) > 1:
            raise UsageError(
                f"'{others[0]}' and '{others[1]}' both hold no tables",
                "of preprocessed folders or pictures give one, and any number of tables",
            )
        if (columns or time) and not of_tables:
            raise UsageError("columns=... are for tables of your own", "leave them out")
        stores = find_stores(Path(others[0])) if others else {}
        tables = None
        if of_tables:
            tables = OwnTables.find(of_tables, columns, time, alone=not others)
        return cls(", ".join(folders), stores, tables)

    def open(self, subject: str, annotated: Collection[str], side: int | None) -> Features | None:
        """The features of an annotated subject; None if there are none.

        Args:
            subject: the subject's name.
            annotated: everyone who is.
            side: see `store.pictures.Pictures`.

        Raises:
            FeatureError: a store that is unfinished or damaged.
            FormatError: a table that is not what it should be.
        """
        name = store_for(subject, self.stores, annotated)
        base = None if name is None else open_features(self.stores[name], side)
        if name is not None and name != subject:
            self.stand_ins.append(subject)
        if self.tables is None or (base is None and self.stores):
            return base
        frames, times = None, None
        if isinstance(base, WithPictures):
            frames, times = base.frames, base.times
        people = [name for name in annotated if source_video(name) == source_video(subject)]
        own = self.tables.clip(subject, people, frames, times)
        if own is None:
            return base
        return OwnSource(own, self.tables.models, base)
