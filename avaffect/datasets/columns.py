"""The meaning of the columns of a user's tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from avaffect.datasets.tables import Table
from avaffect.datasets.wildcards import columns_like
from avaffect.errors import UnknownNameError, UsageError
from avaffect.labels import SPLITS
from avaffect.tasks.registry import AU, EXPR, TASKS, VA
from avaffect.tasks.task import Task

# Keys that name one column each; the others are lists or numbers.
_OWN = (*VA.targets, EXPR.heading)
_SINGLE = ("clip", "group", "stimulus", "split", "fold", "time", *_OWN)
KEYS = (*_SINGLE, "features", "classes", "scale")
# Count rows, so a net that got them would learn the place in the clip by heart.
_COUNTERS = ("index", "frame", "time")
_SPLIT_NAMES = {
    **{name: name for name in SPLITS},
    **dict.fromkeys(("training",), "train"),
    **dict.fromkeys(("validation", "valid", "dev"), "val"),
    **dict.fromkeys(("testing",), "test"),
}


@dataclass(frozen=True)
class ColumnMap:
    """Which column holds what; an empty name stands for none.

    Attributes:
        clip: the clip's file or name, in a table with a row a clip.
        group: what folds keep together.
        split: ``train``, ``val`` or ``test``.
        fold: a number.
        time: seconds.
        valence: a number on ``scale``.
        arousal: likewise.
        expression: a class name, or its place in ``classes``.
        features: column names and wildcards (``*``, ``?``, ``[]``); none takes every column of
            numbers that means nothing else and is not called index, frame or time.
        classes: names of the classes 0, 1, 2 ...; none takes what is found, see
            ``table_labels.class_names``.
        scale: the values that become the ends of a task's range, -1 and 1 of valence and arousal;
            -1, 1 takes labels to be in the task's own range.
        action_units: pairs of unit (``AU12``) and column.
        others: of further tasks (``tasks.registry``), pairs of what is labelled and column.
        stimulus: what was heard or seen; no fold is trained with one that it validates on.

    Raises:
        UsageError: a scale or classes that make no sense.
    """

    clip: str = ""
    group: str = ""
    split: str = ""
    fold: str = ""
    time: str = ""
    valence: str = ""
    arousal: str = ""
    expression: str = ""
    features: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    scale: tuple[float, float] = (-1.0, 1.0)
    action_units: tuple[tuple[str, str], ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    stimulus: str = ""

    def __post_init__(self) -> None:
        low, high = self.scale
        if not (isfinite(low) and isfinite(high) and low < high):
            raise UsageError(f"the scale {low:g},{high:g} makes no sense", "give it as scale=0,10")
        folded = [name.casefold() for name in self.classes]
        if len(set(folded)) < len(folded):
            raise UsageError("two classes have the same name", "name each once, in any case")

    def of(self, task: Task) -> dict[str, str]:
        """By what is labelled, the columns of a task: its targets, or its class."""
        return {key: column for key, column in self._labels.items() if task.takes(key)}

    def range(self, task: Task) -> tuple[float, float]:
        """The values in the table that become the ends of the task's range."""
        return (task.low, task.high) if self.scale == ColumnMap.scale else self.scale

    @property
    def label_columns(self) -> tuple[str, ...]:
        """Every column that holds labels."""
        return tuple(self._labels.values())

    @property
    def _labels(self) -> dict[str, str]:
        own = {key: getattr(self, key) for key in _OWN}
        every = {**own, **dict(self.action_units), **dict(self.others)}
        return {key: column for key, column in every.items() if column}

    def pairs(self) -> tuple[str, ...]:
        """The map as ``key=value``, such that ``parse_columns(columns.pairs()) == columns``."""
        found = {key: getattr(self, key) for key in _SINGLE}
        found |= {"features": ",".join(self.features), "classes": ",".join(self.classes)}
        if self.scale != ColumnMap.scale:
            found["scale"] = ",".join(map(repr, self.scale))
        found |= {**dict(self.action_units), **dict(self.others)}
        return tuple(f"{key}={value}" for key, value in found.items() if value)

    def choose_features(self, table: Table) -> tuple[str, ...]:
        """The feature columns of ``table``, in the order of ``features``, then of the table.

        A wildcard stands for columns of numbers that mean nothing else.

        Raises:
            UnknownNameError: a name or wildcard that stands for no column.
            UsageError: a column that holds labels, or no feature at all.
        """
        facts = (self.clip, self.group, self.stimulus, self.split, self.fold, self.time)
        known = {*facts, *self.label_columns}
        known |= {name for name in table.names if name.casefold() in _COUNTERS}
        free = [name for name in table.names if name not in known and table.is_numeric(name)]
        for pattern in self.features:
            if pattern in self.label_columns:
                raise UsageError(
                    f"the column '{pattern}' holds labels and cannot be a feature too",
                    "take it out of features=",
                )
        hint = f"name some with features=; it has {', '.join(table.names)}"
        return columns_like(self.features, table.names, free, table.path, hint)


def parse_columns(pairs: Sequence[str]) -> ColumnMap:
    """A column map from ``key=value`` texts, as ``DataConfig.columns`` takes them.

    >>> parse_columns(["clip=path", "expression=label", "classes=calm,happy"]).classes
    ('calm', 'happy')

    Raises:
        UnknownNameError: a key that does not exist.
        UsageError: no ``=``, a key without value or given twice, or a value that makes no sense.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, sign, value = (part.strip() for part in pair.partition("="))
        if not (key and sign and value):
            raise UsageError(f"'{pair}' is no column mapping", "write KEY=COLUMN, as clip=path")
        key = key.upper() if AU.takes(key.upper()) else key
        if key not in KEYS and not any(task.takes(key) for task in TASKS.values()):
            labels = (name for task in TASKS.values() if not task.flat for name in task.targets)
            raise UnknownNameError("key of a column map", key, {*KEYS, *labels})
        if key in found:
            raise UsageError(f"the key '{key}' is given twice", "give each key once")
        found[key] = value
    further = [(key, value) for key, value in found.items() if key not in KEYS]
    units = [pair for pair in further if AU.takes(pair[0])]
    order = [name for task in TASKS.values() for name in task.targets]
    single = {key: found[key] for key in _SINGLE if key in found}
    return ColumnMap(
        **single,
        features=_list(found.get("features", "")),
        classes=_list(found.get("classes", "")),
        scale=_scale(found["scale"]) if "scale" in found else ColumnMap.scale,
        action_units=tuple(sorted(units, key=lambda pair: int(pair[0][2:]))),
        others=tuple(
            sorted(
                (pair for pair in further if pair not in units),
                key=lambda pair: order.index(pair[0]) if pair[0] in order else -1,
            )
        ),
    )


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _scale(text: str) -> tuple[float, float]:
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise UsageError(
            f"'{text}' is no scale", "write the two ends, as scale=-100,100"
        ) from None
    return low, high


def split_name(text: str) -> str:
    """``train``, ``val``, ``test`` or empty.

    Raises:
        UsageError: another word.
    """
    if not text:
        return ""
    if text.casefold() not in _SPLIT_NAMES:
        raise UsageError(f"'{text[:40]}' is no split")
    return _SPLIT_NAMES[text.casefold()]
