"""Smoothing over time, in seconds, whatever the frame rate.

Every window is centred on its frame's own time, so that nothing lags, and holds the frames whose
time lies within it: right also where the frame rate varies. At the ends and beside gaps it holds
fewer. Frames without a value neither give nor get one, and since a window never reaches further
than half its width, nothing crosses a gap longer than that.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import UnknownNameError, UsageError
from avaffect.predictions.missing import alike
from avaffect.predictions.prediction import Prediction
from avaffect.tasks.kinds import Classes
from avaffect.tasks.registry import AU, TASKS, VA, task_named

MAX_SECONDS = 60.0
# Times come from rational time bases: without a margin, rounding decides who is in the window.
_MARGIN = 1e-6
# Cells of the largest array made at a time.
_CELLS = 1 << 20

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def _box(x: Array, inside: Mask) -> Array:
    """Equal weights."""
    return inside.astype(np.float64)


def _gaussian(x: Array, inside: Mask) -> Array:
    """A Gaussian whose standard deviation is a fifth of the window (gausswin's alpha 2.5)."""
    return np.exp(-0.5 * (2.5 * x) ** 2) * inside


def _quadratic(x: Array, inside: Mask) -> Array:
    """Savitzky-Golay on any times: the weights of a quadratic least-squares fit's value at x=0."""
    x = np.where(inside, x, 0.0)
    squares = x * x
    n, s1, s2 = inside.sum(axis=1).astype(float), x.sum(axis=1), squares.sum(axis=1)
    s3, s4 = np.einsum("ij,ij->i", x, squares), np.einsum("ij,ij->i", squares, squares)
    # First row of the inverse of [[n, s1, s2], [s1, s2, s3], [s2, s3, s4]], by cofactors.
    c0, c1, c2 = s2 * s4 - s3 * s3, s2 * s3 - s1 * s4, s1 * s3 - s2 * s2
    determinant = n * c0 + s1 * c1 + s2 * c2
    # Three points or fewer determine the curve, or less: it goes through the point itself.
    alone = (n <= 3) | (determinant < 1e-9 * n**3)
    determinant[alone] = 1.0
    weights = (c0[:, None] + c1[:, None] * x + c2[:, None] * squares) / determinant[:, None]
    own = x == 0
    return np.where(alone[:, None], own, weights) * inside


def _weighted(weigh: Callable[[Array, Mask], Array]) -> Callable[[Array, Array, Mask], Array]:
    """A smoother from a rule that gives each frame in the window its weight."""

    def smoother(values: Array, x: Array, inside: Mask) -> Array:
        weights = weigh(x, inside)
        return (weights @ values) / weights.sum(axis=1, keepdims=True)

    return smoother


def _median(values: Array, x: Array, inside: Mask) -> Array:
    """The middle value; of an even number the mean of the two in the middle."""
    counts = inside.sum(axis=1)
    # Each row's window is one run of columns: gather it, padded with infinity at the end.
    first = inside.argmax(axis=1)
    columns = first[:, None] + np.arange(counts.max())
    held = np.arange(counts.max()) < counts[:, None]
    windows = values.T[:, np.minimum(columns, len(values) - 1)]
    windows = np.sort(np.where(held, windows, np.inf), axis=2)
    rows = np.arange(len(counts))
    low, high = windows[:, rows, (counts - 1) // 2], windows[:, rows, counts // 2]
    return ((low + high) / 2).T


# From the values of some neighbouring frames, [m, K], and for each of c frames in their midst the
# others' distances in half windows, [c, m], with a mask of those within the window.
SMOOTHERS: dict[str, Callable[[Array, Array, Mask], Array]] = {
    "box": _weighted(_box),
    "gaussian": _weighted(_gaussian),
    "median": _median,
    "savgol": _weighted(_quadratic),
}
KINDS = ("off", *SMOOTHERS)


@dataclass(frozen=True)
class Smoothing:
    """How predictions are smoothed.

    Attributes:
        kind: one of ``KINDS``.
        seconds: the whole width of the window, more than 0 and at most 60 (unused for ``off``).
    """

    kind: str = "off"
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownNameError("smoothing", self.kind, KINDS)
        if self.kind != "off" and not 0 < self.seconds <= MAX_SECONDS:
            raise UsageError(
                f"a smoothing window of {self.seconds:g} seconds cannot be used",
                f"choose more than 0 and at most {MAX_SECONDS:g}, for example {self.kind}:0.5",
            )

    def of(self, task: str) -> Smoothing:
        """How ``task`` is smoothed: like every other."""
        return self

    def __str__(self) -> str:
        return self.kind if self.kind == "off" else f"{self.kind}:{self.seconds:g}"


@dataclass(frozen=True)
class TaskSmoothing:
    """A smoothing for each task.

    Attributes:
        tasks: by task; one that is not named is off.
    """

    tasks: Mapping[str, Smoothing]

    def of(self, task: str) -> Smoothing:
        """How ``task`` is smoothed."""
        return self.tasks.get(task, Smoothing())

    def __str__(self) -> str:
        return ",".join(f"{task}={self.of(task)}" for task in TASKS)


def parse_smoothing(text: str, auto: str = "off") -> Smoothing | TaskSmoothing:
    """``off``, or a kind and the window's width in seconds: ``gaussian:0.5``.

    Tasks may differ: ``va=box:3.4,expr=box:3.4,au=box:0.2``. A task that is not named is off.

    Args:
        text: the above, or ``auto``.
        auto: what ``auto`` stands for.

    Raises:
        UsageError: anything else.
    """
    text = text.strip()
    chosen = auto if text == "auto" else text
    if "=" not in chosen:
        return _parse_one(chosen)
    tasks: dict[str, Smoothing] = {}
    for part in chosen.split(","):
        task, equals, rest = (word.strip() for word in part.partition("="))
        if not equals or task in tasks:
            raise UsageError(
                f"'{text}' must name each task once, with its smoothing",
                "write for example va=box:3.4,expr=box:3.4,au=box:0.2",
            )
        task_named(task)
        tasks[task] = _parse_one(rest)
    return TaskSmoothing({task: tasks.get(task, Smoothing()) for task in TASKS})


def _parse_one(text: str) -> Smoothing:
    kind, colon, seconds = text.partition(":")
    if kind in KINDS and kind != "off":
        try:
            width = float(seconds)
        except ValueError:
            raise UsageError(
                f"'{text}' gives no seconds to smooth over",
                f"write the window's width after a colon, for example {kind}:0.5",
            ) from None
        return Smoothing(kind, width)
    if colon and kind == "off":
        raise UsageError(f"'{text}' is off and on at once", "write 'off' alone")
    return Smoothing(kind)


def smooth(
    values: NDArray[np.floating], times: NDArray[np.float64], kind: str, seconds: float
) -> NDArray[np.float32]:
    """Smooth each column over time.

    Args:
        values: [N, K]; a row with a NaN is missing, stays as it is and is left out elsewhere.
        times: float64 [N] in seconds, never falling.
        kind: ``off``, ``box`` (mean), ``gaussian`` (standard deviation ``seconds / 5``),
            ``median``, or ``savgol`` (Savitzky-Golay: the value of a quadratic fitted to the
            window, which keeps peaks, and may overshoot).
        seconds: the whole width of the window.

    Returns:
        float32 [N, K].
    """
    smoothing = Smoothing(kind, seconds)
    whole = np.array(values, dtype=np.float32)
    # A column that the model does not know is no reason to leave out the others.
    columns = np.flatnonzero(~np.isnan(whole).all(axis=0))
    result = whole[:, columns]
    rows = np.flatnonzero(~np.isnan(result).any(axis=1))
    if smoothing.kind == "off" or len(rows) == 0 or len(columns) == 0:
        return whole
    known, at = result[rows].astype(np.float64), np.asarray(times, dtype=np.float64)[rows]
    half = seconds / 2
    first = np.searchsorted(at, at - half - _MARGIN, side="left")
    last = np.searchsorted(at, at + half + _MARGIN, side="right")
    smoother = SMOOTHERS[kind]
    # So many rows at a time that no array outgrows _CELLS, and not many more than a window
    # holds, since beyond that the work lies outside the windows.
    widest = int((last - first).max())
    depth = widest * known.shape[1] if kind == "median" else 2 * widest + 64
    step = max(1, min(_CELLS // depth, widest + 64))
    for start in range(0, len(rows), step):
        here = slice(start, start + step)
        low, high = first[start], last[here][-1]
        x = (at[low:high] - at[here, None]) / half
        inside = np.abs(x) <= 1 + _MARGIN / half
        result[rows[here]] = smoother(known[low:high], x, inside)
    whole[:, columns] = result
    return whole


def smooth_units(
    values: NDArray[np.floating], times: NDArray[np.float64], kind: str, seconds: float
) -> NDArray[np.float32]:
    """As :func:`smooth`, but of values [N, K] that may be missing each alone."""
    whole = np.array(values, dtype=np.float32)
    for columns in alike(whole):
        whole[:, columns] = smooth(whole[:, columns], times, kind, seconds)
    return whole


def smooth_task(
    task: str, values: NDArray[np.floating], times: NDArray[np.float64], smoothing: Smoothing
) -> NDArray[np.float32]:
    """Smooth the values of a task, which stay within their range.

    Probabilities of expressions are brought back to a sum of one.

    Args:
        task: ``va``, ``expr`` or ``au``.
        values: [N, K], NaN rows where there are none.
        times: float64 [N] in seconds.
        smoothing: how.

    Returns:
        float32 [N, K].
    """
    ours = task_named(task)
    how = smooth_units if ours.apart else smooth
    smoothed = how(values, times, smoothing.kind, smoothing.seconds)
    smoothed = np.clip(smoothed, ours.low, ours.high)
    if isinstance(ours, Classes) and smoothing.kind != "off":
        total = smoothed.sum(axis=1, keepdims=True)
        # Medians of sharp probabilities may all be zero: such rows keep what they had.
        empty = total[:, 0] <= math.ulp(1.0)
        smoothed[empty] = values[empty]
        total[empty] = 1.0
        smoothed /= total
    return smoothed


def apply(prediction: Prediction, smoothing: Smoothing | TaskSmoothing) -> Prediction:
    """Smooth everything that a model predicts.

    Probabilities of expressions are smoothed and brought back to a sum of one; presence and
    expression are decided afterwards. Results stay within their ranges.

    The bounds of ``va_interval`` keep their distances from the value, averaged over the window
    (with the median: their medians). That is right if a face's error is the same all through the
    window, as it nearly is from one frame to the next, and too wide if errors cancel out. The
    interval of a smoothed value is therefore one for the window's mean rating, and smoothing
    makes nothing surer than its frames were.
    """
    tasks = [task for task in prediction.tasks if smoothing.of(task).kind != "off"]
    if not tasks:
        return prediction
    times = prediction.times
    changes: dict[str, Any] = {
        task: smooth_task(task, prediction.values[task], times, smoothing.of(task))
        for task in tasks
    }
    if prediction.au_intensity is not None and AU.name in tasks:
        how = smoothing.of(AU.name)
        intensity = smooth_units(prediction.au_intensity, times, how.kind, how.seconds)
        changes["au_intensity"] = np.clip(intensity, 0, 5)
    if prediction.va_interval is not None and VA.name in tasks:
        changes["va_interval"] = _around(changes[VA.name], prediction, smoothing.of(VA.name))
    return replace(prediction, **changes)


def _around(
    va: NDArray[np.float32], prediction: Prediction, smoothing: Smoothing
) -> NDArray[np.float32]:
    """float32 [N, 2, 2], bounds around the smoothed ``va`` of a prediction with intervals."""
    # A quadratic fit has negative weights, by which distances could come out below zero.
    kind = "box" if smoothing.kind == "savgol" else smoothing.kind
    distances = prediction.va_interval - prediction.va[:, :, None]  # type: ignore[index, operator]
    flat = distances.reshape(len(va), -1)
    averaged = smooth(flat, prediction.times, kind, smoothing.seconds).reshape(distances.shape)
    return np.clip(va[:, :, None] + averaged, -1.0, 1.0)
