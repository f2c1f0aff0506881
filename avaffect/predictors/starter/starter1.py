"""``starter-1``: what avaffect says without being trained by the user.

* EXPR: a face net's opinion (``faces.encoders``: ``starter-1-face``, less what it says of the
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
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from avaffect.config import fingerprint
from avaffect.errors import UnknownNameError
from avaffect.faces.encoders import FRAME_MODELS, encoder_spec
from avaffect.faces.face_pose import LANDMARK_VALUES
from avaffect.predictions.prediction import ACTION_UNITS, EXPRESSIONS, Prediction
from avaffect.predictors.interface import chunks, prediction_of, require_arrays
from avaffect.predictors.starter import fusion
from avaffect.predictors.starter.expressions import with_other, with_units
from avaffect.predictors.starter.figures import figures_fingerprint
from avaffect.predictors.starter.neutral import frontality, seconds_each
from avaffect.predictors.starter.resting import resting_shift, shifted
from avaffect.predictors.starter.speaking import lip_gap, lips_move
from avaffect.predictors.starter.unit_proxies import unit_proxies
from avaffect.predictors.starter.valence_arousal import va_of_face
from avaffect.store.subject import SubjectFeatures
from avaffect.tasks.registry import AU, EXPR, VA

Values = NDArray[np.float32]

FACE_NET = "starter-1-face"
VOICE = "voice"
# The neutral face is estimated from at most about this many frames, evenly spread.
NEUTRAL_FRAMES = 20_000
# A face turned this far (degrees of yaw) keeps its say beside a voice; that far, it has none.
_TURNED = (40.0, 75.0)

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


class _Pose(NamedTuple):
    """What is needed of the face pose of N frames; NaN where there is no face.

    ``signals`` [N, 12] of the action units, ``frontal`` [N] in 0..1 (0 without a face), ``gap``
    [N] between the lips, ``yaw`` [N] in degrees.
    """

    signals: Values
    frontal: Values
    gap: Values
    yaw: Values


class _Opinion(NamedTuple):
    """Expressions [n, 8], valence and arousal [n, 2] and their interval [n, 2, 2]; NaN: none."""

    expr: Values
    va: Values
    interval: Values


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
        self._require(subject)
        frames = subject.frames
        expr = np.full((frames, len(EXPRESSIONS)), np.nan, np.float32)
        va = np.full((frames, 2), np.nan, np.float32)
        interval = np.full((frames, 2, 2), np.nan, np.float32)
        heard = np.zeros(frames, bool)
        pose, opinion = self._pose(subject), self._read(subject)
        active = _active(pose, np.asarray(subject.times))
        shift = self._resting_shift(opinion, active, subject)
        trust = fusion.Trust(
            _trust(pose, np.asarray(subject.presence)),
            lips_move(pose.gap, np.asarray(subject.times)),
        )
        by = fusion.weights()
        for rows in chunks(frames):
            face = self._face(opinion[rows], shift, active[rows])
            voice = self._voice(subject, rows)
            kept = fusion.Trust(trust.face[rows], trust.voice[rows])
            expr[rows] = with_other(fusion.pool(face.expr, voice.expr, kept, by))
            va[rows] = fusion.blend(face.va, voice.va, kept, by)
            interval[rows] = fusion.blend(face.interval, voice.interval, kept, by)
            heeded = (kept.voice > 0) | np.isnan(face.expr[:, 0])
            heard[rows] = heeded & ~np.isnan(voice.expr[:, 0])
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

    def _require(self, subject: SubjectFeatures) -> None:
        """Raise FeatureError where an array is missing and not for want of a picture or sound."""
        listens = VOICE in self.needs and VOICE in subject.names
        only_sound = listens and "face_pose" not in subject.names
        require_arrays(self, subject, () if only_sound else ("face_pose", self._frame_model.name))

    def _pose(self, subject: SubjectFeatures) -> _Pose:
        frames = subject.frames
        signals = np.full((frames, len(ACTION_UNITS)), np.nan, np.float32)
        frontal = np.zeros(frames, np.float32)
        gap, yaw = (np.full(frames, np.nan, np.float32) for _ in range(2))
        if "face_pose" in subject.names:
            for rows in chunks(frames):
                face_pose = subject.array("face_pose", rows.start, rows.stop)
                signals[rows] = unit_proxies().signals(face_pose)
                frontal[rows], gap[rows] = frontality(face_pose), lip_gap(face_pose)
                yaw[rows] = face_pose[:, LANDMARK_VALUES] * 90
            absent = ~np.asarray(subject.present)
            signals[absent], gap[absent] = np.nan, np.nan
        return _Pose(signals, frontal, gap, yaw)

    def _read(self, subject: SubjectFeatures) -> Values:
        """float32 [N, 8 or 10], what the frame model says; NaN without a face."""
        name = self._frame_model.name
        opinion = np.full((subject.frames, self._frame_model.size), np.nan, np.float32)
        if name in subject.names:
            for rows in chunks(subject.frames):
                opinion[rows] = subject.array(name, rows.start, rows.stop)
            opinion[~np.asarray(subject.present)] = np.nan
        return opinion

    def _resting_shift(self, opinion: Values, active: Values, subject: SubjectFeatures) -> Values:
        """float32 [7], see ``resting``: for our own face net, whose neutral faces are known."""
        if self._frame_model.name != FACE_NET:
            return np.zeros(7, np.float32)
        return resting_shift(opinion, active, seconds_each(np.asarray(subject.times)))

    def _face(self, opinion: Values, shift: Values, active: Values) -> _Opinion:
        if self._frame_model.gives_va:
            # Such a net's errors were never measured here: no interval would be honest.
            unknown = np.full((len(opinion), 2, 2), np.nan, np.float32)
            return _Opinion(opinion[:, :8], opinion[:, 8:10], unknown)
        opinion = with_units(shifted(opinion, shift), active)
        return _Opinion(opinion, *va_of_face(opinion))

    def _voice(self, subject: SubjectFeatures, rows: slice) -> _Opinion:
        opinion = np.full((rows.stop - rows.start, len(EXPRESSIONS)), np.nan, np.float32)
        if VOICE in self.needs and VOICE in subject.names:
            opinion[:] = subject.array(VOICE, rows.start, rows.stop)[:, :8]
        return _Opinion(opinion, *va_of_face(opinion))


def _active(pose: _Pose, times: NDArray[np.float64]) -> Values:
    """float32 [N, 12], activation of each action unit in 0..1, NaN without a face."""
    proxies = unit_proxies()
    some = slice(None, None, -(-len(times) // NEUTRAL_FRAMES) or 1)
    weight = seconds_each(times[some]) * pose.frontal[some]
    return proxies.activation(pose.signals, proxies.neutral_level(pose.signals[some], weight))


def _trust(pose: _Pose, presence: Values) -> Values:
    """float32 [N] in 0..1: how much of its say a face keeps beside a voice."""
    kept, lost = _TURNED
    trust = np.clip((lost - np.abs(pose.yaw)) / (lost - kept), 0, 1) * presence
    return np.nan_to_num(trust).astype(np.float32)
