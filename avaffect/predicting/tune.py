"""``tune``: smoothing and thresholds of a trained network, chosen on its validation clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.challenge.known import WAYS, ways
from avaffect.errors import InputNotFoundError, UsageError, boundary
from avaffect.files.lock import alone_in
from avaffect.metrics.by_video import Interval, Pair, by_video, clip_tally, interval_of, score_of
from avaffect.metrics.tallies import Tally
from avaffect.metrics.thresholds import best_of_sorted
from avaffect.networks.checkpoint import Checkpoint, checkpoint_folder, read_checkpoint
from avaffect.predicting.choosing import Choice, Numbers, Sums, choose
from avaffect.predicting.read_back import ASSUMED_FPS, table_files
from avaffect.predicting.validated import ValidatedClip, kind_of_groups, read_validated
from avaffect.predictions.postprocess import Postprocess
from avaffect.predictions.smooth import Smoothing, TaskSmoothing
from avaffect.predictors.joined import Joined, is_ensemble
from avaffect.predictors.trained import clips_of
from avaffect.progress import EventCallback, Notice, Progress, ignore_events
from avaffect.tasks.registry import AU
from avaffect.version import __version__

OFF = Smoothing()
# From what is hardly felt to what lifts VA and EXPR on Aff-Wild2 (a box of some 101 frames), and
# beyond. Of equally good ones the first is taken: the shortest.
KINDS = ("box", "gaussian", "median")
SECONDS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.4, 6.0)
GRID = (OFF, *(Smoothing(kind, seconds) for seconds in SECONDS for kind in KINDS))

Limits = tuple[float, ...]
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
        cross_validated: score of all clips, each fifth with what was chosen without it, by inner
            folds of the others: the figure to report.
        kept: whether it is used: it gains on clips that it was not chosen on, and of two the more.
        interval: of ``cross_validated``, over videos.
        without_interval: the same of ``without``.
    """

    task: str
    what: str
    chosen: str
    without: float
    optimistic: float
    cross_validated: float
    kept: bool
    interval: Interval
    without_interval: Interval

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        names = ("interval", "without_interval")
        return asdict(self) | {name: getattr(self, name).to_dict() for name in names}


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
    places, networks = _tuned_in(run)
    first = next(iter(networks.values()))[0]
    if first.per_clip:
        raise UsageError(
            f"'{run}' was trained on labels of whole clips", "what is scored a clip has no frames"
        )
    clips = [
        read_validated(subject, path, first.targets) for subject, path in sorted(tables.items())
    ]
    if any(clip.assumed for clip in clips):
        on_event(
            Notice(f"the tables have no times: {ASSUMED_FPS:g} frames a second are assumed", True)
        )
    for place, models in networks.items():
        mine = [clip for name, clip in zip(sorted(tables), clips, strict=True)
                if tables[name].is_relative_to(place)]  # fmt: skip
        _warn(mine, models, on_event)
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
            fitted = chooser.limits(choice.chosen) if name == "with thresholds" else ()
            steps.append(chooser.step(name, choice, fitted, kept=kept))
            if kept:
                smoothings[task] = GRID[choice.chosen]
                limits |= zip(targets, fitted, strict=False)
    groups = len({clip.group for clip in clips})
    about = {
        "version": __version__,
        "run": str(run),
        "clips": len(clips),
        "groups": groups,
        "subjects": sorted(tables),
        "videos": sorted({clip.sha256 for clip in clips if clip.sha256}),
        "frames": sum(len(clip.times) for clip in clips),
        "assumed_fps": ASSUMED_FPS if any(clip.assumed for clip in clips) else None,
        "steps": [step.to_dict() for step in steps],
    }
    chosen = Postprocess(str(TaskSmoothing(smoothings)), limits, "", about)
    # A training may have begun meanwhile, or another tuning.
    with alone_in(run, wait=_PATIENCE_S):
        files = tuple(
            Postprocess(chosen.smooth, limits, weights, about).save(place)
            for place, weights in places.items()
        )
    return Tuned(chosen, tuple(steps), files, len(clips), groups)


def _tuned_in(run: Path) -> tuple[dict[Path, str], dict[Path, list[Checkpoint]]]:
    """By folder that gets the settings, the hash of what they are for; and by folder in which
    there are tables, the networks behind them, that on top of an ensemble first."""
    if is_ensemble(run):
        joined = Joined.load(run)
        models = [path for some in joined.members.values() for path in some]
        networks = [read_checkpoint(run / path) for path in (*joined.stack, *models)]
        return {run: joined.fingerprint}, {run: networks}
    places = [fold for fold in sorted(run.glob("fold-*")) if table_files(fold)] or [run]
    read = {place: read_checkpoint(checkpoint_folder(place)) for place in places}
    weights = {checkpoint_folder(place): found.sha256 for place, found in read.items()}
    return weights, {place: [found] for place, found in read.items()}


def _warn(
    clips: Sequence[ValidatedClip], networks: Sequence[Checkpoint], on_event: EventCallback
) -> None:
    """Tell of clips that a network was trained on, or whose scores chose its epoch."""
    known: dict[str, set[str]] = {}
    for network in networks:
        knows = clips_of(network)
        if not network.recipe.train.chooses:
            del knows["validated"]
        for clip in clips:
            for way in ways(clip.name, knows, clip.sha256):
                known.setdefault(way, set()).add(clip.name)
    for way, names in known.items():
        text = f"{len(names)} of {len(clips)} clips that are tuned on are clips that {WAYS[way]}"
        on_event(Notice(text, warning=True))


class _Chooser:
    """Chooses for one task."""

    def __init__(
        self,
        task: str,
        targets: Sequence[str],
        clips: Sequence[ValidatedClip],
        on_event: EventCallback,
    ) -> None:
        self._task, self._targets, self._clips = task, targets, clips
        self._on_event = on_event
        self._groups = [clip.group for clip in clips]
        self._plain = self._tallies(OFF)
        # What the last setting asked for makes of all clips.
        self._last: int | None = None
        self._sums = self._plain
        self._units = _Units([], [])

    def smoothing(self) -> Choice:
        """The smoothing, with thresholds of .5."""

        def sums(number: int, fitted: Numbers, scored: Numbers) -> Tally:
            if self._moved_on(number, "smoothing"):
                self._sums = self._tallies(GRID[number])
            return self._sums[list(scored)]

        return self._choose(sums)

    def thresholds(self) -> Choice:
        """The smoothing together with thresholds of units.

        A network that is never sure of a unit has an F1 of 0 by .5, however it is smoothed.
        """

        def sums(number: int, fitted: Numbers, scored: Numbers) -> Tally:
            if self._moved_on(number, "thresholds"):
                self._units = self._smoothed_units(number)
            limits = self._units.limits(fitted)
            pairs = (self._units.decided(at, limits) for at in scored)
            return np.stack([clip_tally(self._task, pair, self._targets) for pair in pairs])

        return self._choose(sums)

    def limits(self, number: int) -> Limits:
        """The thresholds that are best on all clips, by a smoothing of ``GRID``."""
        return self._smoothed_units(number).limits(range(len(self._clips)))

    def step(self, what: str, choice: Choice, limits: Limits, *, kept: bool) -> Step:
        """How well a choice did."""
        named = zip(self._targets, limits, strict=False)
        parts = [str(GRID[choice.chosen]), *(f"{name} {limit:.2f}" for name, limit in named)]
        of = kind_of_groups(self._clips)
        nested, plain = (by_video(some, self._groups) for some in (choice.nested, self._plain))
        return Step(
            self._task,
            what,
            ", ".join(parts),
            choice.without,
            choice.optimistic,
            choice.cross_validated,
            kept,
            interval_of(nested, self._task, self._targets, of=of),
            interval_of(plain, self._task, self._targets, of=of),
        )

    def _choose(self, sums: Sums) -> Choice:
        self._last = None
        return choose(
            len(GRID),
            self._groups,
            self._plain,
            sums,
            lambda total: score_of(total, self._task, self._targets),
        )

    def _moved_on(self, number: int, what: str) -> bool:
        """Whether another setting is asked for than before."""
        if number == self._last:
            return False
        self._last = number
        stage, last = f"tuning {self._task}, {what}", number + 1 == len(GRID)
        self._on_event(Progress(stage, number + 1, len(GRID), "settings", finished=last))
        return True

    def _tallies(self, how: Smoothing) -> Tally:
        return np.stack([clip.tally(self._task, self._targets, how) for clip in self._clips])

    def _smoothed_units(self, number: int) -> _Units:
        values = [clip.smoothed(self._task, GRID[number]) for clip in self._clips]
        return _Units(values, [clip.labels[self._task] for clip in self._clips])


class _Units:
    """Scores of units of clips, each [N, K], sorted once; thresholds of some clips."""

    def __init__(self, values: Sequence[NDArray[Any]], labels: Sequence[NDArray[Any]]) -> None:
        self._values, self._labels = values, labels
        self._sorted: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
        if not values:
            return
        clips = np.repeat(np.arange(len(values)), [len(some) for some in values])
        for column, true in zip(np.concatenate(values).T, np.concatenate(labels).T, strict=True):
            use = np.flatnonzero(~np.isnan(column) & (true != -1))
            order = use[np.argsort(-column[use].astype(np.float64), kind="stable")]
            found = (clips[order], column[order].astype(np.float64), true[order].astype(np.int64))
            self._sorted.append(found)

    def limits(self, fitted: Numbers) -> Limits:
        """By unit the threshold that is best on these clips."""
        inside = np.zeros(len(self._values), bool)
        inside[list(fitted)] = True
        return tuple(
            best_of_sorted(scores[inside[clips]], true[inside[clips]])
            for clips, scores, true in self._sorted
        )

    def decided(self, at: int, limits: Limits) -> Pair:
        """Decisions of a clip by thresholds, and its labels."""
        values = self._values[at]
        present = (values >= np.array(limits)).astype(np.int8)
        return np.where(np.isnan(values), -1, present), self._labels[at]
