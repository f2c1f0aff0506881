"""Where the data of a run is, and how it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from avaffect.challenge.editions import DEFAULT_EDITION, edition_named
from avaffect.datasets.affwild import is_artificial, load_affwild, load_mtl
from avaffect.datasets.clip import Dataset
from avaffect.datasets.columns import parse_columns
from avaffect.datasets.feature_folders import FeatureFolders
from avaffect.datasets.own import load_own
from avaffect.errors import UsageError, boundary
from avaffect.progress import EventCallback, Notice, ignore_events

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
    """

    features: str
    root: str | None = None
    labels: str | None = None
    clips: str | None = None
    columns: tuple[str, ...] = ()
    edition: str = DEFAULT_EDITION
    further: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.root is None) == (self.labels is None):
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
