"""Who goes with whom: the assignment of the greatest sum.

Shortest augmenting paths after Crouse, On implementing 2D rectangular assignment algorithms (IEEE
Transactions on Aerospace and Electronic Systems 52, 2016), step for step as
``scipy.optimize.linear_sum_assignment``, so that ties are decided alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Places = NDArray[np.int64]


def assigned(score: NDArray[np.floating]) -> list[tuple[int, int]]:
    """The one-to-one pairs of rows and columns of ``score`` [N, M] with the greatest sum.

    Args:
        score: finite numbers.

    Returns:
        as many pairs as the shorter side has, by rows.
    """
    cost = -np.asarray(score, np.float64)
    if len(cost.T) < len(cost):
        return sorted((row, column) for column, row in enumerate(_columns(cost.T).tolist()))
    return list(enumerate(_columns(cost).tolist()))


def _columns(cost: Doubles) -> Places:
    """The column of each row of ``cost`` [N, M], N not above M, for the least sum."""
    rows, columns = cost.shape
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    column_of, row_of = np.full(rows, -1), np.full(columns, -1)
    for new in range(rows):
        costs, came_from, reached, passed, sink = _path(cost, row_price, column_price, row_of, new)
        least = costs[sink]
        others = reached[1:]
        row_price[new] += least
        row_price[others] += least - costs[column_of[others]]
        column_price[passed] -= least - costs[passed]
        column = sink
        while True:
            row = came_from[column]
            row_of[column] = row
            column_of[row], column = column, column_of[row]
            if row == new:
                break
    return column_of


def _path(
    cost: Doubles, row_price: Doubles, column_price: Doubles, row_of: Places, new: int
) -> tuple[Doubles, Places, list[int], list[int], int]:
    """The cheapest way from the row ``new`` to a column that is free.

    Returns:
        what each column costs at the least; the row that one comes to it from; the rows and the
        columns on the way; and the free column.
    """
    columns = cost.shape[1]
    left = np.arange(columns)[::-1].copy()
    costs, came_from = np.full(columns, np.inf), np.full(columns, -1)
    reached: list[int] = []
    passed: list[int] = []
    least, row = 0.0, new
    while True:
        reached.append(row)
        now = least + cost[row, left] - row_price[row] - column_price[left]
        better = now < costs[left]
        came_from[left[better]] = row
        costs[left[better]] = now[better]
        least = costs[left].min()
        ties = np.flatnonzero(costs[left] == least)
        free = ties[row_of[left[ties]] < 0]
        at = free[-1] if len(free) else ties[0]
        column = int(left[at])
        passed.append(column)
        if row_of[column] < 0:
            return costs, came_from, reached, passed, column
        row = int(row_of[column])
        left[at] = left[-1]
        left = left[:-1]
