"""Predictors: what turns one subject's features into a prediction.

The built-in models and trained networks share this interface.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from avaffect.config import PredictConfig
from avaffect.errors import FeatureError, UnknownNameError
from avaffect.features.encoders import ENCODERS
from avaffect.features.store import SubjectFeatures
from avaffect.features.voice import DEFAULT_VOICE
from avaffect.predictions.hidden import without_hidden
from avaffect.predictions.prediction import Prediction
from avaffect.recipes.encoders import FACES as PICTURES

# Frames that are read from the feature store at a time.
CHUNK = 4096
# Arrays that no encoder makes.
_MADE = ("face_pose", "audio", "has_sound", "voice")


class Predictor(Protocol):
    """Turns features into predictions.

    Attributes:
        name: how it is called, written beside every output.
        tasks: which of ``va``, ``expr``, ``au`` it predicts.
        needs: arrays of :class:`SubjectFeatures` that it reads.
        optional: those of ``needs`` that it can do without: of a sound file there are no arrays of
            faces, and a folder may have been made without the voice.
        smooth: the smoothing that suits it best, as ``predictions.smooth`` writes it.
        notes: what a reader of its output must know (training data, weaknesses).
    """

    name: str
    tasks: tuple[str, ...]
    needs: tuple[str, ...]
    optional: tuple[str, ...]
    smooth: str
    notes: tuple[str, ...]

    def require_settings(self, configuration: Mapping[str, Any]) -> None:
        """Raise FeatureError if it cannot use features made with this configuration."""
        ...

    def predict(self, subject: SubjectFeatures, tasks: Sequence[str]) -> Prediction:
        """One row a decoded frame; NaN where there is nothing to go by.

        Raises:
            FeatureError: if ``subject`` lacks an array of ``needs``.
        """
        ...


def require_arrays(
    predictor: Predictor, subject: SubjectFeatures, required: Sequence[str] | None = None
) -> None:
    """Raise FeatureError unless ``subject`` has what ``predictor`` cannot do without.

    Args:
        predictor: who reads.
        subject: what it reads.
        required: names of arrays; None for all of ``needs`` that are not ``optional``.
    """
    if required is None:
        required = [name for name in predictor.needs if name not in predictor.optional]
    missing = [name for name in required if name not in subject.names]
    if PICTURES in missing:
        raise FeatureError(
            f"'{subject.name}' has no pictures of aligned faces, which {predictor.name} looks at",
            "predict on the video, or on a folder that `avaffect preprocess` wrote",
        )
    if own := [name for name in missing if name not in (*_MADE, *ENCODERS)]:
        raise FeatureError(
            f"the features of '{subject.name}' lack {own[0]}, needed by {predictor.name}",
            f'run `avaffect features` with name="{own[0]}" and, as backbone=..., the one that '
            "it was trained on",
        )
    if missing:
        encoders = [f'"{name}"' for name in missing if name not in _MADE]
        settings = [f"encoders=({', '.join(encoders)},)"] if encoders else []
        settings += [f'voice="{DEFAULT_VOICE}"'] if "voice" in missing else []
        raise FeatureError(
            f"the features of '{subject.name}' lack {', '.join(missing)}, "
            f"needed by {predictor.name}",
            "preprocess again" + (f" with {' and '.join(settings)}" if settings else ""),
        )


def prediction_of(subject: SubjectFeatures, model: str, **values: Any) -> Prediction:
    """What ``model`` says of ``subject``: ``values`` on the subject's own frames.

    Units of a part of the face that cannot be seen are missing, whatever the model.
    """
    prediction = Prediction(
        subject=subject.name,
        model=model,
        times=np.asarray(subject.times),
        present=np.asarray(subject.present),
        confidence=np.asarray(subject.confidence),
        geometry=subject.geometry,
        **values,
    )
    return without_hidden(prediction, subject)


def chunks(frames: int) -> Iterator[slice]:
    """Slices of at most :data:`CHUNK` that cover ``frames``."""
    for start in range(0, frames, CHUNK):
        yield slice(start, min(start + CHUNK, frames))


def build_predictor(config: PredictConfig, device: str = "cpu") -> Predictor:
    """The predictor that ``config`` asks for.

    Args:
        config: its ``checkpoint``, or its ``model``, a key of :data:`PREDICTORS`.
        device: ``cpu``, ``cuda`` or ``cuda:N``, for trained networks.

    Raises:
        UnknownNameError: if there is no predictor or frame model of that name.
        CheckpointError: if the checkpoint cannot be used.
    """
    if config.checkpoint is not None:
        from avaffect.predictions.ensemble import Ensemble, is_ensemble
        from avaffect.predictions.trained import Trained

        if is_ensemble(Path(config.checkpoint)):
            return Ensemble(config.checkpoint, device)
        return Trained(config.checkpoint, device)
    if config.model not in PREDICTORS:
        raise UnknownNameError("model", config.model, PREDICTORS)
    return PREDICTORS[config.model](config)


def _starter0(config: PredictConfig) -> Predictor:
    from avaffect.predictions.starter import Starter

    return Starter("fer" if config.frame_model == "auto" else config.frame_model)


def _starter1(config: PredictConfig) -> Predictor:
    from avaffect.predictions.starter1 import FACE_NET, Starter1

    frame_model = FACE_NET if config.frame_model == "auto" else config.frame_model
    return Starter1(frame_model, voice=config.noncommercial)


PREDICTORS: dict[str, Callable[[PredictConfig], Predictor]] = {
    "starter-0": _starter0,
    "starter-1": _starter1,
}
DEFAULT_MODEL = PredictConfig.model
