"""``tune``: smoothing and thresholds of a trained network, chosen on its validation clips."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.layout import source_video
from avaffect.errors import FormatError, InputNotFoundError, UsageError, boundary
from avaffect.files.lock import alone_in
from avaffect.files.outside import reading
from avaffect.files.table import read_table
from avaffect.metrics.arrays import score_arrays
from avaffect.metrics.thresholds import best_threshold
from avaffect.networks.checkpoint import Checkpoint, checkpoint_folder, read_checkpoint
from avaffect.predicting.choosing import Choice, best_of, choose
from avaffect.predicting.read_back import ASSUMED_FPS, table_files
from avaffect.predictions.postprocess import Postprocess
from avaffect.predictions.smooth import Smoothing, TaskSmoothing, smooth_task
from avaffect.predictors.joined import Joined, is_ensemble
from avaffect.progress import EventCallback, Notice, Progress, ignore_events
from avaffect.tasks.kinds import Values
from avaffect.tasks.registry import AU, TASKS
from avaffect.training.score import decisions
from avaffect.version import __version__

OFF = Smoothing()
# From what is hardly felt to what lifts VA and EXPR on Aff-Wild2 (a box of some 101 frames), and
# beyond. Of equally good ones the first is taken: the shortest.
KINDS = ("box", "gaussian", "median")
SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.4, 6.0)
GRID = (OFF, *(Smoothing(kind, seconds) for seconds in SECONDS for kind in KINDS))

Pair = tuple[NDArray[Any], NDArray[Any]]
Limits = tuple[float, ...]
# A smoothing, and a threshold a unit; None for .5.
Setting = tuple[Smoothing, Limits | None]
# Of two tunings at once.
_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Step:
    """One thing that was chosen.

    Attributes:
        task: for which task.
        what: ``smoothing``, or of action units ``with thresholds``: both together.
        chosen: the setting, as text.
        without: score of the validation clips without it.
        optimistic: score with it, on the clips that it was chosen on.
        cross_validated: score with what was chosen on the other half of the clips.
        kept: whether it is used: it gains on clips that it was not chosen on, and of two the more.
    """

    task: str
    what: str
    chosen: str
    without: float
    optimistic: float
    cross_validated: float
    kept: bool


@dataclass(frozen=True)
class Tuned:
    """The result of tuning.

    Attributes:
        postprocess: the settings, without a network's hash.
        steps: how well each choice did.
        files: what was written, one for each fold.
        clips: how many validation clips there were.
        groups: of how many videos.
    """

    postprocess: Postprocess
    steps: tuple[Step, ...]
    files: tuple[Path, ...]
    clips: int
    groups: int


@boundary()
def tune(
    run: Path | str,
    *,
    thresholds: bool = True,
    on_event: EventCallback = ignore_events,
) -> Tuned:
    """Choose a smoothing for each task and thresholds of action units on validation tables.

    Each choice is scored three ways, see `predicting.choosing.Choice`, and kept if it gains where
    it was not chosen. It is written beside the run's checkpoint as ``postprocess.json``, which
    predictions with that checkpoint then follow. Of folds, the held-out clips of all are taken
    together, and every fold's checkpoint gets the same settings. Those of an ensemble are of the
    whole, after its members are joined. Frames without a value are left out of the scores.

    Args:
        run: folder that ``train`` or ``ensemble`` wrote.
        thresholds: whether to choose thresholds of action units.
        on_event: progress and notices.

    Raises:
        InputNotFoundError: no validation tables, or no checkpoint.
        UsageError: labels of whole clips, or fewer than two videos.
        FormatError: a table that is not what it should be.
        ForeignFileError: a file of that name is there that avaffect did not write.
        BusyError: a training goes on in ``run``.
        OutputError: a file cannot be written.
    """
    run = Path(run)
    tables = table_files(run)
    if not tables:
        raise InputNotFoundError(
            f"there are no validation tables in '{run}'",
            "give the folder of a run or ensemble that is finished, with validation clips",
        )
    places, first = _tuned_in(run)
    if first.per_clip:
        raise UsageError(
            f"'{run}' was trained on labels of whole clips", "what is scored a clip has no frames"
        )
    clips = [_read(subject, path, first.targets) for subject, path in sorted(tables.items())]
    if any(clip.assumed for clip in clips):
        on_event(
            Notice(f"the tables have no times: {ASSUMED_FPS:g} frames a second are assumed", True)
        )
    steps: list[Step] = []
    smoothings: dict[str, Smoothing] = {}
    limits: dict[str, float] = {}
    for task, targets in first.targets.items():
        mine = [clip for clip in clips if task in clip.labels]
        if not mine:
            continue
        chooser = _Chooser(task, targets, mine, on_event)
        choices = {"smoothing": chooser.smoothing()}
        if task == AU.name and thresholds:
            choices["with thresholds"] = chooser.thresholds()
        what = max(choices, key=lambda key: choices[key].cross_validated)
        for name, choice in choices.items():
            kept = choice.holds and name == what
            steps.append(_step(task, name, targets, choice, kept=kept))
            if kept:
                smoothings[task] = choice.chosen[0]
                limits |= zip(targets, choice.chosen[1] or (), strict=False)
    groups = len({clip.group for clip in clips})
    about = {
        "version": __version__,
        "run": str(run),
        "clips": len(clips),
        "groups": groups,
        "subjects": sorted(tables),
        "frames": sum(len(clip.times) for clip in clips),
        "assumed_fps": ASSUMED_FPS if any(clip.assumed for clip in clips) else None,
        "steps": [asdict(step) for step in steps],
    }
    chosen = Postprocess(str(TaskSmoothing(smoothings)), limits, "", about)
    # A training may have begun meanwhile, or another tuning.
    with alone_in(run, wait=_PATIENCE_S):
        files = tuple(
            Postprocess(chosen.smooth, limits, weights, about).save(place)
            for place, weights in places.items()
        )
    return Tuned(chosen, tuple(steps), files, len(clips), groups)


def _tuned_in(run: Path) -> tuple[dict[Path, str], Checkpoint]:
    """By folder that gets the settings, the hash of what they are for; and what is known of the
    first network, or of that on top."""
    if is_ensemble(run):
        joined = Joined.load(run)
        models = [path for some in joined.members.values() for path in some]
        return {run: joined.fingerprint}, read_checkpoint(run / [*joined.stack, *models][0])
    folds = [fold for fold in sorted(run.glob("fold-*")) if table_files(fold)]
    folders = [checkpoint_folder(place) for place in folds or [run]]
    checkpoints = {folder: read_checkpoint(folder) for folder in folders}
    weights = {folder: checkpoint.sha256 for folder, checkpoint in checkpoints.items()}
    return weights, checkpoints[folders[0]]


@dataclass(frozen=True)
class _Clip:
    """A validation clip: times [N], values [N, K] and labels by task."""

    group: str
    times: NDArray[np.float64]
    assumed: bool
    values: Mapping[str, NDArray[Any]]
    labels: Mapping[str, NDArray[Any]]


def _read(subject: str, path: Path, targets: Mapping[str, Sequence[str]]) -> _Clip:
    columns, about = read_table(path)
    values: dict[str, NDArray[Any]] = {}
    labels: dict[str, NDArray[Any]] = {}
    hint = "give a run whose validation tables are whole"
    with reading(path, FormatError, "is no validation table", hint):
        for task, names in targets.items():
            ours = TASKS[task]
            values[task] = np.stack(
                [columns[ours.value_column(target)] for target in names], axis=1
            )
            if (found := ours.labels_in(columns, names)) is not None:
                labels[task] = found
        assumed = "time" not in columns
        frames = columns["frame"]
        times = (frames - 1) / ASSUMED_FPS if assumed else columns["time"]
    group = str(about.get("group", source_video(subject)))
    return _Clip(group, times, assumed, values, labels)


class _Chooser:
    """Chooses for one task."""

    def __init__(
        self, task: str, targets: Sequence[str], clips: Sequence[_Clip], on_event: EventCallback
    ) -> None:
        self._task, self._targets, self._clips = task, targets, clips
        self._on_event = on_event
        self._groups = [clip.group for clip in clips]
        # Decisions are needed for all clips and for each half: smoothed once, kept small.
        self._known: dict[tuple[Smoothing, int], NDArray[Any]] = {}
        # What is smoothed, by the last smoothing asked for.
        self._last = OFF
        self._values: dict[int, NDArray[np.float32]] = {}

    def smoothing(self) -> Choice[Setting]:
        """The smoothing, with thresholds of .5."""
        return self._choose(lambda how, numbers: None)

    def thresholds(self) -> Choice[Setting]:
        """The smoothing together with thresholds of units.

        A network that is never sure of a unit has an F1 of 0 by .5, however it is smoothed.
        """
        return self._choose(self._limits)

    def _choose(
        self, limits: Callable[[Smoothing, Sequence[int]], Limits | None]
    ) -> Choice[Setting]:
        total, done = 3 * len(GRID), 0

        def fit(numbers: Sequence[int]) -> Setting:
            def settings() -> Iterator[Setting]:
                nonlocal done
                for how in GRID:
                    yield how, limits(how, numbers)
                    done += 1
                    stage = f"tuning {self._task}"
                    self._on_event(
                        Progress(stage, done, total, "settings", finished=done == total)
                    )

            return best_of(settings(), lambda setting: self._score(self._decide(setting, numbers)))

        return choose((OFF, None), self._groups, fit, self._decide, self._score)

    def _limits(self, how: Smoothing, numbers: Sequence[int]) -> Limits:
        values = np.concatenate([self._smoothed(how, at) for at in numbers])
        labels = np.concatenate([self._clips[at].labels[self._task] for at in numbers])
        limits = []
        for column, true in zip(values.T, labels.T, strict=True):
            use = ~np.isnan(column) & (true != -1)
            limits.append(best_threshold(column[use].astype(np.float64), true[use].astype(int)))
        return tuple(limits)

    def _decide(self, setting: Setting, numbers: Sequence[int]) -> Iterator[Pair]:
        how, limits = setting
        for at in numbers:
            if limits is None:
                decided = self._plain(how, at)
            else:
                values = self._smoothed(how, at)
                present = (values >= np.array(limits)).astype(np.int8)
                decided = np.where(np.isnan(values), -1, present)
            yield decided, self._clips[at].labels[self._task]

    def _plain(self, how: Smoothing, at: int) -> NDArray[Any]:
        """Decisions of a clip by the usual thresholds."""
        if (how, at) not in self._known:
            values = self._smoothed(how, at)
            decided = decisions(self._task, values, ~np.isnan(values[:, 0]))
            small = np.float32 if isinstance(TASKS[self._task], Values) else np.int16
            self._known[how, at] = decided.astype(small)
        return self._known[how, at]

    def _smoothed(self, how: Smoothing, at: int) -> NDArray[np.float32]:
        if how != self._last:
            self._last = how
            self._values.clear()
        if at not in self._values:
            clip = self._clips[at]
            self._values[at] = smooth_task(self._task, clip.values[self._task], clip.times, how)
        return self._values[at]

    def _score(self, pairs: Iterable[Pair]) -> float:
        return score_arrays(self._task, pairs, self._targets)[0]


def _step(
    task: str, what: str, targets: Sequence[str], choice: Choice[Setting], *, kept: bool
) -> Step:
    how, limits = choice.chosen
    parts = [
        str(how),
        *(f"{name} {limit:.2f}" for name, limit in zip(targets, limits or (), strict=False)),
    ]
    scores = (choice.without, choice.optimistic, choice.cross_validated)
    return Step(task, what, ", ".join(parts), *scores, kept)
