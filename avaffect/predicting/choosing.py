"""Settings chosen on validation data, and what the choice is honestly worth.

A setting that is chosen and scored on the same clips looks better than it is. Here
cross-validation is nested: for each outer fold the setting is chosen on the others, by inner folds
of these, and the outer fold is scored by what it had no part in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from avaffect.arrays import ArrayRecord
from avaffect.errors import UsageError
from avaffect.metrics.tallies import Tally

# Of both kinds of folds; fewer where there are fewer groups.
FOLDS = 5

Numbers = Sequence[int]
# From a setting's number, the clips that it is fitted on and those to score: the sums of these.
Sums = Callable[[int, Numbers, Numbers], Tally]


@dataclass(frozen=True, eq=False, repr=False)
class Choice(ArrayRecord):
    """A setting that was chosen on data.

    Attributes:
        chosen: the number of the setting that is best on clips that it was not fitted on.
        without: the score of all clips by the setting that is there anyway.
        optimistic: that by ``chosen``, fitted on all clips, on these very clips.
        cross_validated: that of all clips, each outer fold by what was chosen without it.
        folds: by outer fold, the number of the setting chosen without it; None for none.
        nested: float64 [N, S], the sums behind ``cross_validated``, a row a clip.
    """

    chosen: int
    without: float
    optimistic: float
    cross_validated: float
    folds: tuple[int | None, ...]
    nested: Tally

    @property
    def holds(self) -> bool:
        """Whether choosing gains anything on clips that had no part in it."""
        return self.cross_validated > self.without


def choose(
    settings: int, groups: Sequence[str], plain: Tally, sums: Sums, score: Callable[[Tally], float]
) -> Choice:
    """Choose one of some settings, and cross-validate the whole way of choosing.

    Args:
        settings: how many there are.
        groups: of each clip, what must not be torn apart, e.g. its video.
        plain: float64 [N, S], the sums of each clip without any choice.
        sums: of clips by a setting; called for one setting after the other.
        score: of sums.

    Raises:
        UsageError: fewer than two groups, or no settings.
    """
    if not settings:
        raise UsageError("there is nothing to choose from")
    every = range(len(groups))
    outer = folds_of(groups, every)
    if len(outer) < 2:
        raise UsageError(
            "there are not two groups of validation clips to choose on one and score on the other",
            "validate on more videos, or train with folds=...",
        )
    rests = [without(every, held) for held in outer]
    inner = [folds_of(groups, rest) for rest in rests]
    crossed: list[list[Tally]] = []
    within: list[list[float]] = []
    whole: list[float] = []
    for number in range(settings):
        whole.append(score(sums(number, every, every).sum(axis=0)))
        pairs = list(zip(rests, outer, strict=True))
        crossed.append([sums(number, rest, held) for rest, held in pairs])
        within.append(
            [
                score(_inside(number, rest, parts, sums))
                for rest, parts in zip(rests, inner, strict=True)
            ]
        )
    nested = plain.copy()
    folds: list[int | None] = []
    for fold, (rest, held) in enumerate(zip(rests, outer, strict=True)):
        found = [score(plain[list(rest)].sum(axis=0)), *(each[fold] for each in within)]
        best = first_best(found) - 1
        folds.append(None if best < 0 else best)
        if best >= 0:
            nested[list(held)] = crossed[best][fold]
    apart = [score(np.concatenate(parts).sum(axis=0)) for parts in crossed]
    chosen = first_best(apart)
    return Choice(
        chosen,
        score(plain.sum(axis=0)),
        whole[chosen],
        score(nested.sum(axis=0)),
        tuple(folds),
        nested,
    )


def _inside(number: int, rest: Numbers, parts: Sequence[Numbers], sums: Sums) -> Tally:
    """The sums of ``rest``, each inner fold by a setting that was fitted on the others; those of
    a single group by one that was fitted on itself."""
    if len(parts) < 2:
        return np.asarray(sums(number, rest, rest).sum(axis=0))
    each = [sums(number, without(rest, part), part).sum(axis=0) for part in parts]
    return np.asarray(np.sum(each, axis=0))


def folds_of(groups: Sequence[str], numbers: Numbers) -> list[list[int]]:
    """``numbers`` of clips in at most ``FOLDS`` folds, about as many in each and no group in two.

    The larger groups are dealt out first, each to the fold that has the fewest clips.
    """
    names, counts = np.unique([groups[at] for at in numbers], return_counts=True)
    sizes = [0] * min(FOLDS, len(names))
    place: dict[str, int] = {}
    for at in np.argsort(-counts, kind="stable"):
        mine = sizes.index(min(sizes))
        place[str(names[at])] = mine
        sizes[mine] += int(counts[at])
    return [[at for at in numbers if place[groups[at]] == fold] for fold in range(len(sizes))]


def without(numbers: Numbers, some: Numbers) -> list[int]:
    """``numbers`` that are not among ``some``."""
    left_out = set(some)
    return [at for at in numbers if at not in left_out]


def first_best(scores: Sequence[float]) -> int:
    """Where the highest score stands: the first of equal ones; NaN is the lowest."""
    known = np.where(np.isnan(scores), -np.inf, scores)
    return int(known.argmax())
