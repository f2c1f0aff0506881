"""Scores of clips in memory by the video that they come from, and how sure they are.

As `arrays.score_arrays`, for any dimensions, classes or units; here each clip is a small array of
sums (`tallies`), so that a score of any clips together, and an interval over videos, cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.challenge.layout import source_video
from avaffect.metrics.bootstrap import MIN_VIDEOS, RESAMPLES, interval, resampled_by
from avaffect.metrics.scores import binary_counts, confusion, mean_known
from avaffect.metrics.tallies import Tally, tally_parts
from avaffect.tasks.kinds import Values
from avaffect.tasks.registry import task_named

Pair = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True, eq=False, repr=False)
class Interval(ArrayRecord):
    """How sure a score is.

    Attributes:
        low, high: the central 95 % of scores of videos drawn with repetition; NaN for fewer than
            ``bootstrap.MIN_VIDEOS``.
        videos: how many there are.
        of: what these are, see :func:`kind_of`.
    """

    low: float
    high: float
    videos: int
    of: str = "videos"

    def to_dict(self) -> dict[str, float | int | None]:
        """For JSON, which has no NaN."""
        known = isfinite(self.low)
        return {
            "low": self.low if known else None,
            "high": self.high if known else None,
            "videos": self.videos,
        }

    @property
    def short(self) -> str:
        """Its two ends, ``-`` where they are not known."""
        return f"[{self.low:.4f}, {self.high:.4f}]" if isfinite(self.low) else "-"

    def __str__(self) -> str:
        if isfinite(self.low):
            return f"95 % interval {self.short} over {self.videos} {self.of}"
        some = f"{self.videos} {self.of.removesuffix('s') if self.videos == 1 else self.of}"
        return f"{some}, fewer than {MIN_VIDEOS} say too little for an interval"


ClipFacts = tuple[str, str, int]
"""A clip's name, its group (its video, or what else was kept together) and how many frames."""


def kind_of(clips: Iterable[ClipFacts]) -> str:
    """What groups of clips are.

    >>> kind_of([("a_left", "a", 90), ("b", "b", 50)]), kind_of([("a", "Ann", 90)])
    ('videos', 'groups')

    Args:
        clips: them.

    Returns:
        ``pictures``, ``videos``, or else ``groups``, such as people.
    """
    every = [*clips]
    if any(source_video(name) != group for name, group, _ in every):
        return "groups"
    single = every and all(frames == 1 for *_, frames in every)
    return "pictures" if single else "videos"


@dataclass(frozen=True)
class Scored:
    """A task's score, of some clips together.

    Attributes:
        task: which.
        score: NaN where nothing can be compared.
        interval: how sure it is.
        parts: what it is made of, by name.
    """

    task: str
    score: float
    interval: Interval
    parts: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Score and interval for JSON, which has no NaN."""
        known = self.score if isfinite(self.score) else None
        return {"score": known, "interval": self.interval.to_dict()}


Intervals = dict[str, Interval]
"""By task, how sure its score is."""


def plain(intervals: Intervals) -> dict[str, dict[str, float | int | None]]:
    """Intervals as JSON holds them."""
    return {task: interval.to_dict() for task, interval in intervals.items()}


def clip_tally(task: str, pair: Pair, targets: Sequence[str]) -> Tally:
    """The sums of one clip.

    Args:
        task: ``va``, ``expr`` or ``au``.
        pair: predictions and labels, coded as `arrays.score_arrays` wants them. A cell without a
            label or a prediction is left out, and the others of its frame stay.
        targets: names of the dimensions, classes or units.

    Returns:
        float64 [S], as those of `tallies.tally`.
    """
    ours, width = task_named(task), len(targets)
    x, y = (np.asarray(each, np.float64) for each in pair)
    use = ours.known(x) & ours.known(y)
    if isinstance(ours, Values):
        x, y = np.where(use, x, 0.0), np.where(use, y, 0.0)
        parts = (use, x, y, x * x, y * y, x * y)
        return np.stack([part.sum(axis=0, dtype=np.float64) for part in parts], axis=1).ravel()
    if ours.flat:
        return confusion(x[use], y[use], width).astype(np.float64).ravel()
    counts = [
        binary_counts(x[use[:, at], at, None], y[use[:, at], at, None]) for at in range(width)
    ]
    return np.concatenate(counts).astype(np.float64).ravel()


def score_of(sums: Tally, task: str, targets: Sequence[str]) -> float:
    """The score of sums, as `arrays.score_arrays`: parts without a cell stay out of the mean."""
    value, parts = tally_parts(sums, task, targets)
    return mean_known(list(parts.values())) if isinstance(task_named(task), Values) else value


def by_video(tallies: Iterable[Tally], groups: Sequence[str]) -> Tally:
    """float64 [V, S], the sums of each video's clips, videos in the order of their first clip."""
    sums: dict[str, Tally] = {}
    for group, mine in zip(groups, tallies, strict=True):
        sums[group] = sums[group] + mine if group in sums else mine
    return np.stack(list(sums.values())) if sums else np.empty((0, 0))


def scored(
    tallies: Iterable[Tally], clips: Sequence[ClipFacts], task: str, targets: Sequence[str]
) -> Scored:
    """The score of some clips together.

    Args:
        tallies: of each clip, see :func:`clip_tally`.
        clips: them, in the same order; one at least.
        task: ``va``, ``expr`` or ``au``.
        targets: names of the dimensions, classes or units.
    """
    videos = by_video(tallies, [group for _, group, _ in clips])
    total = videos.sum(axis=0)
    return Scored(
        task,
        score_of(total, task, targets),
        interval_of(videos, task, targets, of=kind_of(clips)),
        tally_parts(total, task, targets)[1],
    )


def interval_of(
    videos: Tally,
    task: str,
    targets: Sequence[str],
    *,
    of: str = "videos",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The interval of the score of all videos.

    Args:
        videos: float64 [V, S], see :func:`by_video`.
        task: ``va``, ``expr`` or ``au``.
        targets: names of the dimensions, classes or units.
        of: what they are, see :func:`kind_of`.
        resamples: bootstrap draws.
        seed: of the draws.
    """
    drawn = np.empty(0)
    if len(videos) >= MIN_VIDEOS:
        drawn = resampled_by(videos, lambda sums: score_of(sums, task, targets), resamples, seed)
    return Interval(*interval(drawn), len(videos), of)
