"""The prediction of a model for one subject, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from avaffect.arrays import ArrayRecord, require_shape
from avaffect.errors import UsageError, need
from avaffect.files.csv_text import write_csv
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.store.subject import GEOMETRY
from avaffect.tasks.kinds import Classes
from avaffect.tasks.registry import AU, EXPR, TASKS, VA, task_named
from avaffect.tasks.task import Task

if TYPE_CHECKING:
    import pandas

__all__ = ["ACTION_UNITS", "EXPRESSIONS", "TASKS", "Prediction"]

# A sum of float32 probabilities misses one by less than this.
_TOLERANCE = 1e-4
# None stands for a task that the model does not predict.
_NOT_GIVEN: Any = object()
# The columns of `va_interval`, in the order of its values.
_BOUNDS = ("valence_low", "valence_high", "arousal_low", "arousal_high")
# The columns of `geometry`: beside valence and arousal, a bare `left` would be a riddle.
_SIDES = ("left", "top", "right", "bottom")
_PLACES = tuple(f"box_{name}" if name in _SIDES else name for name in GEOMETRY)
# The columns of `eyes`.
EYES = (
    "gaze_left_yaw", "gaze_left_pitch", "gaze_right_yaw", "gaze_right_pitch", "AU45",
    "AU45_intensity",
)  # fmt: skip
# The columns of `speaking`.
SPEAKING = ("speech", "speaking")


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Prediction(ArrayRecord):
    """Valence and arousal, expression and action units of one subject over N decoded frames.

    A model that does not know a task leaves it out; one that knows only some columns of
    ``va`` or ``au`` leaves the others NaN throughout. A row without a value (nothing seen or
    heard) is NaN in all columns: nothing is made up here. Units of a part of the face that cannot
    be seen are NaN alone. What the challenge's text files hold in such rows, `missing.fill` makes.
    Arrays are converted to the given types. The values of a task are given by its name, as
    ``va=``, or all by ``values=``.

    Attributes:
        subject: the subject's name, e.g. ``video_left``; also the name of its files.
        model: the model's name, e.g. ``starter-1``.
        times: float64 [N], seconds from the first decoded frame, never falling.
        present: bool [N], True where the subject's face is seen.
        confidence: float32 [N] in 0..1, the quality of the face (``faces.quality``); NaN where
            there is none.
        values: by task that the model predicts, in the order of ``TASKS``, float32 [N, K]: values
            in the task's range, probabilities, or scores in 0..1, a column a target.
        va: float32 [N, 2], valence and arousal in [-1, 1]; this and the next two of ``values``,
            None if the model does not predict it.
        expr: float32 [N, 8], probabilities in the order of ``EXPRESSIONS``; rows sum to one.
        au: float32 [N, 12], a score in 0..1 for each of ``ACTION_UNITS``; active from .5, or
            ``au_thresholds``, on. Of a trained network it is the network's probability; of the
            starter models it is none, see their cards.
        au_intensity: float32 [N, 12], 0 to 5: 5 times how far a blendshape is from rest towards
            its end. Not FACS' A to E, which people code.
        filled: bool [N], True where the challenge's text files hold a value that a policy for
            missing frames made up, and that is not here (behind `missing.fill`: that is).
        heard: bool [N], True where the voice counted. Where ``present`` is False and this is
            True, the value comes from the voice alone.
        va_interval: float32 [N, 2, 2], for valence and arousal the lower and the upper bound of
            the interval around ``va``, in [-1, 1]; NaN where ``va`` is. None of a model that does
            not say how sure it is.
        au_thresholds: float64 [12], the score from which on a unit is active. None for .5 each,
            or without ``au``.
        geometry: float32 [N, 17], where the face lies, in the columns of
            ``store.subject.GEOMETRY``: the box and five points in pixels of the upright picture,
            then yaw, pitch and roll in degrees; NaN where there is none. None if not known.
        eyes: float32 [N, 6], the columns :data:`EYES`: where each eye points, yaw and pitch in
            degrees relative to the head, then the blink AU45, 1 or 0, and its intensity 0 to 5,
            see ``predictions.eyes``; NaN where the eyes are not seen. None if not known.
        speaking: float32 [N, 2] in 0..1, the columns :data:`SPEAKING`: how likely it is that
            somebody speaks, and that this person does, see ``predictions.speaking``; NaN where
            there is no sound, and where the mouth is not seen. None if not known.
        start: time of the first decoded frame on the clock of `columns`, in seconds: 0, or where
            it lies on the file's own clock if that was asked for (``PredictConfig.clock``).

    Raises:
        UnknownNameError: values of a task that does not exist.
        UsageError: a shape or a value that does not fit the above.
    """

    subject: str
    model: str
    times: NDArray[np.float64]
    present: NDArray[np.bool_]
    confidence: NDArray[np.float32]
    values: Mapping[str, NDArray[np.float32]]
    au_intensity: NDArray[np.float32] | None
    filled: NDArray[np.bool_]
    heard: NDArray[np.bool_]
    va_interval: NDArray[np.float32] | None
    au_thresholds: NDArray[np.float64] | None
    geometry: NDArray[np.float32] | None
    eyes: NDArray[np.float32] | None
    speaking: NDArray[np.float32] | None
    start: float

    def __init__(
        self,
        subject: str,
        model: str,
        times: ArrayLike,
        present: ArrayLike,
        confidence: ArrayLike,
        va: ArrayLike | None = _NOT_GIVEN,
        expr: ArrayLike | None = _NOT_GIVEN,
        au: ArrayLike | None = _NOT_GIVEN,
        au_intensity: ArrayLike | None = None,
        filled: ArrayLike | None = None,
        heard: ArrayLike | None = None,
        va_interval: ArrayLike | None = None,
        au_thresholds: ArrayLike | None = None,
        geometry: ArrayLike | None = None,
        start: float = 0.0,
        *,
        eyes: ArrayLike | None = None,
        speaking: ArrayLike | None = None,
        values: Mapping[str, ArrayLike | None] | None = None,
        **tasks: ArrayLike | None,
    ) -> None:
        times = np.asarray(times)
        given: dict[str, Any] = {
            "subject": subject,
            "model": model,
            "times": times,
            "present": present,
            "confidence": confidence,
            "values": {},
            "au_intensity": au_intensity,
            "filled": np.zeros(len(times), bool) if filled is None else filled,
            "heard": np.zeros(len(times), bool) if heard is None else heard,
            "va_interval": va_interval,
            "au_thresholds": au_thresholds,
            "geometry": geometry,
            "eyes": eyes,
            "speaking": speaking,
            "start": start,
        }
        for name, value in given.items():
            object.__setattr__(self, name, value)
        # What is given by the task's name counts: `replace` hands over the old values too.
        tasks |= {VA.name: va, EXPR.name: expr, AU.name: au}
        named = {name: array for name, array in tasks.items() if array is not _NOT_GIVEN}
        self._check({**(values or {}), **named})

    def _check(self, values: Mapping[str, ArrayLike | None]) -> None:
        """Convert and check everything."""
        frames = len(self.times)
        flags = (("present", bool), ("filled", bool), ("heard", bool))
        for name, dtype in (("times", float), *flags):
            self._convert(name, dtype, (frames,))
        if not np.isfinite(self.times).all() or (np.diff(self.times) < 0).any():
            raise UsageError("times must be finite and never fall")
        self._convert("confidence", np.float32, (frames,), 0.0, 1.0)
        self._convert("geometry", np.float32, (frames, len(GEOMETRY)))
        self._convert("eyes", np.float32, (frames, len(EYES)))
        self._convert("speaking", np.float32, (frames, len(SPEAKING)), 0.0, 1.0)
        for name in values:
            task_named(name)
        checked = {
            name: _values(task, array, frames)
            for name, task in TASKS.items()
            if (array := values.get(name)) is not None
        }
        object.__setattr__(self, "values", checked)
        self._convert("au_intensity", np.float32, (frames, len(ACTION_UNITS)), 0.0, 5.0)
        if self.au_intensity is not None and self.au is None:
            raise UsageError("au_intensity needs au")
        if self.va_interval is not None:
            self._convert("va_interval", np.float32, (frames, 2, 2))
            self._check_interval(self.va_interval)
        self._convert("au_thresholds", np.float64, (len(ACTION_UNITS),))
        if self.au_thresholds is not None:
            if self.au is None:
                raise UsageError("au_thresholds needs au")
            if not ((self.au_thresholds >= 0) & (self.au_thresholds <= 1)).all():
                raise UsageError("au_thresholds must lie between 0 and 1")

    def __len__(self) -> int:
        """The number of frames."""
        return len(self.times)

    def __repr__(self) -> str:
        tasks = ", ".join(self.tasks) or "nothing"
        seen = int(self.present.sum())
        return (
            f"Prediction({self.subject!r}, {tasks} by {self.model!r}, {len(self)} frames, "
            f"{seen} with a face)"
        )

    @property
    def valued(self) -> int:
        """How many frames have a value of their own, from the face or the voice."""
        known = np.zeros(len(self), bool)
        for values in self.values.values():
            known |= ~np.isnan(values).all(axis=1)
        return int((known & ~self.filled).sum())

    @property
    def tasks(self) -> tuple[str, ...]:
        """Those of ``TASKS`` that the model predicts."""
        return tuple(self.values)

    @property
    def va(self) -> NDArray[np.float32] | None:
        """float32 [N, 2], see above."""
        return self.values.get(VA.name)

    @property
    def expr(self) -> NDArray[np.float32] | None:
        """float32 [N, 8], see above."""
        return self.values.get(EXPR.name)

    @property
    def au(self) -> NDArray[np.float32] | None:
        """float32 [N, 12], see above."""
        return self.values.get(AU.name)

    def labels(self, task: str, targets: Sequence[str] | None = None) -> NDArray[Any]:
        """The decisions that the values lead to, see `tasks.task.Task.decide`.

        Args:
            task: one of ``tasks``.
            targets: those of the task's that there are to choose from; None for all.

        Raises:
            UsageError: the model does not predict the task.
        """
        ours, values = task_named(task), self._known(task)
        limits = self.au_thresholds if ours is AU else None
        if targets is not None and tuple(targets) != ours.targets:
            columns = [ours.targets.index(name) for name in targets]
            values, limits = values[:, columns], None if limits is None else limits[columns]
        return ours.decide(values, limits)

    def expression_ids(self, classes: int = len(EXPRESSIONS)) -> NDArray[np.int64]:
        """The likeliest of the first ``classes`` expressions.

        Returns:
            int64 [N], an index into ``EXPRESSIONS``, -1 where there is no value.
        """
        return self.labels(EXPR.name, EXPRESSIONS[:classes])

    def au_presence(self, threshold: float | None = None) -> NDArray[np.int64]:
        """Which action units are active.

        Args:
            threshold: one for all units; None for ``au_thresholds``.

        Returns:
            int64 [N, 12], 1 where the score is at least the threshold, else 0, and -1
            where there is no value.
        """
        if threshold is None:
            return self.labels(AU.name)
        return AU.decide(self._known(AU.name), threshold)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Everything as columns of a table, a row a frame.

        Returns:
            ``frame`` int64, 1-based as in Aff-Wild2's picture names; ``time`` float64, seconds,
            ``times`` on the clock of ``start``;
            ``present``, ``heard``, ``filled`` bool; ``confidence`` float32; and for the tasks that
            the model predicts: ``valence``, ``arousal`` float32, with an interval
            ``valence_low``, ``valence_high``, ``arousal_low``, ``arousal_high`` float32;
            ``expression``, a name or None, ``p_Neutral`` ... ``p_Other`` float32; ``AU1`` ...
            ``AU26`` float32, 1 or 0 (as in OpenFace's ``_c`` columns), ``AU1_p`` ...
            the scores ``au``, ``AU1_intensity`` ... 0..5; of further tasks likewise; at the end
            ``box_left`` ... ``roll`` float32, see ``geometry``, and ``gaze_left_yaw`` ...
            ``AU45_intensity`` float32, see ``eyes``; ``speech`` and ``speaking`` float32.
            Values that do not exist are NaN.
        """
        table: dict[str, NDArray[Any]] = {
            "frame": np.arange(1, len(self) + 1),
            "time": self.times + self.start,
            "present": self.present,
            "heard": self.heard,
            "filled": self.filled,
            "confidence": self.confidence,
        }
        for task, values in self.values.items():
            table |= TASKS[task].table(values, self.labels(task))
            if task == VA.name and self.va_interval is not None:
                table |= _named("{}", _BOUNDS, self.va_interval.reshape(-1, len(_BOUNDS)))
            if task == AU.name and self.au_intensity is not None:
                table |= _named("{}_intensity", ACTION_UNITS, self.au_intensity)
        if self.geometry is not None:
            table |= _named("{}", _PLACES, self.geometry)
        if self.eyes is not None:
            table |= _named("{}", EYES, self.eyes)
        if self.speaking is not None:
            table |= _named("{}", SPEAKING, self.speaking)
        return table

    def to_frame(self) -> pandas.DataFrame:
        """`columns` as a pandas DataFrame, indexed by the 1-based frame number.

        ``expression`` is categorical with all eight names.
        """
        need("pandas")
        import pandas

        table: dict[str, Any] = self.columns()
        for name in self.tasks:
            if isinstance(task := TASKS[name], Classes):
                classes = pandas.Index(task.targets)
                table[task.heading] = pandas.Categorical.from_codes(self.labels(name), classes)
        return pandas.DataFrame(table, index=pandas.RangeIndex(1, len(self) + 1))

    def to_csv(self, path: Path | str, decimal: str = "point") -> Path:
        """Write `columns` as CSV, see `files.csv_text.write_csv`; the path."""
        write_csv(Path(path), self.columns(), decimal)
        return Path(path)

    def _repr_html_(self) -> str:
        """What a notebook shows: a curve."""
        from avaffect.predictions.curve import curve_html

        return curve_html(self)

    @classmethod
    def from_columns(
        cls,
        columns: Mapping[str, NDArray[Any]],
        subject: str,
        model: str,
        au_thresholds: Sequence[float] | None = None,
    ) -> Prediction:
        """The inverse of `columns`, e.g. for a table read back from a file.

        Decisions are made anew, so that the ``au_thresholds`` must be given.

        Raises:
            UsageError: columns that a prediction must have are missing, or do not fit.
        """

        def block(names: list[str]) -> NDArray[np.float32] | None:
            if names[0] not in columns:
                return None
            return np.stack([columns[name] for name in names], axis=1)

        try:
            bounds = block(list(_BOUNDS))
            times = columns["time"]
            start = float(times[0]) if len(times) else 0.0
            return cls(
                subject,
                model,
                times - start,
                columns["present"],
                columns["confidence"],
                values={
                    name: block([task.value_column(target) for target in task.targets])
                    for name, task in TASKS.items()
                },
                au_intensity=block([f"{name}_intensity" for name in ACTION_UNITS]),
                filled=columns["filled"],
                heard=columns["heard"],
                va_interval=None if bounds is None else bounds.reshape(-1, 2, 2),
                au_thresholds=au_thresholds,
                geometry=block(list(_PLACES)),
                eyes=block(list(EYES)),
                speaking=block(list(SPEAKING)),
                start=start,
            )
        except KeyError as error:
            raise UsageError(f"the column {error} is missing") from error

    def _known(self, task: str) -> NDArray[np.float32]:
        if task not in self.values:
            raise UsageError(f"the model {self.model} does not predict {task}")
        return self.values[task]

    def _check_interval(self, interval: NDArray[np.float32]) -> None:
        """Raise UsageError unless the bounds hold ``va`` within [-1, 1], and are NaN with it."""
        if self.va is None:
            raise UsageError("va_interval needs va")
        if (np.isnan(interval) != np.isnan(self.va)[:, :, None]).any():
            raise UsageError("va_interval must be NaN where va is, and only there")
        if (np.abs(interval) > 1).any():
            raise UsageError("va_interval must lie between -1 and 1")
        low, high = interval[..., 0], interval[..., 1]
        if ((low > self.va) | (self.va > high)).any():
            raise UsageError("va_interval must hold va: low <= va <= high")

    def _convert(
        self,
        name: str,
        dtype: type,
        shape: tuple[int, ...],
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        """Convert and check one array."""
        value = getattr(self, name)
        if value is None:
            return
        array: NDArray[Any] = np.asarray(value, dtype=dtype)
        require_shape(name, array, shape)
        if low is not None and high is not None:
            _require_range(name, array, low, high)
        object.__setattr__(self, name, array)


def _values(task: Task, given: ArrayLike, frames: int) -> NDArray[np.float32]:
    """The values of a task, converted and checked."""
    values = np.asarray(given, dtype=np.float32)
    require_shape(task.name, values, (frames, len(task.targets)))
    missing = np.isnan(values)
    unknown = missing.all(axis=0)
    chances = isinstance(task, Classes)
    partly = chances and unknown.any() != unknown.all()
    # Units may be missing one by one: a mouth is covered, and the brows are not.
    if not task.apart and not unknown.all():
        some, every = (f(missing[:, ~unknown], axis=1) for f in (np.any, np.all))
        partly = partly or bool((some != every).any())
    if partly:
        raise UsageError(f"{task.name} has rows that are NaN in part")
    _require_range(task.name, values, task.low, task.high)
    if chances and (np.abs(values.sum(axis=1) - 1) > _TOLERANCE).any():
        raise UsageError(f"rows of {task.name} must sum to one")
    return values


def _require_range(name: str, array: NDArray[Any], low: float, high: float) -> None:
    if ((array < low) | (array > high)).any():
        raise UsageError(f"{name} must lie between {low:g} and {high:g}")


def _named(pattern: str, names: tuple[str, ...], values: NDArray[np.float32]) -> dict[str, Any]:
    return {pattern.format(name): values[:, i] for i, name in enumerate(names)}
