"""The network of a stack: trained on the members' predictions for clips they never saw.

<out>/opinions/<clip>.parquet   what it reads of a clip, a row a frame
<out>/stage2/                   its run
<out>/stage2/opinions.json      a fingerprint of all that it reads
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from avaffect.challenge.text import subject_file_name
from avaffect.config import fingerprint
from avaffect.datasets.clip import Clip, Dataset
from avaffect.ensemble.member_predictions import MemberPredictions
from avaffect.errors import UsageError
from avaffect.files.atomic import write_json
from avaffect.files.outside import read_kept
from avaffect.files.table import write_table
from avaffect.predictors.joined import Values
from avaffect.predictors.stacking import StackFeatures, stacked_names, stacked_values
from avaffect.progress import EventCallback, ignore_events
from avaffect.recipes.ensemble_recipe import MEMBER_PREDICTIONS
from avaffect.recipes.recipe import Recipe
from avaffect.training.loop import Trained, train

_TABLES = "opinions"
_STAGE2 = "stage2"
_KEY = "opinions.json"


def train_stack(
    recipe: Recipe,
    dataset: Dataset,
    targets: Mapping[str, tuple[str, ...]],
    predictions: Mapping[str, MemberPredictions],
    train_clips: Sequence[Clip],
    val_clips: Sequence[Clip],
    out: Path,
    *,
    seed: int,
    device: str,
    on_event: EventCallback = ignore_events,
) -> tuple[Trained, tuple[Clip, ...]]:
    """Train the network on top of an ensemble, or go on with it.

    For a training clip a member's value comes from the one model that never saw it; for a
    validation clip it is the mean of the member's models.

    Args:
        recipe: of the network; it reads ``ensemble_recipe.MEMBER_PREDICTIONS``.
        dataset: where the clips come from.
        targets: by task of the members, the names of what they predict.
        predictions: by member.
        train_clips: each in ``unseen`` of all members.
        val_clips: each in ``val`` of all members.
        out: the ensemble's folder.
        seed: of everything drawn by chance.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        on_event: progress and notices.

    Returns:
        the run's result, and the validation clips with the members' predictions as features.
    """
    members = list(predictions.values())
    learned = tuple(
        _clip(clip, [member.unseen[clip.name] for member in members]) for clip in train_clips
    )
    validated = tuple(
        _clip(clip, [member.val[clip.name] for member in members]) for clip in val_clips
    )
    clips = (*learned, *validated)
    _write_tables(clips, stacked_names(list(predictions), targets), out / _TABLES)
    run, key = out / _STAGE2, fingerprint([_digest(clip) for clip in clips])
    # It goes on only with the very predictions that it began with.
    if run.is_dir() and _key(run) != key:
        shutil.rmtree(run)
    write_json(run / _KEY, {"fingerprint": key})
    dataset = replace(dataset, clips=clips)
    trained = train(
        recipe,
        dataset,
        learned,
        validated,
        run,
        seed=seed,
        device=device,
        resume=True,
        on_event=on_event,
    )
    return trained, validated


def _clip(clip: Clip, members: Sequence[Values]) -> Clip:
    times = getattr(clip.features, "times", None)
    return replace(clip, features=StackFeatures(stacked_values(members), times))


def _digest(clip: Clip) -> str:
    return hashlib.sha256(clip.features.array(MEMBER_PREDICTIONS).tobytes()).hexdigest()


def _key(run: Path) -> str | None:
    found: str | None = (read_kept(run / _KEY, {"fingerprint": str}) or {}).get("fingerprint")
    return found


def _write_tables(clips: Sequence[Clip], names: Sequence[str], folder: Path) -> None:
    for clip in clips:
        with suppress(UsageError):  # a name of the user's own that no file can have
            path = folder / f"{subject_file_name(clip.name)[:-4]}.parquet"
            values = clip.features.array(MEMBER_PREDICTIONS)
            columns = {name: values[:, i] for i, name in enumerate(names)}
            frames = {"frame": np.arange(1, clip.frames + 1)}
            write_table(path, {**frames, **columns}, {"clip": clip.name, "split": clip.split})
