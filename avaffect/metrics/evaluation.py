"""Scoring predictions against annotations, as the challenge does.

Everything a score needs of one video is a small array of sums (its *tally*), and tallies add up.
The official score is a function of the sum over all videos, a video's own score of its own tally,
and a bootstrap over videos draws tallies with repetition, so that thousands of draws cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import UsageError
from avaffect.files.editions import INVALID, Edition, edition_named
from avaffect.metrics.scores import (
    accuracy,
    binary_accuracy,
    binary_counts,
    binary_f1,
    confusion,
    f1_per_class,
)

Labels = NDArray[np.float64] | NDArray[np.int64]
Tally = NDArray[np.float64]
RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Pair:
    """The predictions and annotations of one subject, coded as in the challenge's files.

    Attributes:
        subject: e.g. ``video_left``.
        predicted: va float64 [N, 2]; expr int64 [N]; au int64 [N, K].
        annotated: likewise, with as many columns; another number of rows is allowed.
    """

    subject: str
    predicted: Labels
    annotated: Labels

    @property
    def video(self) -> str:
        """The video that the subject was seen in: left and right are one."""
        for suffix in ("_left", "_right"):
            if self.subject.endswith(suffix):
                return self.subject.removesuffix(suffix)
        return self.subject


@dataclass(frozen=True)
class VideoScore:
    """One subject's part in an evaluation.

    Attributes:
        subject: whose.
        frames: annotated, valid frames that were scored.
        invalid: frames annotated as invalid, left out.
        unpredicted: valid frames without a prediction, left out.
        rows: predicted rows minus annotated rows; the surplus on either side is left out.
        score: the official score of these frames alone; NaN without any.
    """

    subject: str
    frames: int
    invalid: int
    unpredicted: int
    rows: int
    score: float


@dataclass(frozen=True)
class Evaluation:
    """What predictions are worth.

    Attributes:
        task: ``va``, ``expr`` or ``au``.
        edition: whose official score it is.
        score: the official score.
        low, high: its 95 % bootstrap interval over videos; NaN for a single video.
        parts: what the score is made of, by name, e.g. ``CCC valence`` or ``F1 Fear``.
        confusion: expr only, int64 [C, C], rows annotated, columns predicted.
        subjects: a row a subject.
        tallies: float64 [V, ...], the sums behind it, a row a video.
        videos: the videos' names, in the order of ``tallies``.
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

    @property
    def frames(self) -> int:
        """Frames scored."""
        return sum(one.frames for one in self.subjects)


@dataclass(frozen=True)
class Comparison:
    """Two predictions of the same videos.

    Attributes:
        difference: score of the first minus score of the second.
        low, high: 95 % interval of the difference, the same videos drawn for both.
        p: share of resamples in which the sign is the other way, doubled (two-sided), at most 1.
    """

    difference: float
    low: float
    high: float
    p: float


def evaluate(
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
        task: ``va``, ``expr`` or ``au``.
        edition: an edition of ``files.editions``; ABAW1 and 2 weight F1 and accuracy.
        resamples: bootstrap draws.
        seed: of the draws.

    Raises:
        UsageError: without a valid frame.
    """
    chosen = edition_named(edition)
    tally, score = _TALLIES[task], _SCORES[task]
    rows: list[VideoScore] = []
    sums: dict[str, Tally] = {}
    for pair in pairs:
        predicted, annotated, row = _scored(pair, task)
        mine = tally(predicted, annotated, chosen)
        rows.append(replace(row, score=score(mine, chosen)[0]) if row.frames else row)
        sums[pair.video] = sums[pair.video] + mine if pair.video in sums else mine
    if not sum(row.frames for row in rows):
        raise UsageError(
            "there is no frame with both a valid annotation and a prediction",
            "check that the files belong together and that the task is right",
        )
    tallies = np.stack(list(sums.values()))
    total = tallies.sum(0)
    official, parts = score(total, chosen)
    # One video, drawn again and again, says nothing of others.
    drawn = resampled(tallies, task, edition, resamples, seed) if len(tallies) > 1 else np.empty(0)
    low, high = interval(drawn)
    return Evaluation(
        task,
        edition,
        official,
        low,
        high,
        parts,
        total.astype(np.int64) if task == "expr" else None,
        tuple(rows),
        tallies,
        tuple(sums),
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
    drawn = resampled(first.tallies, task, edition, resamples, seed)
    drawn -= resampled(second.tallies, task, edition, resamples, seed)
    low, high = interval(drawn)
    known = drawn[np.isfinite(drawn)]
    sides = min((known <= 0).mean(), (known >= 0).mean()) if known.size else 0.5
    return Comparison(first.score - second.score, low, high, float(min(1.0, 2 * sides)))


def resampled(
    tallies: Tally, task: str, edition: str, resamples: int, seed: int
) -> NDArray[np.float64]:
    """float64 [resamples], the official score of videos drawn with repetition."""
    chosen, score = edition_named(edition), _SCORES[task]
    rng = np.random.default_rng(seed)
    videos = len(tallies)
    draws = rng.multinomial(videos, np.full(videos, 1 / videos), size=resamples)
    sums = np.tensordot(draws, tallies, axes=1)
    return np.array([score(one, chosen)[0] for one in sums])


def interval(scores: NDArray[np.float64]) -> tuple[float, float]:
    """The central 95 % of bootstrap scores; NaN if none is known."""
    known = scores[np.isfinite(scores)]
    if not known.size:
        return float("nan"), float("nan")
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)


def _scored(pair: Pair, task: str) -> tuple[Labels, Labels, VideoScore]:
    """The frames that count, and how many were left out; the score is not known yet."""
    rows = min(len(pair.predicted), len(pair.annotated))
    predicted, annotated = pair.predicted[:rows], pair.annotated[:rows]
    valid, known = ~_invalid(annotated, task), ~_invalid(predicted, task)
    use = valid & known
    row = VideoScore(
        subject=pair.subject,
        frames=int(use.sum()),
        invalid=int((~valid).sum()),
        unpredicted=int((valid & ~known).sum()),
        rows=len(pair.predicted) - len(pair.annotated),
        score=float("nan"),
    )
    return predicted[use], annotated[use], row


def _invalid(labels: Labels, task: str) -> NDArray[np.bool_]:
    """A frame is invalid if any of its values is."""
    hit = labels == INVALID[task]
    return hit if hit.ndim == 1 else hit.any(axis=1)


def _va_tally(predicted: Labels, annotated: Labels, edition: Edition) -> Tally:
    """float64 [2, 6]: for each dimension n, sums of x, y, xx, yy, xy."""
    x, y = predicted.reshape(-1, 2).T, annotated.reshape(-1, 2).T
    ones = np.full(2, x.shape[1], np.float64)
    sums = (x.sum(1), y.sum(1), (x * x).sum(1), (y * y).sum(1), (x * y).sum(1))
    return np.stack([ones, *sums], axis=1).astype(np.float64)


def _va_score(tally: Tally, edition: Edition) -> tuple[float, dict[str, float]]:
    n, x, y, xx, yy, xy = tally.T
    with np.errstate(invalid="ignore", divide="ignore"):
        mean_x, mean_y = x / n, y / n
        apart = (mean_x - mean_y) ** 2
        spread = xx / n - mean_x**2 + yy / n - mean_y**2 + apart
        concordance = np.where(spread > 1e-12, 2 * (xy / n - mean_x * mean_y) / spread, 1.0)
    concordance = np.where(n > 0, concordance, np.nan)
    valence, arousal = (float(value) for value in concordance)
    return (valence + arousal) / 2, {"CCC valence": valence, "CCC arousal": arousal}


def _expr_tally(predicted: Labels, annotated: Labels, edition: Edition) -> Tally:
    return confusion(predicted, annotated, len(edition.expressions)).astype(np.float64)


def _expr_score(tally: Tally, edition: Edition) -> tuple[float, dict[str, float]]:
    counts = tally.astype(np.int64)
    each, hits = f1_per_class(counts), accuracy(counts)
    macro = float(each.mean())
    parts = {"macro F1": macro, "accuracy": hits}
    parts |= {f"F1 {name}": float(f1) for name, f1 in zip(edition.expressions, each, strict=True)}
    # The first two editions weighted F1 and accuracy.
    return (0.67 * macro + 0.33 * hits if _is_early(edition) else macro), parts


def _au_tally(predicted: Labels, annotated: Labels, edition: Edition) -> Tally:
    units = len(edition.action_units)
    counts = binary_counts(predicted.reshape(-1, units), annotated.reshape(-1, units))
    return counts.astype(np.float64)


def _au_score(tally: Tally, edition: Edition) -> tuple[float, dict[str, float]]:
    counts = tally.astype(np.int64)
    each, hits = binary_f1(counts), binary_accuracy(counts)
    mean = float(each.mean())
    parts = {"mean F1": mean, "accuracy": hits}
    parts |= {f"F1 {name}": float(f1) for name, f1 in zip(edition.action_units, each, strict=True)}
    return (0.5 * mean + 0.5 * hits if _is_early(edition) else mean), parts


def _is_early(edition: Edition) -> bool:
    return edition.name in ("abaw1", "abaw2")


_TALLIES: Mapping[str, Callable[[Labels, Labels, Edition], Tally]] = {
    "va": _va_tally,
    "expr": _expr_tally,
    "au": _au_tally,
}
_SCORES: Mapping[str, Callable[[Tally, Edition], tuple[float, dict[str, float]]]] = {
    "va": _va_score,
    "expr": _expr_score,
    "au": _au_score,
}
