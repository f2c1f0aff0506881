"""Scores with intervals, and differences of scores of the same clips; printed as tables.

What a method says of each clip is kept as sums (`Said`), a score is a function of sums, and clips,
or whole people, are drawn with repetition. Two methods are drawn together, so that a difference
has an interval of its own, which is narrower than two intervals side by side let one think.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.metrics.bootstrap import MIN_VIDEOS, RESAMPLES, interval, resampled_by
from avaffect.metrics.by_video import by_video

Sums = NDArray[np.float64]
# Of sums [S].
Score = Callable[[Sums], float]


@dataclass(frozen=True, eq=False)
class Said:
    """What a method says of some clips.

    Attributes:
        sums: float64 [N, R, S], of each clip and each seed, the sums that scores are made of.
    """

    sums: Sums

    @classmethod
    def of(cls, seeds: Sequence[Sequence[Sums]]) -> Said:
        """Of sums [S], by seed and clip."""
        return cls(np.stack([np.stack(some) for some in seeds], axis=1))

    def scores(self, score: Score) -> list[float]:
        """The score of all clips, by seed."""
        return [score(seed) for seed in self.sums.sum(axis=0)]


@dataclass(frozen=True)
class Estimate:
    """A score, or a difference of two.

    Attributes:
        value: the mean over the seeds.
        spread: standard deviation over the seeds; NaN for one alone, and of differences.
        clips, people: 95 % intervals of clips, and of people with all their clips, drawn with
            repetition; NaN where there are too few.
    """

    value: float
    spread: float
    clips: tuple[float, float]
    people: tuple[float, float]

    def text(self, digits: int = 3, signed: bool = False) -> str:
        """``.123 [.101, .145]``, the interval of people."""
        sign = "+" if signed else ""
        low, high = (shown(end, digits, sign) for end in self.people)
        return f"{shown(self.value, digits, sign)} [{low}, {high}]"


def shown(value: float, digits: int = 3, sign: str = "") -> str:
    """``.123``: without the leading zero."""
    return format(value, f"{sign}.{digits}f").replace("0.", ".", 1) if np.isfinite(value) else "-"


def estimate(said: Said, people: Sequence[str], score: Score) -> Estimate:
    """The score of all clips.

    Args:
        said: of N clips.
        people: of each clip, who is in it.
        score: of sums.
    """
    seeds = said.scores(score)
    spread = float(np.std(seeds, ddof=1)) if len(seeds) > 1 else float("nan")
    return _estimate([said], people, lambda parts: _mean(score, parts[0]), spread)


def difference(one: Said, other: Said, people: Sequence[str], score: Score) -> Estimate:
    """By how much the score of ``one`` is higher, clip by clip the same ones drawn."""

    def of(parts: Sequence[Sums]) -> float:
        return _mean(score, parts[0]) - _mean(score, parts[1])

    return _estimate([one, other], people, of, float("nan"))


def _mean(score: Score, seeds: Sums) -> float:
    return float(np.mean([score(seed) for seed in seeds]))


def _estimate(
    methods: Sequence[Said],
    people: Sequence[str],
    of: Callable[[Sequence[Sums]], float],
    spread: float,
) -> Estimate:
    """Of what some methods say of the same clips; ``of`` takes their sums, [R, S] each."""
    shapes = [said.sums.shape[1:] for said in methods]
    ends = np.cumsum([0, *(seeds * sums for seeds, sums in shapes)])
    flat = np.concatenate([said.sums.reshape(len(said.sums), -1) for said in methods], axis=1)

    def scored(sums: Sums) -> float:
        parts = zip(ends[:-1], ends[1:], shapes, strict=True)
        return of([sums[a:b].reshape(shape) for a, b, shape in parts])

    def drawn(rows: Sums) -> tuple[float, float]:
        if len(rows) < MIN_VIDEOS:
            return float("nan"), float("nan")
        return interval(resampled_by(rows, scored, RESAMPLES, 0))

    return Estimate(scored(flat.sum(axis=0)), spread, drawn(flat), drawn(by_video(flat, people)))


def table(heads: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """A table in Markdown, a row a name."""
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join([name, *cells])} |" for name, cells in rows.items()]
    return "\n".join(lines)
