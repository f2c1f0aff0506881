"""What a page shows of a run of `train` or `ensemble`: scores, curves, videos, the worst clips."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avaffect.challenge.known import WAYS, ways
from avaffect.drawing.words import plain
from avaffect.errors import AvaffectError, InputNotFoundError
from avaffect.files.names import JOINED, RUN
from avaffect.files.outside import lines, parse_json, reading
from avaffect.labels import EXPRESSIONS
from avaffect.metrics.by_video import Scored, clip_tally, score_of, scored
from avaffect.metrics.tallies import Tally
from avaffect.networks.checkpoint import Checkpoint, checkpoint_folder, read_checkpoint
from avaffect.predicting.read_back import table_files
from avaffect.predicting.validated import ValidatedClip, read_validated
from avaffect.predictions.smooth import Smoothing
from avaffect.predictors.joined import Joined, is_ensemble
from avaffect.reporting.curves import Chart, Strip, chart_of, strip_of
from avaffect.tasks.kinds import Values
from avaffect.tasks.registry import TASKS
from avaffect.training.history import LOG

_AS_IT_IS = Smoothing()
_MOST_EPOCHS = 100_000
COLOURS = len(EXPRESSIONS)


@dataclass(frozen=True)
class VideoRow:
    """A video (or group) of the validation.

    Attributes:
        name: of it.
        clips: how many subjects.
        frames: of them.
        scores: by task, that of its frames alone; NaN without labels.
        errors: by task, what `error_of` says of its clips together.
    """

    name: str
    clips: int
    frames: int
    scores: Mapping[str, float]
    errors: Mapping[str, float]


@dataclass(frozen=True)
class TrainedRun:
    """A run, read.

    Attributes:
        folder: of it.
        networks: by place within it, what is known of each network; ``""`` for the run itself.
        targets: by task, the names of what is predicted.
        clips: the validation clips.
    """

    folder: Path
    networks: Mapping[str, Checkpoint]
    targets: Mapping[str, tuple[str, ...]]
    clips: tuple[ValidatedClip, ...]

    @classmethod
    def read(cls, folder: Path) -> TrainedRun:
        """Read the run of ``train`` or ``ensemble`` in a folder.

        Raises:
            InputNotFoundError: it has no validation tables yet.
            FormatError, CheckpointError: something of it is damaged.
        """
        networks = dict(_networks(folder))
        tables = table_files(folder)
        if not tables or not networks:
            raise InputNotFoundError(
                f"there are no validation tables in '{folder}'",
                "give the folder of a run or ensemble that is finished, with validation clips",
            )
        targets = next(iter(networks.values())).targets
        clips = [read_validated(name, path, targets) for name, path in sorted(tables.items())]
        return cls(folder, networks, targets, tuple(clips))

    def scored(self) -> list[Scored]:
        """The score of each task, over all clips together."""
        found = []
        for task, names in self.targets.items():
            mine = self._labelled(task)
            if mine:
                each = map(self._tally(task), mine)
                found.append(scored(each, [clip.facts for clip in mine], task, names))
        return found

    def videos(self) -> list[VideoRow]:
        """A row a video, the worst by the first task first."""
        groups: dict[str, list[ValidatedClip]] = {}
        for clip in self.clips:
            groups.setdefault(clip.group, []).append(clip)
        rows = [self._row(name, some) for name, some in groups.items()]
        return sorted(rows, key=lambda row: -_known(next(iter(row.errors.values()), 0.0)))

    def worst(self, count: int) -> list[ValidatedClip]:
        """The clips with the greatest error of the first task that they are labelled for."""
        each = [(self._first_error(clip), at) for at, clip in enumerate(self.clips)]
        ranked = sorted(each, key=lambda found: (-_known(found[0]), found[1]))
        return [self.clips[at] for _, at in ranked[:count]]

    def known(self) -> dict[str, list[str]]:
        """By way of `challenge.known`, the validation clips that a network knows by its training;
        of folds, only the network that a clip was held out from is asked."""
        from avaffect.predictors.trained import clips_of

        found: dict[str, list[str]] = {way: [] for way in WAYS}
        tables = table_files(self.folder)
        for clip in self.clips:
            path = tables.get(clip.name)
            fold = path.parents[2].name if path is not None else ""
            asked = [self.networks[fold]] if fold in self.networks else self.networks.values()
            mine: set[str] = set()
            for network in asked:
                knows = clips_of(network)
                if not network.recipe.train.chooses:
                    del knows["validated"]
                mine.update(ways(clip.name, knows, clip.sha256))
            for way in mine:
                found[way].append(clip.name)
        return {way: names for way, names in found.items() if names}

    def curves(self) -> list[Chart]:
        """Loss and validation score of each epoch, a line a network."""
        logs = [(name, read_log(self._place(name) / LOG)) for name in self.networks]
        logs = [(name, log) for name, log in logs if log]
        if not logs:
            return []
        longest = max(len(log) for _, log in logs)
        epochs = np.arange(1, longest + 1)
        charts = []
        for title, part, key in (
            ("Training loss", "losses", "loss"),
            ("Validation score", "scores", "score"),
        ):
            drawn = [
                (part if len(logs) == 1 else "thin", _column(log, part, key, longest))
                for _, log in logs
            ]
            if any(np.isfinite(each).any() for _, each in drawn):
                alone = next(iter(self.networks.values()))
                mark = float(alone.epoch) if len(logs) == 1 else None
                ends = ("epoch 1", f"epoch {longest}")
                charts.append(chart_of(title, epochs, drawn, ends, mark=mark))
        return charts

    def shown(self, clip: ValidatedClip) -> tuple[list[Chart], list[Strip]]:
        """Predictions beside labels of a clip: lines of values, strips of classes and units."""
        charts: list[Chart] = []
        strips: list[Strip] = []
        ends = ("0 s", f"{clip.times[-1] if len(clip.times) else 0:.1f} s")
        for task, names in self.targets.items():
            labels = clip.labels.get(task)
            if labels is None:
                continue
            decided, _ = clip.decided(task, _AS_IT_IS)
            if isinstance(TASKS[task], Values):
                for at, name in enumerate(names):
                    both = (("truth", labels[:, at]), ("predicted", decided[:, at]))
                    charts.append(chart_of(plain(name), clip.times, both, ends, (-1.0, 1.0)))
            elif TASKS[task].flat:
                for kind, classes in (("label", labels), ("prediction", decided)):
                    colours = np.where(classes >= 0, classes % COLOURS, -1)
                    name = f"{TASKS[task].title} {kind}"
                    strips.append(strip_of(name, colours.astype(np.int64)))
            else:
                for at, name in enumerate(names):
                    for kind, cells in (("label", labels), ("prediction", decided)):
                        active = np.where(cells[:, at] == 1, 7 if kind == "label" else 5, -1)
                        strips.append(strip_of(f"{plain(name)} {kind}", active.astype(np.int64)))
        return charts, strips

    def error_of(self, task: str, clips: Sequence[ValidatedClip]) -> float:
        """Of values their mean distance from the labels, of classes and units the share that is
        wrong; NaN without labels."""
        parts = [clip.decided(task, _AS_IT_IS) for clip in clips if task in clip.labels]
        wrong, cells = 0.0, 0
        ours = TASKS[task]
        for decided, labels in parts:
            use = ours.known(decided) & ours.known(labels)
            apart = np.abs(decided[use].astype(np.float64) - labels[use].astype(np.float64))
            wrong += float(apart.sum() if isinstance(ours, Values) else (apart > 0).sum())
            cells += int(use.sum())
        return wrong / cells if cells else float("nan")

    def _row(self, name: str, clips: Sequence[ValidatedClip]) -> VideoRow:
        scores = {}
        for task, names in self.targets.items():
            mine = [self._tally(task)(clip) for clip in clips if task in clip.labels]
            scores[task] = score_of(np.sum(mine, axis=0), task, names) if mine else float("nan")
        errors = {task: self.error_of(task, clips) for task in self.targets}
        return VideoRow(name, len(clips), sum(len(clip.times) for clip in clips), scores, errors)

    def _first_error(self, clip: ValidatedClip) -> float:
        return next((self.error_of(task, [clip]) for task in self.targets if task in clip.labels),
                    float("nan"))  # fmt: skip

    def _labelled(self, task: str) -> list[ValidatedClip]:
        return [clip for clip in self.clips if task in clip.labels]

    def _tally(self, task: str) -> _Tallier:
        return _Tallier(task, tuple(self.targets[task]))

    def _place(self, name: str) -> Path:
        return self.folder / name if name else self.folder


@dataclass(frozen=True)
class _Tallier:
    task: str
    targets: tuple[str, ...]

    def __call__(self, clip: ValidatedClip) -> Tally:
        return clip_tally(self.task, clip.decided(self.task, _AS_IT_IS), self.targets)


def is_trained(folder: Path) -> bool:
    """Whether a folder is a run's, of `train` or `ensemble`."""
    return (folder / RUN).is_file() or (folder / JOINED).is_file()


def read_log(path: Path) -> list[Mapping[str, object]]:
    """The epochs in a run's log; those before a damaged line, and none where there is no log."""
    found: list[Mapping[str, object]] = []
    try:
        with reading(path), path.open("rb") as file:
            for line in lines(file):
                epoch = parse_json(line)
                if not isinstance(epoch, dict) or len(found) >= _MOST_EPOCHS:
                    break
                found.append(epoch)
    except AvaffectError:
        pass
    return found


def _column(log: Sequence[Mapping[str, object]], part: str, key: str, longest: int) -> np.ndarray:
    """float64 [longest], NaN where an epoch has no such number."""
    values = np.full(longest, np.nan)
    for at, epoch in enumerate(log):
        some = epoch.get(part)
        value = some.get(key) if isinstance(some, dict) else None
        if isinstance(value, int | float):
            values[at] = float(value)
    return values


def _networks(folder: Path) -> Iterator[tuple[str, Checkpoint]]:
    if is_ensemble(folder):
        joined = Joined.load(folder)
        models = [path for some in joined.members.values() for path in some]
        for path in (*joined.stack, *models):
            # The log lies beside the folder of a checkpoint, ``best`` or ``last``.
            yield Path(path).parent.as_posix(), read_checkpoint(folder / path)
        return
    folds = [fold for fold in sorted(folder.glob("fold-*")) if table_files(fold)]
    for place in folds or [folder]:
        name = place.name if folds else ""
        yield name, read_checkpoint(checkpoint_folder(place))


def _known(value: float) -> float:
    return value if np.isfinite(value) else -1.0
