"""Settings chosen on validation data, and what the choice is honestly worth.

A setting that is chosen and scored on the same clips looks better than it is. Here it is also
chosen on one half of the groups and scored on the other, both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from avaffect.errors import UsageError

T = TypeVar("T")
P = TypeVar("P")


@dataclass(frozen=True)
class Choice(Generic[T]):
    """A setting that was chosen on data.

    Attributes:
        chosen: what is best on all clips.
        without: the score of all clips by the setting that is there anyway.
        optimistic: that by ``chosen``, on the very clips that it was chosen on.
        cross_validated: that of all clips, each half by the setting chosen on the other.
        halves: the settings chosen on the two halves.
    """

    chosen: T
    without: float
    optimistic: float
    cross_validated: float
    halves: tuple[T, T]

    @property
    def holds(self) -> bool:
        """Whether choosing gains anything on clips that it did not see."""
        return self.cross_validated > self.without


def choose(
    plain: T,
    groups: Sequence[str],
    fit: Callable[[Sequence[int]], T],
    decide: Callable[[T, Sequence[int]], Iterable[P]],
    score: Callable[[Iterable[P]], float],
) -> Choice[T]:
    """Choose a setting, and cross-validate the way of choosing.

    Args:
        plain: the setting without any choice.
        groups: of each clip, what must not be torn apart, e.g. its video.
        fit: from numbers of clips to the setting that is best for them.
        decide: from a setting and numbers of clips to what these clips are scored by, in order.
        score: of what ``decide`` gives, for any clips together.

    Raises:
        UsageError: fewer than two groups.
    """
    first, second = halves(groups)
    every = range(len(groups))
    chosen, of_first, of_second = fit(every), fit(first), fit(second)
    crossed = [*decide(of_second, first), *decide(of_first, second)]
    return Choice(
        chosen,
        score(decide(plain, every)),
        score(decide(chosen, every)),
        score(crossed),
        (of_first, of_second),
    )


def halves(groups: Sequence[str]) -> tuple[list[int], list[int]]:
    """Numbers of clips in two halves, about as many in each and no group in both.

    The larger groups are dealt out first, each to the half that has fewer clips.

    Raises:
        UsageError: fewer than two groups.
    """
    names, counts = np.unique(list(groups), return_counts=True)
    if len(names) < 2:
        raise UsageError(
            "there are not two groups of validation clips to choose on one and score on the other",
            "validate on more videos, or train with folds=...",
        )
    side: dict[str, int] = {}
    sizes = [0, 0]
    for at in np.argsort(-counts, kind="stable"):
        mine = int(sizes[1] < sizes[0])
        side[str(names[at])] = mine
        sizes[mine] += int(counts[at])
    first, second = ([at for at, group in enumerate(groups) if side[group] == s] for s in (0, 1))
    return first, second


def best_of(candidates: Iterable[T], score: Callable[[T], float]) -> T:
    """The candidate with the highest score: the first of equal ones; NaN is the lowest.

    Raises:
        UsageError: no candidates.
    """
    best: tuple[float, T] | None = None
    for candidate in candidates:
        value = score(candidate)
        value = float("-inf") if np.isnan(value) else value
        if best is None or value > best[0]:
            best = (value, candidate)
    if best is None:
        raise UsageError("there is nothing to choose from")
    return best[1]
