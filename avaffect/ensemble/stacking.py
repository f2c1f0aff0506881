"""The network of a stack: trained on what an ensemble's members say of clips they never saw.

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
from avaffect.ensemble.opinions import Said
from avaffect.errors import UsageError
from avaffect.files.atomic import write_json
from avaffect.files.outside import read_kept
from avaffect.files.table import write_table
from avaffect.predictors.joined import Values
from avaffect.predictors.stacking import OpinionFeatures, stacked_names, stacked_values
from avaffect.progress import EventCallback, ignore_events
from avaffect.recipes.ensemble import OPINIONS
from avaffect.recipes.recipe import Recipe
from avaffect.training.loop import Trained, train

TABLES = "opinions"
RUN = "stage2"
_KEY = "opinions.json"


def train_stack(
    recipe: Recipe,
    dataset: Dataset,
    targets: Mapping[str, tuple[str, ...]],
    said: Mapping[str, Said],
    train_clips: Sequence[Clip],
    val_clips: Sequence[Clip],
    out: Path,
    *,
    seed: int,
    device: str,
    on_event: EventCallback = ignore_events,
) -> tuple[Trained, tuple[Clip, ...]]:
    """Train the network on top of an ensemble, or go on with it.

    Of a training clip a voter's value comes from the one model that never saw it, of a validation
    clip it is the mean of the voter's models.

    Args:
        recipe: of the network; it reads :data:`~avaffect.recipes.ensemble.OPINIONS`.
        dataset: where the clips come from.
        targets: by task of the voters, the names of what they say.
        said: by voter.
        train_clips: each in ``unseen`` of all voters.
        val_clips: each in ``val`` of all voters.
        out: the ensemble's folder.
        seed: of everything drawn by chance.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        on_event: progress and notices.

    Returns:
        the run's result, and the validation clips with opinions for features.
    """
    voters = list(said.values())
    learned = tuple(
        _clip(one, [voter.unseen[one.name] for voter in voters]) for one in train_clips
    )
    validated = tuple(_clip(one, [voter.val[one.name] for voter in voters]) for one in val_clips)
    clips = (*learned, *validated)
    _write_tables(clips, stacked_names(list(said), targets), out / TABLES)
    run, key = out / RUN, fingerprint([_digest(one) for one in clips])
    # It goes on only with the very opinions that it began with.
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


def _clip(clip: Clip, voters: Sequence[Values]) -> Clip:
    times = getattr(clip.features, "times", None)
    return replace(clip, features=OpinionFeatures(stacked_values(voters), times))


def _digest(clip: Clip) -> str:
    return hashlib.sha256(clip.features.array(OPINIONS).tobytes()).hexdigest()


def _key(run: Path) -> str | None:
    found: str | None = (read_kept(run / _KEY, {"fingerprint": str}) or {}).get("fingerprint")
    return found


def _write_tables(clips: Sequence[Clip], names: Sequence[str], folder: Path) -> None:
    for clip in clips:
        with suppress(UsageError):  # a name of the user's own that no file can have
            path = folder / f"{subject_file_name(clip.name)[:-4]}.parquet"
            values = clip.features.array(OPINIONS)
            columns = {name: values[:, i] for i, name in enumerate(names)}
            frames = {"frame": np.arange(1, clip.frames + 1)}
            write_table(path, {**frames, **columns}, {"clip": clip.name, "split": clip.split})
