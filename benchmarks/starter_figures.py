"""Figures of the table of starter.py: values with intervals, and the table's rows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.metrics.bootstrap import interval

Array = NDArray[Any]
Statistic = Callable[[Array], float]

NOTHING = "-"
DRAWS = 1000
BINS = 15
HEADINGS = ("what", "split", "before: `fer`", "after: starter-1", "aim or yardstick")


@dataclass(frozen=True)
class Figure:
    """A value and its interval.

    Attributes:
        value: what was measured.
        low, high: 95 % interval; None where there is none.
        digits: behind the point.
        unit: written behind it.
    """

    value: float
    low: float | None = None
    high: float | None = None
    digits: int = 3
    unit: str = ""

    def __str__(self) -> str:
        text = f"{self.value:.{self.digits}f}{self.unit}"
        if self.low is None or self.high is None:
            return text
        return f"{text} ({self.low:.{self.digits}f} to {self.high:.{self.digits}f})"


@dataclass(frozen=True)
class Row:
    """One line of the table; ``before`` and ``after`` are text where there is no figure."""

    part: str
    what: str
    split: str
    before: Figure | str
    after: Figure | str
    aim: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


Found = tuple[list[Row], dict[str, Any]]
"""Rows of the table, and what is only kept for the record."""


def tell(text: str) -> None:
    """Progress, apart from the table."""
    print(text, file=sys.stderr, flush=True)


def as_markdown(rows: list[Row], notes: Mapping[str, str]) -> str:
    """A table a part, each below its note; the note of no part stands first."""
    lines = [notes[""], ""]
    for part in dict.fromkeys(row.part for row in rows):
        lines += [f"## {part}", ""]
        if part in notes:
            lines += [notes[part], ""]
        lines += [f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|"]
        for row in rows:
            if row.part == part:
                cells = (row.what, row.split, row.before, row.after, row.aim)
                lines.append(f"| {' | '.join(map(str, cells))} |")
        lines.append("")
    return "\n".join(lines)


@lru_cache(maxsize=4)
def _draws(count: int) -> NDArray[np.float32]:
    """[DRAWS, count]: how often each is drawn, with repetition; the same every time."""
    rng = np.random.default_rng(0)
    return rng.multinomial(count, np.full(count, 1 / count), size=DRAWS).astype(np.float32)


def bootstrapped(parts: Array, statistic: Statistic, groups: Array | None = None) -> Figure:
    """A statistic of sums with its percentile interval.

    Args:
        parts: [N, K], what each picture or take adds to the sums.
        statistic: of sums [K].
        groups: [N]; where given whole groups are drawn, not single rows.
    """
    if groups is not None:
        parts = np.stack([parts[groups == one].sum(axis=0) for one in np.unique(groups)])
    drawn = _draws(len(parts)) @ parts.astype(np.float32)
    low, high = interval(np.array([statistic(one) for one in drawn]))
    return Figure(statistic(parts.sum(axis=0)), low, high)


class Confusion:
    """Scores of guesses, each with an interval.

    Args:
        truth, guess: int [N], class numbers.
        classes: how many there are.
        groups: [N], who: whole groups are drawn for the intervals.
    """

    def __init__(
        self, truth: Array, guess: Array, classes: int, groups: Array | None = None
    ) -> None:
        self._classes, self._groups = classes, groups
        self._cells = np.eye(classes**2, dtype=np.float32)[truth * classes + guess]

    @property
    def table(self) -> Array:
        """int [C, C], a row a true class."""
        return self._square(self._cells.sum(axis=0)).astype(int)

    def accuracy(self) -> Figure:
        return self._scored(lambda table: float(np.trace(table) / table.sum()))

    def macro_f1(self) -> Figure:
        """Mean F1 of the classes that occur or are said."""

        def score(table: Array) -> float:
            there = table.sum(axis=0) + table.sum(axis=1)
            return float((2 * np.diag(table)[there > 0] / there[there > 0]).mean())

        return self._scored(score)

    def recall(self, one: int) -> Figure:
        """The part of a class that is found."""
        return self._scored(
            lambda table: (
                float(table[one, one] / table[one].sum()) if table[one].any() else float("nan")
            )
        )

    def _scored(self, score: Statistic) -> Figure:
        return bootstrapped(self._cells, lambda sums: score(self._square(sums)), self._groups)

    def _square(self, sums: Array) -> Array:
        return sums.reshape(self._classes, self._classes)


def calibration_error(chances: Array, truth: Array, groups: Array | None = None) -> Figure:
    """Expected calibration error of the highest probability (Guo et al., ICML 2017).

    Drawing adds noise to every bin, so the interval lies somewhat too high.
    """
    sure, right = chances.max(axis=1), chances.argmax(axis=1) == truth
    place = np.minimum((sure * BINS).astype(int), BINS - 1)
    gaps = np.eye(BINS)[place] * (sure - right)[:, None]
    parts = np.column_stack([gaps, np.ones(len(truth))])
    return bootstrapped(parts, lambda sums: float(np.abs(sums[:-1]).sum() / sums[-1]), groups)
