"""The user's choices as settings: tasks, features, licences, a trained model, and what fits it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avaffect.config import AudioConfig, FaceConfig, PredictConfig
from avaffect.errors import CheckpointError, UnknownNameError, UsageError, boundary
from avaffect.files.hashing import file_sha256
from avaffect.files.outside import reading
from avaffect.models.zoo import require_commercial
from avaffect.predictions.missing import require_policy
from avaffect.predictions.smooth import parse_smoothing
from avaffect.predictors.build import build_predictor, facts_of
from avaffect.predictors.interface import Predictor
from avaffect.recipes.pictures import FACE_PICTURES
from avaffect.sound.mfcc import SOUND
from avaffect.store.keys import all_models
from avaffect.store.pictures import HAS_FACE
from avaffect.tasks.registry import TASKS

if TYPE_CHECKING:
    from avaffect.networks.checkpoint import Checkpoint

FEATURES = ("auto", "light", "full")
EMBEDDING = "efficientnet-lite0"


def parse_tasks(task: str | Sequence[str]) -> tuple[str, ...]:
    """``"all"``, ``"va,au"`` or a sequence of names, as a tuple in the order of ``TASKS``.

    Raises:
        UnknownNameError: for a task that does not exist.
    """
    names = [part.strip() for part in task.split(",")] if isinstance(task, str) else list(task)
    for name in names:
        if name not in (*TASKS, "all"):
            raise UnknownNameError("task", name, (*TASKS, "all"))
    if not names:
        raise UsageError("no task is named", f"choose of {', '.join(TASKS)}, or all")
    return tuple(name for name in TASKS if name in names or "all" in names)


def chosen_config(
    task: str | Sequence[str] = "all",
    *,
    model: str | None = None,
    checkpoint: Path | str | None = None,
    missing: str | None = None,
    smooth: str | None = None,
    subjects: str | None = None,
    config: PredictConfig | None = None,
) -> PredictConfig:
    """The settings that arguments stand for; they are those of ``predicting.run.predict``.

    Raises:
        UsageError, ModelError: as there.
    """
    given = {"model": model, "missing": missing, "smooth": smooth}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    chosen = replace(config or PredictConfig(), tasks=parse_tasks(task), **changes)
    if subjects is not None:
        who: dict[str, Any] = {"subjects": subjects}
        faces = replace(chosen.analysis.faces, **who)
        chosen = replace(chosen, analysis=replace(chosen.analysis, faces=faces))
    if checkpoint is not None:
        chosen = with_checkpoint(chosen, checkpoint)
    chosen = with_features(chosen, "auto" if config is None else "more")
    require_licences(chosen)
    return chosen


def chosen_predictor(config: PredictConfig, device: str) -> Predictor:
    """The predictor of ``config``; what of the settings it cannot follow shows before any work.

    Raises:
        UsageError, ModelError: as ``predicting.run.predict``.
    """
    predictor = build_predictor(config, device)
    require_policy(config.missing)
    parse_smoothing(config.smooth, predictor.smooth)
    return predictor


def with_features(config: PredictConfig, which: str = "auto") -> PredictConfig:
    """``config`` with the features that its model reads, and others by ``which``.

    Args:
        config: the settings; its encoders are replaced, and its sound and voice left out where
            the model does not listen.
        which: ``auto`` adds nothing; ``light`` neither, and refuses a model that reads the deep
            embedding; ``full`` adds the deep embedding and the sound; ``more`` leaves out nothing
            that ``config`` asks for.

    Raises:
        UsageError: for a model that is not light.
        UnknownNameError: for a model or choice that does not exist.
    """
    from avaffect.faces.encoders import ENCODERS

    if which not in (*FEATURES, "more"):
        raise UnknownNameError("choice of features", which, FEATURES)
    predictor = facts_of(config)
    needs = predictor.needs
    encoders = tuple(name for name in needs if name in ENCODERS)
    audio = config.analysis.audio if "audio" in needs else None
    voice = config.analysis.voice or predictor.voice_net if "voice" in needs else None
    if which == "light" and EMBEDDING in encoders:
        raise UsageError(f"'{predictor.name}' reads deep embeddings", 'use which="auto"')
    if which == "full":
        encoders = tuple(dict.fromkeys((EMBEDDING, *encoders)))
        audio = config.analysis.audio
    if which == "more":
        encoders = tuple(dict.fromkeys((*config.analysis.encoders, *encoders)))
        audio, voice = audio or config.analysis.audio, voice or config.analysis.voice
    analysis = replace(config.analysis, encoders=encoders, audio=audio, voice=voice)
    return replace(config, analysis=analysis)


def require_licences(config: PredictConfig) -> None:
    """Raise UsageError if ``config`` excludes by its licence a net that it asks for."""
    if not config.noncommercial:
        require_commercial(all_models(config.analysis))


@boundary()
def with_checkpoint(
    config: PredictConfig, place: Path | str, own: Collection[str] = ()
) -> PredictConfig:
    """``config`` for a trained model: its tasks, and the sound settings that it was trained with.

    Args:
        config: the settings.
        place: a folder that ``train`` or ``ensemble`` wrote.
        own: arrays that are given as tables.

    Raises:
        CheckpointError: there is no checkpoint that can be used.
        UsageError: the model predicts none of the tasks asked for.
    """
    from avaffect.faces.encoders import ENCODERS
    from avaffect.networks.checkpoint import FACTS, checkpoint_folder, read_checkpoint
    from avaffect.predictors.joined import Joined, is_ensemble
    from avaffect.store.provenance import trained_backbones

    if is_ensemble(Path(place)):
        joined = Joined.load(Path(place))
        for models in joined.members.values():
            # Those of other folds read the same.
            config = with_checkpoint(config, Path(place) / next(iter(models)), own)
        return replace(
            config,
            checkpoint=str(place),
            weights=joined.fingerprint,
            postprocess=_tuned(Path(place)),
        )
    folder = checkpoint_folder(Path(place))
    checkpoint = read_checkpoint(folder)
    knows = checkpoint.recipe.task_names
    tasks = tuple(task for task in config.tasks if task in knows)
    if not tasks:
        raise UsageError(
            f"'{place}' does not predict {', '.join(config.tasks)}",
            f"it predicts {', '.join(knows)}",
        )
    made = (*ENCODERS, "face_pose", *SOUND, FACE_PICTURES, *trained_backbones(checkpoint.features))
    if lacks := [name for name in checkpoint.recipe.features if name not in (*made, *own)]:
        raise CheckpointError(
            f"'{place}' was trained on features of your own ('{lacks[0]}'), which cannot be made "
            "from a video",
            'give those of what is predicted as features="FOLDER", or train on what `avaffect '
            "preprocess` writes",
        )
    analysis = config.analysis
    if (side := _crop_size(checkpoint)) is not None:
        analysis = replace(analysis, faces=replace(analysis.faces, crop_size=side))
    wrong = "names settings of the sound that do not exist"
    with reading(folder / FACTS, CheckpointError, wrong, "train again"):
        if (audio := checkpoint.features.get("audio")) is not None:
            analysis = replace(analysis, audio=AudioConfig(**audio))
        if (rate := checkpoint.features.get("sound_rate")) is not None:
            analysis = replace(analysis, sound_rate=float(rate))
    return replace(
        config,
        tasks=tasks,
        analysis=analysis,
        checkpoint=str(folder),
        weights=checkpoint.sha256,
        postprocess=_tuned(folder),
    )


def _tuned(folder: Path) -> str | None:
    """The hash of what was tuned for a model: what is tuned anew is predicted anew."""
    from avaffect.predictions.postprocess import FILE

    return file_sha256(folder / FILE) if (folder / FILE).is_file() else None


def _crop_size(checkpoint: Checkpoint) -> int | None:
    """Pixels of the crops that it was trained beside, or on; None if nothing tells.

    Raises:
        CheckpointError: it is no size that faces can have.
    """
    faces = checkpoint.features.get("faces")
    side = faces.get("crop_size") if isinstance(faces, Mapping) else None
    try:
        for name, branch in checkpoint.recipe.roots.items():
            if side is None and branch.encoder is not None:
                side = isqrt(checkpoint.widths[name] // 3)
        return None if side is None else FaceConfig(crop_size=side).crop_size
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"'{checkpoint.recipe.name}' was trained on crops of {side} pixels, which "
            "are not made",
            "train again on what `avaffect preprocess` writes",
        ) from error


def require_listener(predictor: Predictor, sound: Path, there: Collection[str] = SOUND) -> None:
    """Raise UsageError if ``predictor`` does not listen, or cannot do without faces: all that is
    ``there`` are these arrays."""
    if not set(predictor.needs) & {*SOUND, *there}:
        raise UsageError(
            f"'{sound}' holds nothing but sound, and '{predictor.name}' looks at faces only",
            "leave out noncommercial=False, or use checkpoint=... of a model "
            'trained with modalities=["audio"]',
        )
    if set(predictor.needs) - {*SOUND, *there, *predictor.optional}:
        raise UsageError(
            f"'{predictor.name}' looks at faces too, and '{sound}' holds nothing but sound",
            'give it the video, or a model trained with modalities=["audio"]',
        )


def require_made(predictor: Predictor) -> None:
    """Raise UsageError if ``predictor`` reads what a trained backbone made of the faces."""
    from avaffect.faces.encoders import ENCODERS

    made = ("face_pose", *SOUND, FACE_PICTURES, HAS_FACE, *ENCODERS)
    if own := [name for name in predictor.needs if name not in made]:
        raise UsageError(
            f"'{predictor.name}' reads '{own[0]}', which is not made from a video in one go",
            f'run `avaffect preprocess`, then `avaffect features` with name="{own[0]}" and, as '
            "backbone=..., the one of its training, and predict on the folder; tables of your own "
            'are given as features="FOLDER"',
        )
