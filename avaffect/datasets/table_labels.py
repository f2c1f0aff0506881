"""Labels in a user's table, read by a column map."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.datasets.clip import INVALID_CLASS
from avaffect.datasets.columns import ColumnMap
from avaffect.datasets.tables import Table
from avaffect.errors import FormatError
from avaffect.tasks.kinds import Values
from avaffect.tasks.registry import TASKS
from avaffect.tasks.task import Task


@dataclass(frozen=True, eq=False, repr=False)
class TableLabels(ArrayRecord):
    """The labels of a table of R rows, before it is known which classes there are.

    Attributes:
        targets: by task of values or units that is mapped, [R, K], see :func:`read_values` and
            :func:`read_units`.
        classes: by task of classes that is mapped, what is written there.
    """

    targets: Mapping[str, NDArray[Any]]
    classes: Mapping[str, Texts]

    @classmethod
    def read(cls, table: Table, columns: ColumnMap) -> TableLabels:
        """All labels that ``columns`` maps.

        Raises:
            UnknownNameError: there is no such column.
            FormatError: a value that is no label; names file and line.
        """
        targets: dict[str, NDArray[Any]] = {}
        classes: dict[str, Texts] = {}
        for name, task in TASKS.items():
            if not (mapped := columns.of(task)):
                continue
            if task.flat:
                classes[name] = Texts.read(table, next(iter(mapped.values())))
            elif isinstance(task, Values):
                targets[name] = read_values(table, columns, task)
            else:
                targets[name] = read_units(table, columns, task)
        return cls(targets, classes)

    def at(
        self, rows: NDArray[np.int64], classes: Mapping[str, Sequence[str]]
    ) -> dict[str, NDArray[Any]]:
        """The labels of some rows, by task, as a ``datasets.clip.Clip`` holds them.

        Args:
            rows: int64 [N]; -1 stands for a row without labels.
            classes: by task of classes, the names of the classes 0, 1, 2 ...

        Raises:
            FormatError: a class that is none of those; names file and line.
        """
        known = rows >= 0
        taken: dict[str, NDArray[Any]] = {}
        for name, task in TASKS.items():
            if name in self.targets:
                found = self.targets[name]
                unknown = found.dtype.type(task.unknown)
                taken[name] = np.where(known[:, None], found[rows], unknown)
            elif classes.get(name):
                codes = self.classes[name].coded(classes[name])[self.classes[name].codes[rows]]
                taken[name] = np.where(known, codes, INVALID_CLASS)
        return taken


@dataclass(frozen=True, eq=False, repr=False)
class Texts(ArrayRecord):
    """Classes as a column of R rows has them.

    Attributes:
        texts: the K different ones, as they are written, sorted.
        codes: int64 [R], which of them a row has, -1 where the cell is empty or -1.
        where: for each of them a place in the file, for errors.
    """

    texts: tuple[str, ...]
    codes: NDArray[np.int64]
    where: tuple[str, ...]

    @classmethod
    def read(cls, table: Table, column: str) -> Texts:
        """Those of a column.

        Raises:
            UnknownNameError: there is no such column.
        """
        cells = np.array(table.texts(column), dtype=object)
        names, rows, codes = np.unique(cells.astype(str), return_index=True, return_inverse=True)
        blank = np.isin(names, ("", "nan", "NaN", str(INVALID_CLASS)))
        places = np.where(blank, INVALID_CLASS, np.cumsum(~blank) - 1)
        known = tuple(str(name) for name in names[~blank])
        where = tuple(table.where(int(row)) for row in rows[~blank])
        return cls(known, places[codes].astype(np.int64), where)

    def coded(self, classes: Sequence[str]) -> NDArray[np.int64]:
        """The class of each text, and behind them, where code -1 looks, the invalid one."""
        places = class_places(classes)
        for text, where in zip(self.texts, self.where, strict=True):
            if text.casefold() not in places:
                raise FormatError(
                    f"{where}: '{text[:40]}' is none of the classes {', '.join(classes)}",
                    "correct it, or name all classes with classes=",
                )
        return np.array([*(places[text.casefold()] for text in self.texts), INVALID_CLASS])


def read_values(table: Table, columns: ColumnMap, task: Task) -> NDArray[np.float32]:
    """A task's values, those of them that are mapped.

    Returns:
        float32 [N, V] in the task's range; NaN where a cell is empty or -5 (unless -5 is on the
        scale).

    Raises:
        UnknownNameError: there is no such column.
        FormatError: a value outside the scale; names file and line.
    """
    low, high = columns.range(task)
    invalid, mapped = task.invalid, columns.of(task)
    values = np.empty((table.rows, len(mapped)), np.float32)
    for place, name in enumerate(mapped.values()):
        found = table.numbers(name)
        if not low <= invalid <= high:
            found[found == invalid] = np.nan
        outside = np.flatnonzero((found < low) | (found > high))
        if len(outside):
            row = int(outside[0])
            raise FormatError(
                f"{table.where(row)}: {found[row]:g} in column '{name}' lies outside "
                f"[{low:g}, {high:g}]",
                "if the labels have another scale, say which, as scale=-100,100",
            )
        share = (found - low) / (high - low)
        values[:, place] = np.clip(task.low + share * (task.high - task.low), task.low, task.high)
    return values


def read_units(table: Table, columns: ColumnMap, task: Task) -> NDArray[np.int8]:
    """A task's units, those of them that are mapped.

    Returns:
        int8 [N, U] of 0, 1, and -1 where a cell is empty or -1.

    Raises:
        UnknownNameError: there is no such column.
        FormatError: another value; names file and line.
    """
    mapped = columns.of(task)
    values = np.empty((table.rows, len(mapped)), np.int8)
    for place, name in enumerate(mapped.values()):
        found = table.numbers(name)
        found[np.isnan(found)] = task.invalid
        wrong = np.flatnonzero(~np.isin(found, (task.invalid, 0, 1)))
        if len(wrong):
            row = int(wrong[0])
            raise FormatError(
                f"{table.where(row)}: {found[row]:g} in column '{name}' is none of 0, 1 and -1",
                f"{task.title} are present (1), absent (0) or not known (-1 or empty)",
            )
        values[:, place] = found
    return values


def class_names(found: Iterable[str], columns: ColumnMap, task: Task) -> tuple[str, ...]:
    """The classes in order.

    Returns:
        ``columns.classes`` if given; those of the task if all of ``found`` are among them, in
        any case; else ``found``, numbers by size and names by letter.
    """
    if columns.classes:
        return columns.classes
    names = {name.casefold(): name for name in sorted(found)}
    if names and names.keys() <= {name.casefold() for name in task.targets}:
        return task.targets
    if all(re.fullmatch("[0-9]+", name) for name in names):
        return tuple(sorted(names.values(), key=int))
    return tuple(names[key] for key in sorted(names))


def class_places(classes: Sequence[str]) -> Mapping[str, int]:
    """The place of each class by what may stand for it in a table, casefolded.

    That is its name, and its place as a number unless a class is called so.
    """
    numbers = {str(place): place for place in range(len(classes))}
    return numbers | {name.casefold(): place for place, name in enumerate(classes)}
