"""Scoring predictions against annotations, as the challenge does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.challenge.editions import TRACKS, Edition, edition_named
from avaffect.challenge.layout import source_video
from avaffect.errors import UsageError, boundary
from avaffect.metrics.bootstrap import MIN_VIDEOS, RESAMPLES, interval, resampled
from avaffect.metrics.tallies import (
    MTL,
    Labels,
    Tally,
    absent_parts,
    confusion_of,
    score,
    split_mtl,
    split_tally,
    tally,
)
from avaffect.tasks.registry import task_named


@dataclass(frozen=True, eq=False, repr=False)
class Pair(ArrayRecord):
    """The predictions and annotations of one subject, coded as in the challenge's files.

    Attributes:
        subject: e.g. ``video_left``.
        predicted: va float64 [N, 2]; expr int64 [N]; au int64 [N, K]; mtl float64 [N, 15], see
            `tallies.join_mtl`.
        annotated: likewise, with as many columns; another number of rows is allowed.
    """

    subject: str
    predicted: Labels
    annotated: Labels

    @property
    def video(self) -> str:
        """The video that the subject was seen in: left and right are one."""
        return source_video(self.subject)


@dataclass(frozen=True)
class VideoScore:
    """One subject's part in an evaluation.

    Attributes:
        subject: whose.
        frames: annotated, valid frames that were scored; for mtl in one task at least.
        invalid: frames annotated as invalid, left out; for mtl in every task.
        unpredicted: valid frames without a prediction, left out; for mtl in any task.
        rows: predicted rows minus annotated rows; the surplus on either side is left out.
        score: the official score of these frames alone; NaN without any (for mtl: of any task).
    """

    subject: str
    frames: int
    invalid: int
    unpredicted: int
    rows: int
    score: float


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation(ArrayRecord):
    """What predictions are worth.

    Attributes:
        task: ``va``, ``expr``, ``au`` or ``mtl``.
        edition: whose official score it is.
        score: the official score.
        low, high: its 95 % bootstrap interval over videos; NaN for fewer than ``MIN_VIDEOS``.
        parts: what the score is made of, by name, e.g. ``CCC valence`` or ``F1 Fear``.
        confusion: expr and mtl only, int64 [C, C], rows annotated, columns predicted.
        subjects: a row a subject.
        tallies: float64 [V, S], the sums behind it, a row a video; see `tallies.tally`.
        videos: the videos' names, in the order of ``tallies``.
        absent: the parts without meaning, since no frame is annotated with the class or unit, or
            all with the same valence or arousal. They count in the score all the same.
    """

    task: str
    edition: str
    score: float
    low: float
    high: float
    parts: dict[str, float]
    confusion: NDArray[np.int64] | None
    subjects: tuple[VideoScore, ...]
    tallies: Tally
    videos: tuple[str, ...]
    absent: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """Frames scored."""
        return sum(subject.frames for subject in self.subjects)


@dataclass(frozen=True)
class Comparison:
    """Two predictions of the same videos.

    Attributes:
        difference: score of the first minus score of the second.
        low, high: 95 % interval of the difference, the same videos drawn for both.
        p: share of resamples in which the sign is the other way, doubled (two-sided), at most 1.
            All three are NaN for fewer than ``MIN_VIDEOS`` videos.
    """

    difference: float
    low: float
    high: float
    p: float


@boundary()
def score_pairs(
    pairs: Sequence[Pair],
    task: str,
    edition: str,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Score predictions.

    Frames annotated as invalid count for nothing. Where predictions and annotations differ in
    their numbers of rows, the common beginning is scored: the challenge's own annotations have a
    row more than there are frames in two thirds of the videos.

    Args:
        pairs: the subjects.
        task: ``va``, ``expr``, ``au`` or ``mtl``.
        edition: an edition of ``challenge.editions``; ABAW1 and 2 weight F1 and accuracy.
        resamples: bootstrap draws.
        seed: of the draws.

    Raises:
        UsageError: without a valid, predicted frame (for mtl: of each task).
    """
    chosen = edition_named(edition)
    rows: list[VideoScore] = []
    sums: dict[str, Tally] = {}
    for pair in pairs:
        mine, row = _counted(pair, task, chosen)
        rows.append(row)
        sums[pair.video] = sums[pair.video] + mine if pair.video in sums else mine
    tallies = np.stack(list(sums.values())) if sums else np.empty((0, 0))
    total = tallies.sum(0)
    for part, mine in (split_tally(total) if task == MTL and rows else {task: total}).items():
        if not mine.any():
            raise UsageError(
                "there is no frame with both a valid annotation and a prediction of task "
                f"'{part}'",
                "check that the files belong together and that the task is right",
            )
    official, parts = score(total, task, chosen)
    drawn = np.empty(0)
    if len(tallies) >= MIN_VIDEOS:
        drawn = resampled(tallies, task, edition, resamples, seed)
    low, high = interval(drawn)
    return Evaluation(
        task,
        edition,
        official,
        low,
        high,
        parts,
        confusion_of(total, task),
        tuple(rows),
        tallies,
        tuple(sums),
        absent_parts(total, task, chosen),
    )


def compare(
    first: Evaluation, second: Evaluation, *, resamples: int = RESAMPLES, seed: int = 0
) -> Comparison:
    """Whether the first predictions are better than the second, on the same videos.

    Raises:
        UsageError: for evaluations of different tasks, editions or videos.
    """
    if (first.task, first.edition) != (second.task, second.edition):
        raise UsageError("the two evaluations are of different tasks", "evaluate the same task")
    if first.videos != second.videos:
        odd = sorted(set(first.videos) ^ set(second.videos))
        raise UsageError(
            f"the two predictions are of different videos ({', '.join(odd[:3]) or 'other order'})",
            "predict the same videos with both",
        )
    task, edition = first.task, first.edition
    difference = first.score - second.score
    if len(first.videos) < MIN_VIDEOS:
        return Comparison(difference, *[float("nan")] * 3)
    drawn = resampled(first.tallies, task, edition, resamples, seed)
    drawn -= resampled(second.tallies, task, edition, resamples, seed)
    low, high = interval(drawn)
    known = drawn[np.isfinite(drawn)]
    sides = min((known <= 0).mean(), (known >= 0).mean()) if known.size else 0.5
    return Comparison(difference, low, high, float(min(1.0, 2 * sides)))


def _counted(pair: Pair, task: str, edition: Edition) -> tuple[Tally, VideoScore]:
    """The sums of the frames that count, and how many were left out."""
    rows = min(len(pair.predicted), len(pair.annotated))
    used, valid, lacking = np.zeros((3, rows), bool)
    sums = []
    for name, predicted, annotated in _tasks(pair, task, rows):
        labelled, known = ~_invalid(annotated, name), ~_invalid(predicted, name)
        use = labelled & known
        sums.append(tally(predicted[use], annotated[use], name, edition))
        used, valid, lacking = used | use, valid | labelled, lacking | (labelled & ~known)
    mine = np.concatenate(sums)
    row = VideoScore(
        subject=pair.subject,
        frames=int(used.sum()),
        invalid=int((~valid).sum()),
        unpredicted=int(lacking.sum()),
        rows=len(pair.predicted) - len(pair.annotated),
        score=score(mine, task, edition)[0],
    )
    return mine, row


def _tasks(pair: Pair, task: str, rows: int) -> list[tuple[str, Labels, Labels]]:
    predicted, annotated = pair.predicted[:rows], pair.annotated[:rows]
    if task != MTL:
        return [(task, predicted, annotated)]
    mine, theirs = split_mtl(predicted), split_mtl(annotated)
    return [(name, mine[name], theirs[name]) for name in TRACKS]


def _invalid(labels: Labels, task: str) -> NDArray[np.bool_]:
    """A frame is invalid if any of its values is."""
    hit = labels == task_named(task).invalid
    return hit if hit.ndim == 1 else hit.any(axis=1)
