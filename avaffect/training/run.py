"""``train``: from a dataset on disk to checkpoints, for one split or for folds."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from avaffect.datasets.clip import Clip, Dataset
from avaffect.datasets.folds import Folds, counts, make_folds
from avaffect.datasets.overlap import warn_of_shared
from avaffect.datasets.split import labelled_clips, own_split
from avaffect.errors import FormatError, UsageError, boundary, need
from avaffect.files.atomic import write_json
from avaffect.files.lock import LOCK, alone_in
from avaffect.files.names import RUN
from avaffect.files.ours import holds, require_ours
from avaffect.files.outside import read_json, reading
from avaffect.metrics.by_video import Intervals, plain
from avaffect.networks.checkpoint import FACTS, finite
from avaffect.progress import EventCallback, ignore_events
from avaffect.recipes.library import change_recipe, choose, load_recipe, parse_recipe
from avaffect.recipes.recipe import Recipe
from avaffect.training.data import DataConfig, load_dataset
from avaffect.training.export import export_beside
from avaffect.training.history import tensorboard_writer
from avaffect.training.loop import EpochCallback, Trained, train
from avaffect.training.processes import processes
from avaffect.training.setup import targets_of
from avaffect.training.state import STATE
from avaffect.training.validation import Pairs, intervals_of, scores_of, write_validation

FOLDS = "folds.json"
SUMMARY = "summary.json"
_RUN = {
    "version": object,
    "recipe": dict,
    "data": {"features": str, "root?": (str, None), "labels?": (str, None), "clips?": (str, None),
             "columns": [str], "further?": [str], "sets?": [str]},
    "folds": str,
    "seed": int,
    "init?": (str, None),
}  # fmt: skip
VERSION = 1


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run depends on, saved as ``run.json``.

    Attributes:
        recipe: the whole recipe.
        data: the data.
        folds: ``none`` (the data's own split), a number of folds as text or two as ``5x4`` (of
            groups and of stimuli), ``leave-one-out`` (a fold a group, or a group and stimulus),
            ``given`` (the data's own folds), or a ``folds.json`` of another run.
        seed: of weights, order, chance and folds.
        init: a checkpoint whose weights each training starts from, see ``networks.start``.
    """

    recipe: Recipe
    data: DataConfig
    folds: str = "none"
    seed: int = 0
    init: str | None = None

    def __post_init__(self) -> None:
        if self.folds in ("none", "leave-one-out", "given") or self.folds.endswith(".json"):
            return
        counts(self.folds)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; :func:`read_run` reads it."""
        data = asdict(self.data)
        return {
            "version": VERSION,
            "recipe": self.recipe.to_dict(),
            "data": data,
            "folds": self.folds,
            "seed": self.seed,
            "init": self.init,
        }


@boundary()
def run_config(
    recipe: str,
    data: DataConfig,
    *,
    modalities: Sequence[str] | None = None,
    tasks: Sequence[str] | None = None,
    branches: Sequence[str] | None = None,
    changes: Sequence[str] = (),
    folds: str = "none",
    seed: int = 0,
    init: str | None = None,
) -> RunConfig:
    """A run of a recipe of the package or of the user; see ``recipes.library``.

    Raises:
        UsageError: settings that do not exist or do not go together.
    """
    chosen = choose(load_recipe(recipe, changes), modalities, tasks, branches)
    return RunConfig(chosen, data, folds, seed, init)


def longer(config: RunConfig, epochs: int) -> RunConfig:
    """The same run with ``epochs`` in all.

    Raises:
        UsageError: it was to have more already.
    """
    if epochs < config.recipe.train.epochs:
        raise UsageError(
            f"the run was begun with {config.recipe.train.epochs} epochs, which is more than "
            f"{epochs}",
            "give a larger number, or start another run",
        )
    return replace(config, recipe=change_recipe(config.recipe, [f"train.epochs={epochs}"]))


@boundary()
def read_run(out: Path) -> RunConfig:
    """The settings of the run in ``out``; bounds as in `outside.read_json`.

    Raises:
        UsageError: there is no run.
        FormatError: ``run.json`` is damaged.
    """
    path = out / RUN
    hint = "start again with overwrite=True"
    missing = UsageError(
        f"there is no run in '{out}' to go on with", "start one without resume=True"
    )
    saved = read_json(path, _RUN, FormatError, "is damaged", hint, missing=missing)
    with reading(path, FormatError, "is damaged", hint):
        if saved["version"] != VERSION:
            raise FormatError(
                f"'{path}' is of version {saved['version']}, this avaffect reads {VERSION}",
                "use the avaffect that wrote it, or start again with overwrite=True",
            )
        lists = ("columns", "further", "sets")
        listed = {name: tuple(saved["data"].get(name, ())) for name in lists}
        data = DataConfig(**{**saved["data"], **listed})
        recipe = parse_recipe(saved["recipe"], f"in '{path}'")
        return RunConfig(recipe, data, saved["folds"], saved["seed"], saved.get("init"))


@dataclass(frozen=True)
class RunResult:
    """The result of a run.

    Attributes:
        parts: one :class:`~avaffect.training.loop.Trained` a fold; one in all without folds.
        names: ``fold-0`` ..., empty without folds.
        scores: mean over the parts of each validation score.
        spread: standard deviation over the folds, empty without folds.
        pooled: scores of all folds' held-out clips together; empty unless all folds are done.
        intervals: by task, how sure the score of each part is, see `metrics.by_video.Interval`;
            nothing in processes behind the first.
        pooled_intervals: the same of ``pooled``.
    """

    parts: tuple[Trained, ...]
    names: tuple[str, ...]
    scores: dict[str, float]
    spread: dict[str, float]
    pooled: dict[str, float] = field(default_factory=dict)
    intervals: tuple[Intervals, ...] = ()
    pooled_intervals: Intervals = field(default_factory=dict)


@boundary()
def run(
    config: RunConfig,
    out: Path | str,
    *,
    device: str = "auto",
    workers: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    only_fold: int | None = None,
    tensorboard: bool = False,
    export: bool = True,
    on_event: EventCallback = ignore_events,
    on_epoch: EpochCallback = lambda epoch: None,
    on_fold: Callable[[str], None] = lambda name: None,
) -> RunResult:
    """Train, and write validation predictions.

    ``out`` gets ``run.json``, and the files of ``training.loop``; with folds, ``folds.json``, a
    folder of those files a fold, and ``summary.json``. What is predicted for the validation clips
    is in ``validation/``, see ``training.validation``.

    Args:
        config: the settings.
        out: the run's folder.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        workers: see :func:`avaffect.training.loop.train`.
        resume: go on with what is in ``out``; folds that are finished are left as they are,
            unless ``config`` has more epochs than they were begun with, see `longer`.
        overwrite: throw away a run that is in ``out``.
        only_fold: train this fold alone.
        tensorboard: see :func:`avaffect.training.loop.train`.
        export: write the network as ONNX too, so that it predicts where torch is not installed.
        on_event: progress and notices.
        on_epoch: called after each epoch.
        on_fold: called with a fold's name before it starts.

    Raises:
        UsageError: ``out`` holds a run already, or settings do not fit the data.
        ForeignFileError: something is in the way that avaffect did not write.
        BusyError: another process trains in ``out``, or the same fold.
        KeyboardInterrupt: after Ctrl-C, with everything saved.
    """
    need("train", "torch", "matplotlib", purpose="training a network")
    out = Path(out)
    if tensorboard:
        tensorboard_writer()  # before anything is loaded or written
    # One group for all folds: a second one in the same processes would wait for the first.
    with processes(device) as group, ExitStack() as stack:
        first = group.first
        if first and only_fold is None:
            stack.enter_context(alone_in(out))
        if first and not overwrite:
            _require_free(config, out, resume)
        dataset = load_dataset(config.data, config.recipe.task_names, on_event)
        targets_of(config.recipe, dataset)  # refuses tasks that nothing is labelled with
        parts, folds = _parts(config, dataset, out, resume, on_event)
        if only_fold is not None:
            if config.folds == "none":
                raise UsageError("there are no folds", 'ask for some, as folds="5"')
            if f"fold-{only_fold}" not in parts:
                raise UsageError(
                    f"there is no fold {only_fold}", f"there are {len(parts)}, from 0"
                )
            parts = {f"fold-{only_fold}": parts[f"fold-{only_fold}"]}
        for train_clips, _, held in parts.values():
            if first:
                warn_of_shared(train_clips, held, on_event)
        # Only now, so that neither a mistake in the settings nor in the data costs an earlier run.
        if first:
            # Folds can be trained by several commands at once, but each by one.
            old = [fold.name for fold in out.glob("fold-*") if overwrite and fold.is_dir()]
            for name in sorted({*parts, *old} - {""}):
                stack.callback(_remove_empty, out / name)
                stack.enter_context(alone_in(out / name))
            _begin(config, out, overwrite, folds)
        group.wait()
        done = []
        pooled: Pairs = {}
        together: list[Clip] = []
        intervals: dict[str, Intervals] = {}
        for name, (train_clips, chosen_on, held) in parts.items():
            on_fold(name)
            folder = out / name
            done.append(
                train(
                    config.recipe,
                    dataset,
                    train_clips,
                    chosen_on,
                    folder,
                    seed=config.seed,
                    device=device,
                    workers=workers,
                    resume=resume,
                    init=config.init,
                    tensorboard=tensorboard,
                    on_event=on_event if first else ignore_events,
                    on_epoch=on_epoch,
                )
            )
            if held:
                listen, edition = on_event if first else ignore_events, config.data.edition
                pairs = write_validation(
                    folder, done[-1], dataset, held, edition, device, listen, group
                )
                for task, some in pairs.items():
                    pooled.setdefault(task, []).extend(some)
                together.extend(held)
                intervals[name] = intervals_of(pairs, held, dataset.targets)
            if first and export:
                export_beside(done[-1].folder, on_event)
        names = tuple(name for name in parts if name)
        scores, spread = _summary([trained.checkpoint.metrics for trained in done])
        if first and names and only_fold is None:
            each = {
                name: finite(trained.checkpoint.metrics)
                for name, trained in zip(names, done, strict=True)
            }
            of_all = scores_of(pooled, dataset.targets)
            sure = intervals_of(pooled, together, dataset.targets)
            summary = {
                "mean": finite(scores),
                "sd": finite(spread),
                "pooled": finite(of_all),
                "intervals": plain(sure),
                "folds": each,
                "fold_intervals": {name: plain(mine) for name, mine in intervals.items()},
            }
            write_json(out / SUMMARY, summary)
            return RunResult(
                tuple(done), names, scores, spread, of_all, tuple(intervals.values()), sure
            )
        return RunResult(tuple(done), names, scores, spread, intervals=tuple(intervals.values()))


def _require_free(config: RunConfig, out: Path, resume: bool) -> None:
    """Refuse a folder in which another run has begun; one that never saved anything has not."""
    if not (out / RUN).is_file():
        return
    if not [*out.glob(f"last/{STATE}"), *out.glob(f"fold-*/last/{STATE}")]:
        return
    if not resume:
        raise UsageError(
            f"'{out}' holds a run already",
            "resume=True goes on with it, overwrite=True starts anew",
        )
    begun = read_run(out)
    epochs = config.recipe.train.epochs
    if begun.recipe.train.epochs < epochs:
        begun = longer(begun, epochs)
    if begun.to_dict() != config.to_dict():
        raise UsageError(
            f"the run in '{out}' has other settings",
            "choose another folder, or replace it with overwrite=True",
        )


def _begin(config: RunConfig, out: Path, overwrite: bool, folds: Folds | None) -> None:
    there = [path for path in sorted(out.glob("*")) if _is_output(path)]
    begun = is_run(out)
    require_ours(out, there, [path.name for path in there] if begun else [])
    if overwrite and begun:
        for path in there:
            # Locks are held in the folds' folders.
            for file in path.iterdir() if path.is_dir() else (path,):
                if file.name != LOCK:
                    shutil.rmtree(file) if file.is_dir() else file.unlink()
    write_json(out / RUN, config.to_dict())
    if folds is not None:
        folds.save(out / FOLDS)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # there is something in it
        folder.rmdir()


def _is_output(path: Path) -> bool:
    """Whether it is called as something that a run writes, and holds something."""
    if re.fullmatch("fold-[0-9]+", path.name):
        return not path.is_dir() or any(file.name != LOCK for file in path.iterdir())
    return path.name in _OURS


def is_run(out: Path) -> bool:
    """Whether ``out`` is a run's folder, of whatever version, also if its settings are damaged."""
    with suppress(OSError):
        if holds(b'"recipe"', b'"version"')(out / RUN):
            return True
    return any(
        (folder / FACTS).is_file() for folder in [*out.glob("last"), *out.glob("fold-*/last")]
    )


_OURS = (
    RUN,
    FOLDS,
    SUMMARY,
    "best",
    "last",
    "log.jsonl",
    "curves.png",
    "tensorboard",
    "validation",
)


def _parts(
    config: RunConfig,
    dataset: Dataset,
    out: Path,
    resume: bool,
    on_event: EventCallback,
) -> tuple[dict[str, tuple[tuple[Clip, ...], ...]], Folds | None]:
    """By the name of the part's folder, ``""`` for ``out``, the clips to train with, to choose the
    epoch on and to validate with; and the folds that they come from, None for the data's own."""
    labelled = labelled_clips(dataset, config.recipe.task_names, on_event)
    if config.folds == "none":
        train_clips, val_clips, folds = own_split(
            dataset, labelled, config.seed, own=config.data.root is None, on_event=on_event
        )
        return {"": (train_clips, val_clips, val_clips)}, folds
    folds = _folds(config, labelled, out, resume)
    return {f"fold-{i}": folds.parts(labelled, i) for i in folds.numbers}, folds


def _folds(config: RunConfig, clips: tuple[Clip, ...], out: Path, resume: bool) -> Folds:
    # Of a run that starts, another process may be about to throw away an earlier run's folds.
    if resume and (out / FOLDS).is_file():
        return Folds.load(out / FOLDS, clips)
    if config.folds.endswith(".json"):
        return Folds.load(Path(config.folds), clips)
    if config.folds == "given":
        return make_folds(clips, None, by="fold")
    k = None if config.folds == "leave-one-out" else counts(config.folds)
    return make_folds(clips, k, seed=config.seed)


def _summary(metrics: Sequence[Any]) -> tuple[dict[str, float], dict[str, float]]:
    names = [name for name in metrics[0] if all(fold.get(name) is not None for fold in metrics)]
    values = {name: [float(fold[name]) for fold in metrics] for name in names}
    spread = {name: stdev(some) for name, some in values.items()} if len(metrics) > 1 else {}
    return {name: mean(some) for name, some in values.items()}, spread
