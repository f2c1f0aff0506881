"""Predictors: what turns one subject's features into a prediction.

The rules of ``starter-0`` and trained networks share this interface.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from avaffect.config import PredictConfig
from avaffect.errors import FeatureError, UnknownNameError
from avaffect.features.store import SubjectFeatures
from avaffect.predictions.prediction import Prediction


class Predictor(Protocol):
    """Turns features into predictions.

    Attributes:
        name: how it is called, written beside every output.
        tasks: which of ``va``, ``expr``, ``au`` it predicts.
        needs: arrays of :class:`SubjectFeatures` that it reads.
        notes: what a reader of its output must know (training data, weaknesses).
    """

    name: str
    tasks: tuple[str, ...]
    needs: tuple[str, ...]
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


def require_arrays(predictor: Predictor, subject: SubjectFeatures) -> None:
    """Raise FeatureError unless ``subject`` has what ``predictor`` reads."""
    missing = [name for name in predictor.needs if name not in subject.names]
    if missing:
        raise FeatureError(
            f"the features of '{subject.name}' lack {', '.join(missing)}, "
            f"needed by {predictor.name}",
            "run `avaffect preprocess` again with "
            + " ".join(f"--encoder {name}" for name in missing if name != "face_pose"),
        )


def build_predictor(config: PredictConfig, device: str = "cpu") -> Predictor:
    """The predictor that ``config`` asks for.

    Args:
        config: its ``checkpoint``, or its ``model``, a key of :data:`PREDICTORS`.
        device: ``cpu`` or ``cuda``, for trained networks.

    Raises:
        UnknownNameError: if there is no predictor or frame model of that name.
        CheckpointError: if the checkpoint cannot be used.
    """
    if config.checkpoint is not None:
        from avaffect.predictions.trained import Trained

        return Trained(config.checkpoint, device)
    if config.model not in PREDICTORS:
        raise UnknownNameError("model", config.model, PREDICTORS)
    return PREDICTORS[config.model](config.frame_model)


def _starter(frame_model: str) -> Predictor:
    from avaffect.predictions.starter import Starter

    return Starter(frame_model)


PREDICTORS: dict[str, Callable[[str], Predictor]] = {"starter-0": _starter}
DEFAULT_MODEL = "starter-0"
