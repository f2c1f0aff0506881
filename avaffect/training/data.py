"""Where the data of a run is, and how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from avaffect.challenge.editions import DEFAULT_EDITION, edition_named
from avaffect.challenge.layout import split_folders
from avaffect.datasets.affwild import is_artificial, load_affwild, load_mtl
from avaffect.datasets.clip import Dataset
from avaffect.datasets.columns import parse_columns
from avaffect.datasets.feature_folders import FeatureFolders
from avaffect.datasets.own import load_own
from avaffect.datasets.sets.clips import join, load_sets
from avaffect.datasets.sets.registry import named_data
from avaffect.errors import UsageError, boundary
from avaffect.progress import EventCallback, Notice, ignore_events
from avaffect.store.pictures import side_of

# Keys of the columns of own tables that are features of a dataset in Aff-Wild2's layout.
_OF_TABLES = ("features", "time")


@dataclass(frozen=True)
class DataConfig:
    """Where the data is.

    Attributes:
        features: folder that ``preprocess`` wrote, or of tables.
        root: a dataset in the layout of Aff-Wild2; None for own labels.
        labels: own labels, see ``datasets.own``.
        clips: own table of groups, splits and folds.
        columns: ``key=column`` pairs, see ``datasets.columns``; of a dataset in Aff-Wild2's
            layout ``features`` and ``time`` of own tables alone.
        edition: whose annotations ``root`` holds.
        further: more folders of features beside ``features``, of own tables all but one; each
            ``DIR`` or ``NAME=DIR``, see `feature_folders.FeatureFolders.find`.
        sets: public sets, each ``NAME=DIR``, see ``datasets.sets``; alone, or beside ``root``.
            Of ``features`` and ``further``, ``NAME=DIR`` is of that set, and what is left of
            ``root``, or of all sets where there is none.
    """

    features: str
    root: str | None = None
    labels: str | None = None
    clips: str | None = None
    columns: tuple[str, ...] = ()
    edition: str = DEFAULT_EDITION
    further: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.labels is not None and self.sets:
            raise UsageError(
                "own labels and public sets exclude each other", "leave one of them out"
            )
        if not self.sets and (self.root is None) == (self.labels is None):
            raise UsageError(
                "either a dataset or labels are wanted",
                "give root=... for Aff-Wild2's layout, or labels=... for your own",
            )
        labels = [
            pair for pair in self.columns if pair.partition("=")[0].strip() not in _OF_TABLES
        ]
        if self.root is not None and (labels or self.clips):
            raise UsageError(
                "columns=... and clips=... are for your own labels",
                "leave them out, or give labels=... too",
            )
        if self.labels is not None and self.further:
            raise UsageError(
                "own labels go with one folder of features",
                "put the others into it, or into the feature store by `avaffect features`",
            )


@boundary()
def load_dataset(
    config: DataConfig, tasks: Sequence[str], on_event: EventCallback = ignore_events
) -> Dataset:
    """The dataset that ``config`` names, with the labels of ``tasks``.

    Raises:
        InputNotFoundError, FormatError, FeatureError, UsageError: see ``datasets``.
    """
    if config.sets:
        return _with_sets(config, tasks, on_event)
    if config.root is None:
        features = Path(config.features)
        assert config.labels is not None  # noqa: S101 - checked by DataConfig
        clips = None if config.clips is None else Path(config.clips)
        columns = parse_columns(config.columns)
        dataset = load_own(features, Path(config.labels), columns, clips=clips, on_event=on_event)
        for note in dataset.notes:
            on_event(Notice(note))
        return dataset
    root = Path(config.root)
    columns = parse_columns(config.columns)
    folders = partial(
        FeatureFolders.find,
        (config.features, *config.further),
        columns.features,
        columns.time or None,
    )
    if edition_named(config.edition).formats == ("mtl",):
        dataset = load_mtl(root, folders, on_event)
    else:
        dataset = load_affwild(root, folders, tasks, config.edition, on_event)
    if is_artificial(root):
        dataset = replace(dataset, about={**dataset.about, "synthetic": True})
    return dataset


def _with_sets(config: DataConfig, tasks: Sequence[str], on_event: EventCallback) -> Dataset:
    """The public sets, and the dataset in Aff-Wild2's layout if there is one."""
    names = {named_data(text)[0] for text in config.sets}
    every = [text for text in (config.features, *config.further) if text]
    if config.root is None:
        return load_sets(config.sets, every, on_event=on_event)
    mine = [text for text in every if text.partition("=")[0] not in names]
    if not mine:
        raise UsageError(
            f"the dataset '{config.root}' wants features", "name the folder of its features"
        )
    alone = replace(config, sets=(), features=mine[0], further=tuple(mine[1:]))
    # What it is not annotated with the sets may be; that someone is, the run looks at.
    there = {folder.task for folder in split_folders(Path(config.root))}
    base = load_dataset(alone, [task for task in tasks if task in there] or tasks, on_event)
    sides = (side_of(clip.features) for clip in base.clips)
    side = next((side for side in sides if side is not None), None)
    theirs = [text for text in every if text not in mine]
    return join([base, load_sets(config.sets, theirs, side=side, on_event=on_event)])
