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
from avaffect.labels import EXPRESSIONS, INVALID


@dataclass(frozen=True, eq=False, repr=False)
class TableLabels(ArrayRecord):
    """The labels of a table of R rows, before it is known which classes there are.

    Attributes:
        va: float32 [R, V], see :func:`read_va`.
        au: int8 [R, U], see :func:`read_au`.
        texts: the K different expressions, as they are written.
        codes: int64 [R], which of them a row has, -1 for none.
        where: for each of them a place in the file, for errors.
    """

    va: NDArray[np.float32]
    au: NDArray[np.int8]
    texts: tuple[str, ...]
    codes: NDArray[np.int64]
    where: tuple[str, ...]

    @classmethod
    def read(cls, table: Table, columns: ColumnMap) -> TableLabels:
        """All labels that ``columns`` maps.

        Raises:
            UnknownNameError: there is no such column.
            FormatError: a value that is no label; names file and line.
        """
        texts: tuple[str, ...] = ()
        codes, first = np.full(table.rows, INVALID_CLASS), np.zeros(0, np.int64)
        if columns.expression:
            texts, codes, first = read_expressions(table, columns)
        where = tuple(table.where(int(row)) for row in first)
        return cls(read_va(table, columns), read_au(table, columns), texts, codes, where)

    def at(self, rows: NDArray[np.int64], classes: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The labels of some rows, by task, as a ``datasets.clip.Clip`` holds them.

        Args:
            rows: int64 [N]; -1 stands for a row without labels.
            classes: the names of the classes 0, 1, 2 ...

        Raises:
            FormatError: an expression that is none of the classes; names file and line.
        """
        known = rows >= 0
        taken: dict[str, NDArray[Any]] = {}
        if self.va.shape[1]:
            taken["va"] = np.where(known[:, None], self.va[rows], np.float32(np.nan))
        if classes:
            taken["expr"] = np.where(known, self._coded(classes)[self.codes[rows]], INVALID_CLASS)
        if self.au.shape[1]:
            taken["au"] = np.where(known[:, None], self.au[rows], np.int8(-1))
        return taken

    def _coded(self, classes: Sequence[str]) -> NDArray[np.int64]:
        """The class of each text, and behind them, where code -1 looks, the invalid one."""
        places = class_places(classes)
        for text, where in zip(self.texts, self.where, strict=True):
            if text.casefold() not in places:
                raise FormatError(
                    f"{where}: '{text[:40]}' is none of the classes {', '.join(classes)}",
                    "correct it, or name all classes with classes=",
                )
        return np.array([*(places[text.casefold()] for text in self.texts), INVALID_CLASS])


def read_va(table: Table, columns: ColumnMap) -> NDArray[np.float32]:
    """Valence and arousal, those of them that are mapped.

    Returns:
        float32 [N, V] in [-1, 1]; NaN where a cell is empty or -5 (unless -5 is on the scale).

    Raises:
        UnknownNameError: there is no such column.
        FormatError: a value outside the scale; names file and line.
    """
    low, high = columns.scale
    invalid = INVALID["va"]
    values = np.empty((table.rows, len(columns.affects)), np.float32)
    for place, name in enumerate(columns.affects.values()):
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
        values[:, place] = np.clip((found - low) / (high - low) * 2 - 1, -1, 1)
    return values


def read_au(table: Table, columns: ColumnMap) -> NDArray[np.int8]:
    """The mapped action units.

    Returns:
        int8 [N, U] of 0, 1, and -1 where a cell is empty or -1.

    Raises:
        UnknownNameError: there is no such column.
        FormatError: another value; names file and line.
    """
    values = np.empty((table.rows, len(columns.action_units)), np.int8)
    for place, (_, name) in enumerate(columns.action_units):
        found = table.numbers(name)
        found[np.isnan(found)] = INVALID["au"]
        wrong = np.flatnonzero(~np.isin(found, (INVALID["au"], 0, 1)))
        if len(wrong):
            row = int(wrong[0])
            raise FormatError(
                f"{table.where(row)}: {found[row]:g} in column '{name}' is none of 0, 1 and -1",
                "action units are present (1), absent (0) or not known (-1 or empty)",
            )
        values[:, place] = found
    return values


def read_expressions(
    table: Table, columns: ColumnMap
) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.int64]]:
    """Expressions as they are written.

    Returns:
        the K texts found, sorted; int64 [N] which of them each row has, -1 where the cell is
        empty or -1; int64 [K] a row that has it, for errors.

    Raises:
        UnknownNameError: there is no such column.
    """
    cells = np.array(table.texts(columns.expression), dtype=object)
    names, rows, codes = np.unique(cells.astype(str), return_index=True, return_inverse=True)
    blank = np.isin(names, ("", "nan", "NaN", str(INVALID["expr"])))
    places = np.where(blank, INVALID_CLASS, np.cumsum(~blank) - 1)
    known = tuple(str(name) for name in names[~blank])
    return known, places[codes].astype(np.int64), rows[~blank].astype(np.int64)


def class_names(found: Iterable[str], columns: ColumnMap) -> tuple[str, ...]:
    """The classes in order.

    Returns:
        ``columns.classes`` if given; the challenge's eight if all of ``found`` are among them, in
        any case; else ``found``, numbers by size and names by letter.
    """
    if columns.classes:
        return columns.classes
    names = {name.casefold(): name for name in sorted(found)}
    if names and names.keys() <= {name.casefold() for name in EXPRESSIONS}:
        return EXPRESSIONS
    if all(re.fullmatch("[0-9]+", name) for name in names):
        return tuple(sorted(names.values(), key=int))
    return tuple(names[key] for key in sorted(names))


def class_places(classes: Sequence[str]) -> Mapping[str, int]:
    """The place of each class by what may stand for it in a table, casefolded.

    That is its name, and its place as a number unless a class is called so.
    """
    numbers = {str(place): place for place in range(len(classes))}
    return numbers | {name.casefold(): place for place, name in enumerate(classes)}
