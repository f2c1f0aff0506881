"""``starter-1``: what avaffect says without being trained by the user.

* EXPR: a face net's prediction (``faces.encoders``: ``starter-1-face``, less what it says of the
  subject at rest, see ``resting``, and with a word from the action units; or one of EmotiEffLib's)
  and a voice net's (``sound.voice``), pooled by ``fusion`` where the lips move (``speaking``);
  what both are unsure of is *Other*.
* VA: what raters say of such expressions (``valence_arousal``), of face and voice, with an
  interval.
* AU: proxies from blendshapes over the subject's own neutral (``unit_proxies``).

Not trained on Aff-Wild2 nor on any video, and on no action unit labels. What it is worth stands in
``docs/models/starter-1.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.config import fingerprint
from avaffect.errors import UnknownNameError
from avaffect.faces.encoders import FRAME_MODELS, encoder_spec
from avaffect.predictions.prediction import Prediction
from avaffect.predictors.interface import prediction_of
from avaffect.predictors.starter import fusion
from avaffect.predictors.starter.expressions import with_units
from avaffect.predictors.starter.figures import figures_fingerprint
from avaffect.predictors.starter.joining import Estimate, join
from avaffect.predictors.starter.neutral import seconds_each
from avaffect.predictors.starter.reading import (
    VOICE,
    active_units,
    read_net,
    read_pose,
    require_seen,
)
from avaffect.predictors.starter.resting import resting_people, resting_shift, shifted
from avaffect.predictors.starter.unit_proxies import unit_proxies
from avaffect.predictors.starter.valence_arousal import va_of_face
from avaffect.store.subject import SubjectFeatures
from avaffect.tasks.registry import AU, EXPR, VA

Values = NDArray[np.float32]

FACE_NET = "starter-1-face"

NOTES = (
    "starter-1 was not trained on Aff-Wild2 nor on any video; its face net knows FER2013's "
    "pictures",
    "VA are what raters say of such expressions; the interval is where 90 % of such faces lie",
    "AU are proxies from blendshapes; AU_p are scores and no probabilities, intensities are not "
    "FACS' A to E; AU15, AU23 and AU24 are barely above chance, AU7 and AU10 weak, AU6 follows "
    "AU12",
)
LISTENS = (
    "its voice net (actors of RAVDESS) is for non-commercial use, CC BY-NC-SA 4.0; "
    "noncommercial=False leaves it out"
)


class Starter1:
    """The predictor ``starter-1``.

    Args:
        frame_model: a name of ``faces.encoders.FRAME_MODELS``.
        voice: False leaves the voice out.

    Raises:
        UnknownNameError: if there is no frame model of that name.
    """

    tasks: tuple[str, ...] = (VA.name, EXPR.name, AU.name)
    smooth: str = "gaussian:0.5"
    judges_pictures: bool = True
    voice_net: str = "starter-1-voice"

    def __init__(self, frame_model: str = FACE_NET, voice: bool = True) -> None:
        if frame_model not in FRAME_MODELS:
            raise UnknownNameError("frame model", frame_model, FRAME_MODELS)
        self._frame_model = encoder_spec(frame_model)
        faces = ("face_pose", frame_model)
        self.needs: tuple[str, ...] = (*faces, VOICE) if voice else faces
        # Of a sound file there are no faces, and a folder may have been made without the voice.
        self.optional: tuple[str, ...] = self.needs if voice else ()
        self.name = "starter-1" if frame_model == FACE_NET else f"starter-1+{frame_model}"
        self.notes: tuple[str, ...] = (*NOTES, LISTENS if voice else "the voice was left out")

    @property
    def fingerprint(self) -> str:
        """See :class:`avaffect.predictors.interface.Predictor`; nets count with the features."""
        return fingerprint([self.name, figures_fingerprint()])

    def require_settings(self, configuration: Mapping[str, Any]) -> None:
        """Any settings will do."""

    def predict(self, subject: SubjectFeatures, tasks: Sequence[str]) -> Prediction:
        """See :class:`avaffect.predictors.interface.Predictor`."""
        require_seen(self, subject, ("face_pose", self._frame_model.name))
        times = np.asarray(subject.times)
        pose = read_pose(subject)
        face_net = read_net(subject, self._frame_model.name, self._frame_model.size)
        active = active_units(pose, times)
        shift = self._resting_shift(face_net, active, seconds_each(times))

        def face(rows: slice) -> Estimate:
            return self._face(face_net[rows], shift, active[rows])

        expr, va, interval, heard = join(
            subject, pose, face, fusion.weights("starter1"), listens=VOICE in self.needs
        )
        return prediction_of(
            subject,
            self.name,
            va=va if VA.name in tasks else None,
            va_interval=interval if VA.name in tasks and not self._frame_model.gives_va else None,
            expr=expr if EXPR.name in tasks else None,
            au=unit_proxies().presence(active) if AU.name in tasks else None,
            au_intensity=unit_proxies().intensity(active) if AU.name in tasks else None,
            heard=heard,
        )

    def _resting_shift(
        self, face_net: Values, active: Values, seconds: NDArray[np.float64]
    ) -> Values:
        """float32 [7], see ``resting``: for our own face net, whose neutral faces are known."""
        if self._frame_model.name != FACE_NET:
            return np.zeros(7, np.float32)
        return resting_shift(face_net, active, seconds, resting_people())

    def _face(self, face_net: Values, shift: Values, active: Values) -> Estimate:
        if self._frame_model.gives_va:
            # Such a net's errors were never measured here: no interval would be honest.
            unknown = np.full((len(face_net), 2, 2), np.nan, np.float32)
            return Estimate(face_net[:, :8], face_net[:, 8:10], unknown)
        expr = with_units(shifted(face_net, shift), active)
        return Estimate(expr, *va_of_face(expr))
