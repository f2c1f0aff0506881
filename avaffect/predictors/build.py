"""The predictor that a configuration asks for, and what is known of it before it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from avaffect.config import PredictConfig
from avaffect.errors import UnknownNameError
from avaffect.predictors.interface import Facts, Predictor


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
        from avaffect.predictors.ensemble import Ensemble
        from avaffect.predictors.joined import is_ensemble
        from avaffect.predictors.trained import Trained

        if is_ensemble(Path(config.checkpoint)):
            return Ensemble(config.checkpoint, device)
        return Trained(config.checkpoint, device)
    return _own(config)


def facts_of(config: PredictConfig) -> Facts:
    """What is known of the predictor that ``config`` asks for; no weights are read.

    Raises:
        UnknownNameError, CheckpointError: as :func:`build_predictor`.
    """
    if config.checkpoint is None:
        predictor = _own(config)
        return Facts(predictor.name, predictor.tasks, predictor.needs, predictor.voice_net)
    # These import torch, which takes seconds.
    from avaffect.networks.checkpoint import read_checkpoint
    from avaffect.predictors.facts import checkpoint_facts, ensemble_facts
    from avaffect.predictors.joined import is_ensemble

    if is_ensemble(Path(config.checkpoint)):
        return ensemble_facts(Path(config.checkpoint))
    return checkpoint_facts(read_checkpoint(config.checkpoint))


def _own(config: PredictConfig) -> Predictor:
    """A model that comes with avaffect; its nets are loaded by what makes the features."""
    if config.model not in PREDICTORS:
        raise UnknownNameError("model", config.model, PREDICTORS)
    return PREDICTORS[config.model](config)


def _starter1(config: PredictConfig) -> Predictor:
    from avaffect.predictors.starter.starter1 import FACE_NET, Starter1

    frame_model = FACE_NET if config.frame_model == "auto" else config.frame_model
    return Starter1(frame_model, voice=config.noncommercial)


def _starter2(config: PredictConfig) -> Predictor:
    from avaffect.predictors.starter.starter2 import Starter2

    if config.frame_model != "auto":
        # Through another net it is starter-1.
        return _starter1(config)
    return Starter2(nets=config.noncommercial)


PREDICTORS: dict[str, Callable[[PredictConfig], Predictor]] = {
    "starter-1": _starter1,
    "starter-2": _starter2,
}
