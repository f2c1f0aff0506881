"""``starter-0``: predictions without training, from rules and a small expression net.

* AU: proxies from blendshapes over the subject's own neutral (``action_units``).
* EXPR: the frame model's opinion blended with the units' prototypes (``expressions``); with one
  of EmotiEffLib's nets as frame model, its opinion alone.
* VA: a regression from expression probabilities to human ratings (``valence_arousal``); with one
  of EmotiEffLib's nets, its own values.

A starter: not trained on Aff-Wild2, without temporal model and without voice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.errors import UnknownNameError
from avaffect.faces.encoders import FRAME_MODELS, encoder_spec
from avaffect.predictions.prediction import Prediction
from avaffect.predictors.interface import chunks, prediction_of, require_arrays
from avaffect.predictors.starter import action_units
from avaffect.predictors.starter.expressions import blend
from avaffect.predictors.starter.valence_arousal import va_from_expression
from avaffect.store.subject import SubjectFeatures
from avaffect.tasks.registry import AU, EXPR, VA

# The neutral face is estimated from at most about this many frames, evenly spread.
NEUTRAL_FRAMES = 20_000

NOTES = (
    "starter-0 is a starter: rules over a 2013-style expression net and blendshapes, not trained "
    "on Aff-Wild2, no voice, no temporal model",
    "AU are proxies from blendshapes; AU_p are scores and no probabilities, intensities are not "
    "FACS' A to E; AU6, AU23 and AU24 are the weakest",
)


class Starter:
    """The predictor ``starter-0``.

    Args:
        frame_model: a name of ``faces.encoders.FRAME_MODELS``.

    Raises:
        UnknownNameError: if there is no frame model of that name.
    """

    name = "starter-0"
    tasks: tuple[str, ...] = (VA.name, EXPR.name, AU.name)
    optional: tuple[str, ...] = ()
    smooth: str = "off"
    notes: tuple[str, ...] = NOTES

    def __init__(self, frame_model: str = "fer") -> None:
        if frame_model not in FRAME_MODELS:
            raise UnknownNameError("frame model", frame_model, FRAME_MODELS)
        self.needs: tuple[str, ...] = ("face_pose", frame_model)
        self._frame_model = encoder_spec(frame_model)
        if self._frame_model.gives_va:
            self.name = f"starter-0+{frame_model}"
            self.notes = (
                *NOTES,
                f"EXPR and VA come from {frame_model} (AffectNet), frame by frame",
            )

    def require_settings(self, configuration: Mapping[str, Any]) -> None:
        """Any settings will do."""

    def predict(self, subject: SubjectFeatures, tasks: Sequence[str]) -> Prediction:
        """See :class:`avaffect.predictors.interface.Predictor`."""
        require_arrays(self, subject)
        frames = subject.frames
        level = self._neutral(subject)
        expr = np.full((frames, 8), np.nan, np.float32)
        va = np.full((frames, 2), np.nan, np.float32)
        active = np.full((frames, 12), np.nan, np.float32)
        for rows in chunks(frames):
            face_pose = subject.array("face_pose", rows.start, rows.stop)
            opinion = subject.array(self._frame_model.name, rows.start, rows.stop)
            active[rows] = action_units.activation(action_units.signals(face_pose), level)
            if self._frame_model.gives_va:
                expr[rows], va[rows] = opinion[:, :8], opinion[:, 8:10]
            else:
                expr[rows] = blend(opinion, active[rows])
                va[rows] = va_from_expression(expr[rows])
        present = np.asarray(subject.present)
        for values in (expr, va, active):
            values[~present] = np.nan
        return prediction_of(
            subject,
            self.name,
            va=va if VA.name in tasks else None,
            expr=expr if EXPR.name in tasks else None,
            au=action_units.presence(active) if AU.name in tasks else None,
            au_intensity=action_units.intensity(active) if AU.name in tasks else None,
        )

    def _neutral(self, subject: SubjectFeatures) -> NDArray[np.float32]:
        step = -(-subject.frames // NEUTRAL_FRAMES) or 1
        raw = []
        for rows in chunks(subject.frames):
            face_pose = subject.array("face_pose", rows.start, rows.stop)[::step]
            raw.append(action_units.signals(face_pose[action_units.is_frontal(face_pose)]))
        return action_units.neutral(np.concatenate(raw) if raw else np.zeros((0, 12), np.float32))
