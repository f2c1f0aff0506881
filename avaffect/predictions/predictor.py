"""Predictors: what turns one subject's features into a prediction.

The rules of ``starter-0`` and trained networks share this interface.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

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


def build_predictor(name: str, frame_model: str = "fer") -> Predictor:
    """The predictor called ``name``.

    Args:
        name: a key of :data:`PREDICTORS`.
        frame_model: the net whose opinion on single frames it uses.

    Raises:
        UnknownNameError: if there is no predictor or frame model of that name.
    """
    if name not in PREDICTORS:
        raise UnknownNameError("model", name, PREDICTORS)
    return PREDICTORS[name](frame_model)


def _starter(frame_model: str) -> Predictor:
    from avaffect.predictions.starter import Starter

    return Starter(frame_model)


PREDICTORS: dict[str, Callable[[str], Predictor]] = {"starter-0": _starter}
DEFAULT_MODEL = "starter-0"
