"""What an ensemble is about to train: which clips, which models, and how long it will take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from avaffect.config import fingerprint
from avaffect.datasets.clip import Clip, Dataset
from avaffect.datasets.folds import Folds, make_folds
from avaffect.datasets.overlap import warn_of_shared
from avaffect.datasets.split import labelled_clips, own_split
from avaffect.ensemble.members import Model, Places
from avaffect.ensemble.settings import EnsembleConfig
from avaffect.errors import AvaffectError, FeatureError, UsageError
from avaffect.files.atomic import write_json
from avaffect.files.names import RUN
from avaffect.progress import EventCallback, Notice
from avaffect.training.run import FOLDS, RunConfig
from avaffect.training.trial import trial_run

# What a process takes to load its libraries, and to write and export what it has trained.
_AROUND_S = 12.0


@dataclass(frozen=True)
class Split:
    """Clips to train with and to validate on; ``held``: the folds of which the first are the
    latter, where the data has no split of its own; ``rest``: labelled clips in neither."""

    train: tuple[Clip, ...]
    val: tuple[Clip, ...]
    held: Folds | None
    rest: tuple[str, ...]


def split_of(config: EnsembleConfig, dataset: Dataset, on_event: EventCallback) -> Split:
    labelled = labelled_clips(dataset, config.recipe.tasks, on_event)
    own = config.data.root is None
    try:
        parts = own_split(dataset, labelled, config.seed, own=own, on_event=on_event)
    except FeatureError as error:
        raise FeatureError(error.problem, "preprocess its videos too") from error
    except UsageError as error:
        hint = "the whole is validated on clips apart: add a column for the split, or more groups"
        raise UsageError(error.problem, hint) from error
    warn_of_shared(*parts[:2], on_event)
    used = {clip.name for part in parts[:2] for clip in part}
    return Split(*parts, tuple(clip.name for clip in labelled if clip.name not in used))


@dataclass(frozen=True)
class Estimate:
    """What is about to be trained.

    Attributes:
        models: how many are not trained yet.
        seconds: about how long that takes; None if nothing tells.
        at_a_time: models that are trained at the same time.
        device: where.
    """

    models: int
    seconds: float | None
    at_a_time: int
    device: str


@dataclass(frozen=True)
class Plan:
    """The models of an ensemble, and where they are trained.

    Attributes:
        members: by name, the models of each member.
        runs: of each run of members, its settings and folds; None for a run without.
        split: the clips.
        where: the places.
    """

    members: Mapping[str, tuple[Model, ...]]
    runs: Mapping[Path, tuple[RunConfig, Folds | None]]
    split: Split
    where: Places

    @property
    def models(self) -> tuple[Model, ...]:
        """All of them."""
        return tuple(model for models in self.members.values() for model in models)

    def write(self) -> None:
        """Write the runs of all members, for `members.train_models`."""
        for run, (settings, folds) in self.runs.items():
            write_json(run / RUN, settings.to_dict())
            if folds is not None:
                folds.save(run / FOLDS)

    def seconds(
        self, dataset: Dataset, on_event: EventCallback, *, anew: bool = False
    ) -> float | None:
        """About how long it will take to train what is not finished; None if nothing tells.

        A few batches of each recipe are trained for it, on a few clips. On the CPU models that
        are trained at the same time share its cores, so they are counted one after the other.

        Args:
            dataset: of the clips.
            on_event: notices.
            anew: what is there will be thrown away.

        Raises:
            UsageError, FeatureError: what a training would end with as well.
        """
        known: dict[str, tuple[float, float]] = {}
        total = 0.0
        left = [model for model in self.models if anew or not model.finished]
        for model in left:
            settings, folds = self.runs[model.run]
            recipe, key = settings.recipe, fingerprint(settings.recipe.to_dict())
            if key not in known:
                clips = self.split.train
                if folds is not None and model.fold is not None:
                    held = folds.held(model.fold)
                    clips = tuple(clip for clip in clips if clip.name not in held)
                on_event(Notice(f"trying a few batches of {model.name}"))
                try:
                    known[key] = trial_run(recipe, dataset, clips, self.where.device)
                except (FeatureError, UsageError):
                    raise
                except AvaffectError:
                    return None
            start, epoch = known[key]
            done = 0 if anew else model.epochs_done
            total += _AROUND_S + start + epoch * max(0, model.epochs - done)
        return total / max(1, min(self.where.apart, len(left)))


def plan_of(config: EnsembleConfig, split: Split, where: Places, out: Path) -> Plan:
    """The models of all members; nothing is written."""
    recipe = config.recipe
    members: dict[str, tuple[Model, ...]] = {}
    runs: dict[Path, tuple[RunConfig, Folds | None]] = {}
    for name, (member, repeat) in recipe.all_members.items():
        run, seed = out / "members" / name, config.seed + repeat
        folds = split.held
        numbers: tuple[int, ...] = (0,)
        if recipe.folds is not None:
            folds = make_folds(split.train, recipe.folds, seed=seed)
            numbers = folds.numbers
            apart = (*(clip.name for clip in split.val), *split.rest)
            inner = recipe.inner if member.recipe.train.chooses else 0
            folds = replace(folds, apart=apart, inner=inner)
            within = replace(folds, apart=())
            for number in numbers:  # refuses what leaves nothing to choose on
                within.parts(split.train, number)
        elif folds is not None:
            folds = replace(folds, apart=split.rest)
        runs[run] = RunConfig(member.recipe, config.data, FOLDS if folds else "none", seed), folds
        epochs = member.recipe.train.epochs
        members[name] = (
            tuple(Model(run, i, epochs, folds.held(i)) for i in numbers)
            if folds
            else (Model(run, None, epochs),)
        )
    return Plan(members, runs, split, where)
