"""``starter-2``: what avaffect says without being trained by the user.

* EXPR: a face net's prediction (``starter-2-face``), less what it says of the subject at rest
  (``resting``) as far as the clip shows more than that (``contrast``), and a voice net's, put
  together by ``joining``. *Other* counts less than the net says: it learnt that class from a set
  in which contempt is frequent.
* VA: the face net's, less what it says of the subject at rest, so that the mean valence of each
  expression is that of 25 people; arousal is half what raters say of such expressions
  (``valence_arousal``); and the voice's. The interval held what people say of 90 % of held-out
  pictures (``starter_training/film_intervals.py``).
* AU: the face net, less what it says of the subject at rest, and for most units the proxies from
  blendshapes (``unit_proxies``) with an equal say.

The face net was trained on FER+, RAF-DB and AffectNet, which are for research only. Without it
(``noncommercial=False``) the expression follows from the action units by rules, and the rest from
that. What both are worth stands in ``docs/models/starter-2.md``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.config import fingerprint
from avaffect.errors import FeatureError
from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.predictions.prediction import Prediction
from avaffect.predictors.interface import prediction_of
from avaffect.predictors.starter import fusion
from avaffect.predictors.starter.contrast import (
    FRIENDLY,
    HAPPINESS,
    NEUTRAL,
    calm,
    contrast,
    less_friendly,
)
from avaffect.predictors.starter.expressions import prototype_probabilities
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
from avaffect.predictors.starter.resting import logits_of, rest_offset, resting_shift, shifted
from avaffect.predictors.starter.unit_proxies import unit_proxies
from avaffect.predictors.starter.valence_arousal import DIMENSIONS, va_of_face
from avaffect.store.subject import SubjectFeatures
from avaffect.tasks.registry import AU, EXPR, VA

Values = NDArray[np.float32]

FACE_NET = "starter-2-face"
# What the face net gives: probabilities of the expressions, valence and arousal, of the units.
_EXPRESSIONS, _VALUES, _UNITS = slice(0, 8), slice(8, 10), slice(10, 22)
SIZE = 22
OTHER = EXPRESSIONS.index("Other")
FIGURES = Path(__file__).with_name("starter2.json")
INTERVALS = Path(__file__).with_name("starter2_intervals.json")
# By how much Other's logarithm is less than the net says. Chosen on still pictures and on films of
# the Yale faces, see ``starter_training/film_rules.py``.
OTHER_LESS = 1.0
_SHARES = {"net": 0.0, "both": 0.5}

_UNITS_NOTE = (
    "no labels of action units were used; AU_p are scores and no probabilities, intensities are "
    "not FACS' A to E; AU23 and AU24 mean nothing, AU15 little, AU12 and AU6 follow happiness"
)
# What is to be known with the nets, and without.
WITH_NETS = (
    "starter-2 was not trained on Aff-Wild2 nor on any video; its face net knows the pictures of "
    "FER+, RAF-DB and AffectNet",
    "its valence and arousal follow nets that were trained on AffectNet's, and people's ratings; "
    "the interval held what people say of 90 % of held-out pictures (FER+), measured on no video",
    _UNITS_NOTE,
    "its face net (FER+, RAF-DB, AffectNet) and voice net (RAVDESS, nEMO, CASIA) are for "
    "research and non-commercial use only; noncommercial=False leaves them out",
)
WITHOUT_NETS = (
    "starter-2 was not trained on Aff-Wild2 nor on any video",
    "its valence and arousal follow from the expression by people's ratings; the interval is "
    "where 90 % of faces with such expressions lie",
    _UNITS_NOTE,
    "the nets for research were left out: expressions follow from action units by rules",
)


@dataclass(frozen=True, eq=False, repr=False)
class Rest(ArrayRecord):
    """What the face net says of resting people, and which units are read from it.

    Attributes:
        expression: float64 [8], mean logarithms of the expressions' probabilities.
        units: float64 [12], mean logits of the units.
        values: float64 [2], mean valence and arousal.
        valence_shift: float64 [8], what people's mean valence of each expression is above the
            net's.
        share: float64 [12], the blendshapes' share in each unit, the rest is the net's.
        around: float64 [8, 2, 2], how far the ends of the interval of valence and of arousal lie
            from the value for each expression.
    """

    expression: NDArray[np.float64]
    units: NDArray[np.float64]
    values: NDArray[np.float64]
    valence_shift: NDArray[np.float64]
    share: NDArray[np.float64]
    around: NDArray[np.float64]


@cache
def rest() -> Rest:
    """What ``face_figures.py`` and ``film_intervals.py`` in ``starter_training`` measured."""
    facts = json.loads(FIGURES.read_text(encoding="utf-8"))
    around = json.loads(INTERVALS.read_text(encoding="utf-8"))["around"]
    return Rest(
        np.array([facts["resting"]["log_probability"][name] for name in EXPRESSIONS]),
        np.array([facts["resting"]["unit_logit"][name] for name in ACTION_UNITS]),
        np.array(facts["resting"]["values"]),
        np.array([facts["valence_shift"].get(name, 0.0) for name in EXPRESSIONS]),
        np.array([_SHARES[facts["units"][name]["read_from"]] for name in ACTION_UNITS]),
        np.array([[around[name][kind] for kind in DIMENSIONS] for name in EXPRESSIONS]),
    )


@dataclass(frozen=True, eq=False, repr=False)
class Look(ArrayRecord):
    """What of a subject's look at rest is taken off what the net says of them.

    Attributes:
        shift: float32 [8], what it says of the subject at rest more than of resting people, in
            nats; only what makes Neutral likelier: who smiles at rest is not of any other
            expression for it.
        changes: 0..1, how far the clip shows more than rest (``contrast``).
        friendly: float32 [N], how many nats Happiness gives to Neutral where it does not.
    """

    shift: Values
    changes: float
    friendly: Values

    @classmethod
    def of(cls, shift: Values, active: Values, changes: float) -> Look:
        """From ``resting_shift`` [8], the units' activation [N, 12] and its ``contrast``."""
        neutral = np.arange(len(EXPRESSIONS)) == NEUTRAL
        shift = np.where(neutral, np.minimum(shift, 0), np.maximum(shift, 0)).astype(np.float32)
        nats = min(float(shift[HAPPINESS] - shift[NEUTRAL]), FRIENDLY) * (1 - changes)
        return cls(shift, changes, np.float32(nats) * calm(active))

    def less(self, probabilities: Values, other_less: float = OTHER_LESS) -> Values:
        """float32 [N, 8], the net's ``probabilities`` [N, 8] without it; NaN rows stay NaN."""
        shift = self.shift * np.float32(self.changes)
        shift[OTHER] += np.float32(other_less)
        return shifted(less_friendly(probabilities, self.friendly), shift)

    def of_values(self, offset: Values) -> Values:
        """float32 [N, 2], what of ``rest_offset`` [2] is taken off valence and arousal.

        As far as the clip changes; and of a friendly look its good mood.
        """
        part = np.full((len(self.friendly), 2), self.changes, np.float32)
        if offset[0] > 0:
            part[:, 0] = np.maximum(self.changes, self.friendly / np.float32(FRIENDLY))
        return part * offset


class Starter2:
    """The predictor ``starter-2``.

    Args:
        nets: False leaves out the nets that are for research only.
    """

    tasks: tuple[str, ...] = (VA.name, EXPR.name, AU.name)
    smooth: str = "gaussian:0.5"
    judges_pictures: bool = True
    voice_net: str = "starter-2-voice"
    name: str = "starter-2"

    def __init__(self, nets: bool = True) -> None:
        self._nets = nets
        self._faces = ("face_pose", FACE_NET) if nets else ("face_pose",)
        self.needs: tuple[str, ...] = (*self._faces, VOICE) if nets else self._faces
        # Of a sound file there are no faces, and a folder may have been made without the voice.
        self.optional: tuple[str, ...] = self.needs if nets else ()
        self.notes: tuple[str, ...] = WITH_NETS if nets else WITHOUT_NETS

    @property
    def fingerprint(self) -> str:
        """See :class:`avaffect.predictors.interface.Predictor`."""
        return fingerprint([self.name, self._nets, figures_fingerprint()])

    def require_settings(self, configuration: Mapping[str, Any]) -> None:
        """Raise FeatureError if another voice net listened than its own."""
        heard_by = configuration.get("voice")
        if VOICE in self.needs and heard_by not in (None, self.voice_net):
            raise FeatureError(
                f"'{heard_by}' listened, and {self.name} relies on '{self.voice_net}'",
                "preprocess again",
            )

    def predict(self, subject: SubjectFeatures, tasks: Sequence[str]) -> Prediction:
        """See :class:`avaffect.predictors.interface.Predictor`."""
        require_seen(self, subject, self._faces)
        times = np.asarray(subject.times)
        pose = read_pose(subject)
        active = active_units(pose, times)
        presence, intensity = unit_proxies().presence(active), unit_proxies().intensity(active)
        if self._nets:
            net, seconds, by = read_net(subject, FACE_NET, SIZE), seconds_each(times), rest()
            shift = resting_shift(net[:, _EXPRESSIONS], active, seconds, by.expression)
            look = Look.of(shift, active, contrast(active, seconds))
            expressions = look.less(net[:, _EXPRESSIONS])
            offset = rest_offset(net[:, _VALUES], active, seconds, by.values)
            values = net[:, _VALUES] - look.of_values(offset)
            presence = _presence(net[:, _UNITS], presence, active, seconds, by, look.changes)
            intensity = np.where(by.share > 0, intensity, presence * np.float32(5))

        def face(rows: slice) -> Estimate:
            if not self._nets:
                expr = prototype_probabilities(active[rows])
                return Estimate(expr, *va_of_face(expr))
            return Estimate(expressions[rows], *with_people(values[rows], expressions[rows], by))

        expr, va, interval, heard = join(
            subject,
            pose,
            face,
            fusion.weights("starter2"),
            listens=self._nets,
            knows_other=self._nets,
        )
        return prediction_of(
            subject,
            self.name,
            va=va if VA.name in tasks else None,
            va_interval=interval if VA.name in tasks else None,
            expr=expr if EXPR.name in tasks else None,
            au=presence if AU.name in tasks else None,
            au_intensity=intensity if AU.name in tasks else None,
            heard=heard,
        )


def with_people(values: Values, expr: Values, by: Rest) -> tuple[Values, Values]:
    """Valence and arousal [n, 2] and their interval [n, 2, 2], -1..1.

    Args:
        values: [n, 2], the net's.
        expr: [n, 8], probabilities of the expressions.
        by: the figures.
    """
    own, people = values.copy(), va_of_face(expr)[0]
    own[:, 0] += expr @ by.valence_shift
    va = np.clip(own, -1, 1)
    va[:, 1] = (va[:, 1] + people[:, 1]) / 2
    interval = np.clip(va[..., None] + np.einsum("nk,kde->nde", expr, by.around), -1, 1)
    return va.astype(np.float32), interval.astype(np.float32)


def _presence(
    net: Values,
    proxies: Values,
    active: Values,
    seconds: NDArray[np.float64],
    by: Rest,
    changes: float,
) -> Values:
    """float32 [N, 12], presence of units by the net over the subject's rest, and the proxies."""
    logits = logits_of(net)
    logits -= changes * rest_offset(logits, active, seconds, by.units)
    mixed = (1 - by.share) * logits + by.share * logits_of(proxies)
    return (1 / (1 + np.exp(-mixed))).astype(np.float32)
