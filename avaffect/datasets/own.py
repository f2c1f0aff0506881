"""A user's own data as a dataset: a folder of features, labels, and a column map."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from avaffect.datasets.clip import Clip, Dataset, FeatureSource
from avaffect.datasets.columns import ColumnMap, split_name
from avaffect.datasets.matching import nearest, overlap
from avaffect.datasets.own_files import FeatureFiles, label_files, note
from avaffect.datasets.table_labels import TableLabels, class_names
from avaffect.datasets.tables import Table, TableFeatures, read_any
from avaffect.errors import FormatError, UnknownNameError, UsageError, boundary
from avaffect.files.npy import Array, ArraySpec
from avaffect.files.outside import real_path
from avaffect.files.picture_file import is_picture
from avaffect.progress import EventCallback, Progress, ignore_events
from avaffect.store.pictures import (
    PictureFiles,
    PictureFolder,
    Pictures,
    open_features,
    side_of,
)
from avaffect.store.subject import SubjectFeatures
from avaffect.tasks.registry import TASKS

_SIDE = re.compile("_(left|right)$")
# So many labels more or fewer than rows of features are the slips of tools; more is another rate.
_FEW, _FEW_ROWS = 0.1, 10
# Of the labels, at least this share must lie within the time of the features.
_OVERLAP = 0.5


@boundary()
def load_own(
    features: Path,
    labels: Path,
    columns: ColumnMap,
    *,
    clips: Path | None = None,
    on_event: EventCallback = ignore_events,
) -> Dataset:
    """A dataset out of files that no challenge prescribes.

    Clips are matched by name: a file's without its suffix, a stored subject's own, that of a
    folder of pictures; pictures are brought to the size of the first clip's. Where features
    are tables, those of the first clip (by name) settle what the features are called, and all
    others must have them. Rows of features and labels are matched by position. Where their
    counts differ they are matched by time if both have times (the nearest label within half the
    labels' median step), else the shorter counts. What has no partner is left out; all this is
    listed in ``Dataset.notes``.

    Args:
        features: a folder of ``<clip>.csv``, ``.parquet`` or ``.npy`` with a row a frame, also in
            subfolders; or one of preprocessed folders; or one of pictures, ``<clip>.jpg`` or
            ``.png`` or a folder ``<clip>`` of ``00001.jpg`` ..., see `own_files.FeatureFiles`.
        labels: a folder of ``<clip>.csv``, ``.parquet``, ``.npy`` or ``.txt`` with a row a frame,
            which may be ``features`` itself; or one table with a row a clip, whose labels then
            hold for every frame (``Dataset.per_clip``).
        columns: what the columns mean.
        clips: a table with a row a clip that tells group, split, fold and stimulus; without it
            they are looked for in the labels. A clip without a group is its own, except that
            ``_left`` and ``_right`` of a video belong together.
        on_event: progress in clips.

    Raises:
        InputNotFoundError: a path that does not exist.
        UsageError: a map that does not fit, or features and labels without a common clip.
        FormatError: a table that is not what it should be; the message names file and line.
        FeatureError: a preprocessed folder or a first picture that is damaged.
    """
    if not columns.label_columns:
        raise UsageError(
            "no column is said to hold labels",
            "map one, as valence=COLUMN, expression=COLUMN or AU12=COLUMN",
        )
    found = FeatureFiles.find(features, {labels, *([clips] if clips else [])})
    known = found.names
    facts = None if clips is None else _ClipTable(read_any(clips), columns, known)
    whole = None if labels.is_dir() else _ClipTable(read_any(labels), columns, known)
    files = {} if whole else label_files(labels)
    labelled = whole.rows if whole else files
    sources, notes = found.by_clip(labelled)
    names = sorted(sources.keys() & labelled.keys())
    if not names:
        raise UsageError(
            f"no clip has both features and labels: features are called {_some(sources)}, "
            f"labels {_some(labelled)}",
            "files are matched by their names without suffix",
        )
    notes += note("{} without labels left out: {}", sources.keys() - labelled.keys())
    notes += note("{} without features left out: {}", labelled.keys() - sources.keys())

    everyone = TableLabels.read(whole.table, columns) if whole else None
    opener = _Opener(columns)
    matched: list[_Clip] = []
    for number, name in enumerate(names, start=1):
        opened = opener(sources[name])
        if everyone and whole:
            table, own = whole.table, everyone
            rows = np.full(opened.features.frames, whole.rows[name])
            by_time = False
        else:
            same = opened.table is not None and _same_file(opened.table.path, files[name])
            table = opened.table if same and opened.table else read_any(files[name])
            own = TableLabels.read(table, columns)
            opened = opened.lasting(table.rows)
            rows, by_time = _match(opened, table, columns)
        more = 0 if whole else table.rows - opened.features.frames
        where = _place(name, columns, facts, whole, table)
        matched.append(_Clip(name, opened.features, own, rows, where, more, by_time))
        on_event(Progress("clips", number, len(names), "clips", number == len(names)))

    notes += _differences(matched)
    targets = _targets(matched, columns, labels)
    return Dataset(
        tuple(clip.finish(targets) for clip in matched),
        targets,
        per_clip=whole is not None,
        about={
            "kind": "own",
            "features": str(features),
            "labels": str(labels),
            "clips": None if clips is None else str(clips),
            "columns": list(columns.pairs()),
            "inputs": list(opener.inputs),
        },
        notes=tuple(notes),
    )


class _Place(TypedDict):
    """Where a clip belongs, as `clip.Clip` takes it."""

    group: str
    split: str
    fold: int | None
    stimulus: str


@dataclass(frozen=True)
class _Clip:
    """A clip whose classes are not known yet.

    Attributes:
        rows: of ``labels``, for each row of features that counts; -1 for none.
        place: group, split, fold and stimulus.
        more: by how many the labels are more than the rows of features.
        by_time: whether they were matched by time.
    """

    name: str
    features: FeatureSource
    labels: TableLabels
    rows: NDArray[np.int64]
    place: _Place
    more: int
    by_time: bool

    def finish(self, targets: Mapping[str, Sequence[str]]) -> Clip:
        shorter = len(self.rows) < self.features.frames
        source = _FirstRows(self.features, len(self.rows)) if shorter else self.features
        return Clip(
            self.name, labels=self.labels.at(self.rows, targets), features=source, **self.place
        )


def _differences(found: Sequence[_Clip]) -> list[str]:
    text = "{} with more or fewer labels than rows of features, "
    timed, cut = (
        [f"{clip.name} ({clip.more:+d})" for clip in found if clip.more and clip.by_time == yes]
        for yes in (True, False)
    )
    return [
        *note(text + "matched by time: {}", timed),
        *note(text + "of which the shorter counts: {}", cut),
    ]


def _targets(
    found: Sequence[_Clip], columns: ColumnMap, labels: Path
) -> dict[str, tuple[str, ...]]:
    targets: dict[str, tuple[str, ...]] = {}
    for name, task in TASKS.items():
        mapped = columns.of(task)
        if not task.flat:
            targets |= {name: tuple(mapped)} if mapped else {}
            continue
        for what, column in mapped.items():
            texts = {text for clip in found for text in clip.labels.classes[name].texts}
            targets[name] = class_names(texts, columns, task)
            if not texts:
                raise FormatError(
                    f"no clip in '{labels}' has an {what} in column '{column}'",
                    "check the column map",
                )
    return targets


class _ClipTable:
    """A table with a row a clip."""

    def __init__(self, table: Table, columns: ColumnMap, known: Collection[str]) -> None:
        if not columns.clip:
            raise UsageError(
                f"no column of '{table.path}' is said to name the clip",
                f"map one, as clip={table.names[0]}",
            )
        self.table = table
        self.rows: dict[str, int] = {}
        for row, text in enumerate(table.texts(columns.clip)):
            name = _clip_name(text, known)
            if not name:
                raise FormatError(f"{table.where(row)}: no clip is named", "name its file")
            if name in self.rows:
                raise FormatError(
                    f"{table.where(row)}: the clip '{name}' has a row already, see "
                    f"{table.where(self.rows[name])}",
                    "a clip has one row; labels of single frames belong into a file a clip",
                )
            self.rows[name] = row
        self._texts: dict[str, list[str]] = {}

    def text(self, name: str, column: str) -> str:
        """The cell of a clip."""
        if name not in self.rows:
            raise FormatError(f"'{self.table.path}' has no row for the clip '{name}'", "add one")
        if column not in self._texts:
            self._texts[column] = self.table.texts(column)
        return self._texts[column][self.rows[name]]


class _FirstRows:
    """The first rows of longer features."""

    def __init__(self, features: FeatureSource, frames: int) -> None:
        self._features, self._frames = features, frames

    @property
    def frames(self) -> int:
        return self._frames

    @property
    def specs(self) -> dict[str, ArraySpec]:
        return self._features.specs

    @property
    def provenance(self) -> Mapping[str, Any]:
        return getattr(self._features, "provenance", {})

    def array(self, name: str, start: int = 0, stop: int | None = None) -> Array:
        start, stop, _ = slice(start, stop).indices(self._frames)
        return self._features.array(name, start, max(start, stop))


@dataclass(frozen=True)
class _Opened:
    """Features, and the table they come from if they come from one."""

    features: SubjectFeatures | TableFeatures | Pictures
    table: Table | None = None

    def lasting(self, rows: int) -> _Opened:
        """The same for at least so many frames, if they are a folder of pictures."""
        if isinstance(self.features, PictureFolder):
            return _Opened(self.features.lasting(rows))
        return self


class _Opener:
    """Opens features, such that all clips have what the first one has.

    Args:
        columns: which columns of tables are features.

    Attributes:
        inputs: these, once a table was opened.
    """

    def __init__(self, columns: ColumnMap) -> None:
        self._columns = columns
        self.inputs: tuple[str, ...] = ()
        self._side: int | None = None

    def __call__(self, path: Path) -> _Opened:
        """The features in a file or folder of `own_files.FeatureFiles`."""
        if is_picture(path.name) or path.is_dir():
            features = (
                open_features(path, self._side)
                if path.is_dir()
                else PictureFiles([path], self._side)
            )
            self._side = self._side or side_of(features)
            return _Opened(features)
        table = read_any(path)
        self.inputs = self.inputs or self._columns.choose_features(table)
        return _Opened(TableFeatures(table, self.inputs), table)


def _clip_name(text: str, known: Collection[str]) -> str:
    """The clip's name in a path or name of a table; a name may hold a dot."""
    last = re.split(r"[/\\]", text)[-1]
    return last if last in known else last.rpartition(".")[0] or last


def _same_file(path: Path, other: Path) -> bool:
    return real_path(path) == real_path(other)


def _match(opened: _Opened, table: Table, columns: ColumnMap) -> tuple[NDArray[np.int64], bool]:
    """The row of labels for each row of features, -1 for none, and whether by time."""
    frames = opened.features.frames
    by_position = np.arange(min(frames, table.rows))
    if frames == table.rows:
        return by_position, False
    have = _times(table, columns)
    if isinstance(opened.features, SubjectFeatures):
        wanted: NDArray[np.float64] | None = opened.features.times
    else:
        wanted = None if opened.table is None else _times(opened.table, columns)
    if have is None or wanted is None or len(have) < 2:
        off = abs(frames - table.rows)
        if off > max(_FEW_ROWS, _FEW * frames):
            raise FormatError(
                f"'{table.path}' has {table.rows} labels for {frames} rows of features",
                "if their rates differ, give both a column of seconds and name it, as time=COLUMN",
            )
        return by_position, False
    rows = nearest(wanted, have)
    within = overlap(have, wanted)
    if (rows < 0).all() or within < _OVERLAP * len(have):
        raise FormatError(
            f"of {len(have)} labels in '{table.path}' {within} lie within the time of "
            "its features",
            "check that both count seconds from the clip's start",
        )
    return rows, True


def _times(table: Table, columns: ColumnMap) -> NDArray[np.float64] | None:
    if not columns.time:
        return None
    if columns.time not in table.names:
        raise UnknownNameError(f"column of '{table.path}'", columns.time, table.names)
    times = table.numbers(columns.time)
    wrong = np.flatnonzero(np.isnan(times) | (np.diff(times, prepend=-np.inf) < 0))
    if len(wrong):
        raise FormatError(
            f"{table.where(int(wrong[0]))}: the time in column '{columns.time}' is missing or "
            "goes back",
            "sort the rows by time",
        )
    return times


def _place(
    name: str,
    columns: ColumnMap,
    facts: _ClipTable | None,
    whole: _ClipTable | None,
    table: Table,
) -> _Place:
    """Where a clip belongs."""
    group, _ = _fact(name, columns.group, facts, whole, table)
    stimulus, at_stimulus = _fact(name, columns.stimulus, facts, whole, table)
    if columns.stimulus and not stimulus:
        raise FormatError(
            f"{at_stimulus}: column '{columns.stimulus}' names no stimulus",
            "folds keep stimuli apart: name that of every clip",
        )
    split, at_split = _fact(name, columns.split, facts, whole, table)
    fold, at_fold = _fact(name, columns.fold, facts, whole, table)
    try:
        split = split_name(split)
    except ValueError as error:
        raise FormatError(f"{at_split}: {error}", "splits are train, val and test") from None
    if fold and not (fold.isascii() and fold.isdigit()):
        raise FormatError(f"{at_fold}: the fold '{fold[:40]}' is no number", "count from 0")
    return {
        "group": group or _SIDE.sub("", name),
        "split": split,
        "fold": int(fold) if fold else None,
        "stimulus": stimulus,
    }


def _fact(
    name: str,
    column: str,
    facts: _ClipTable | None,
    whole: _ClipTable | None,
    table: Table,
) -> tuple[str, str]:
    """A clip's fact in ``column``, and where it stands: the table of clips, else the labels."""
    if not column:
        return "", ""
    for source in (facts, whole):
        if source and column in source.table.names:
            return source.text(name, column), source.table.where(source.rows[name])
    if whole or column not in table.names:
        raise UnknownNameError(
            f"column of '{(facts.table if facts else table).path}'",
            column,
            {*table.names, *(facts.table.names if facts else ())},
        )
    texts = table.texts(column)
    other = next((row for row, text in enumerate(texts) if text != texts[0]), None)
    if other is not None:
        raise FormatError(
            f"{table.where(other)}: '{texts[other][:40]}' in column '{column}' after "
            f"'{texts[0][:40]}'",
            "it must be the same in all rows of a clip",
        )
    return texts[0], table.where(0)


def _some(names: Collection[str]) -> str:
    shown = " and ".join(f"'{name}'" for name in sorted(names)[:2])
    return shown or "nothing"
