"""starter-1's action unit proxies: better signals, a robust neutral, a scale from pictures.

The signals are those of ``action_units`` with what other movements explain taken off (a closing
eye or a nod is no AU7, a smile neither AU10 nor AU24). Where resting faces lie, where a unit is
full and from where on it counts as present are quantiles over pictures of resting and expressive
people; ``starter_training/action_units.py`` measures them and writes ``starter1_au.json``.

*No action unit labels were used.* A picture's expression label only says which pictures are of
resting people and which may hold strong examples of a unit. So presence is a score with a
documented rate of false alarms on resting faces; it is not a calibrated probability.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.errors import UsageError
from avaffect.faces.face_pose import LANDMARK_VALUES
from avaffect.labels import ACTION_UNITS
from avaffect.predictors.starter import action_units
from avaffect.predictors.starter.action_units import blendshape
from avaffect.predictors.starter.neutral import Population, neutral_level

Signals = NDArray[np.float32]

FIGURES = Path(__file__).with_name("starter1_au.json")
# Presence of a unit that is exactly at the subject's neutral level.
RESTING_PRESENCE = 0.05


@dataclass(frozen=True, slots=True)
class UnitProxy:
    """How a unit is read and what is wrong with that.

    Attributes:
        name: e.g. ``AU12``.
        muscle: what FACS calls the action.
        reads: what the signal is made of.
        weakness: what is known to go wrong.
        expression: of which people show the unit often (EMFACS), as FER2013 calls it. Its
            pictures set the upper end of the scale.
    """

    name: str
    muscle: str
    reads: str
    weakness: str
    expression: str


PROXIES = (
    UnitProxy(
        "AU1",
        "inner brow raiser",
        "browInnerUp",
        "rests at very different heights in different people; hardly rises in sad faces, where "
        "the inner brow alone goes up; rarely seen without AU2",
        "surprise",
    ),
    UnitProxy(
        "AU2",
        "outer brow raiser",
        "browOuterUp",
        "rests at very different heights in different people; falls when the head turns",
        "surprise",
    ),
    UnitProxy(
        "AU4",
        "brow lowerer",
        "browDown",
        "low-set or heavy brows count until the subject's neutral is known; brows drawn together "
        "but not down are missed",
        "angry",
    ),
    UnitProxy(
        "AU6",
        "cheek raiser",
        "root of mouthSmile times eyeSquint",
        "the net's own cheek output is dead: never seen without a smile, nor missed in a broad "
        "one with narrow eyes, so it cannot tell a felt smile from a posed one",
        "happy",
    ),
    UnitProxy(
        "AU7",
        "lid tightener",
        "eyeSquint less what eyeBlink and the head's pitch explain",
        "narrow eyes count until the subject's neutral is known; invisible behind a closed lid",
        "angry",
    ),
    UnitProxy(
        "AU10",
        "upper lip raiser",
        "mouthUpperUp less what a smile explains",
        "a real AU10 within a broad smile is taken off with it; shouting raises it",
        "disgust",
    ),
    UnitProxy(
        "AU12", "lip corner puller", "mouthSmile", "bared teeth in pain or fear raise it", "happy"
    ),
    UnitProxy(
        "AU15",
        "lip corner depressor",
        "mouthFrown",
        "small range; slight ones are missed, and bared lower teeth raise it",
        "sad",
    ),
    UnitProxy(
        "AU23",
        "lip tightener",
        "mouthRoll while the lips touch",
        "nearly invisible to the net: mostly it sees lips rolled in; not seen on open lips; "
        "beards and hands before the mouth raise it; p, b and m of speech do for a moment",
        "angry",
    ),
    UnitProxy(
        "AU24",
        "lip pressor",
        "mouthPress less what a smile explains, and AU23's signal",
        "nearly invisible to the net; not to be told from AU23; p, b and m of speech raise it",
        "angry",
    ),
    UnitProxy(
        "AU25",
        "lips part",
        "gap between the lips in the mesh",
        "about lips and not about affect: speech parts them",
        "surprise",
    ),
    UnitProxy(
        "AU26",
        "jaw drop",
        "jawOpen",
        "about the jaw and not about affect: speech drops it; says nothing of AU27",
        "surprise",
    ),
)
_AU7, _AU10, _AU12, _AU23, _AU24, _AU25 = (
    ACTION_UNITS.index(name) for name in ("AU7", "AU10", "AU12", "AU23", "AU24", "AU25")
)


@dataclass(frozen=True, slots=True)
class Explained:
    """How much of a blendshape another movement explains, and when lips touch.

    Attributes:
        squint_by_blink, squint_by_pitch: mean rise of eyeSquint on resting faces with eyeBlink,
            and with each degree of pitch.
        upper_lip_by_smile, press_by_smile: mean rise of mouthUpperUp and mouthPress with
            mouthSmile on resting and happy faces.
        parted: gap between the lips (AU25's signal), above 0, from which on they surely do not
            touch.
    """

    squint_by_blink: float
    squint_by_pitch: float
    upper_lip_by_smile: float
    press_by_smile: float
    parted: float

    def __post_init__(self) -> None:
        if not self.parted > 0:
            raise UsageError("lips are parted from a gap above 0 on")


def pitch(face_pose: Signals) -> Signals:
    """float32 [N], the pitch of the head in degrees, from ``face_pose`` [N, 263]."""
    return face_pose[:, LANDMARK_VALUES + 1] * 90


def signals(face_pose: Signals, explained: Explained) -> Signals:
    """The raw signal of each unit, before the subject's neutral is taken off.

    Args:
        face_pose: float32 [N, 263], see ``faces.face_pose``; NaN rows give NaN.
        explained: what is taken off.

    Returns:
        float32 [N, 12] in the order of :data:`PROXIES`, none below 0.
    """
    raw = action_units.signals(face_pose)
    smile, gap = raw[:, _AU12], raw[:, _AU25]
    blink = blendshape(face_pose, "eyeBlinkLeft", "eyeBlinkRight")
    touching = np.clip(1 - gap / explained.parted, 0, 1)
    lids = explained.squint_by_blink * blink + explained.squint_by_pitch * pitch(face_pose)
    raw[:, _AU7] = np.maximum(raw[:, _AU7] - lids, 0)
    raw[:, _AU10] = np.maximum(raw[:, _AU10] - explained.upper_lip_by_smile * smile, 0)
    raw[:, _AU23] *= touching
    pressed = np.maximum(raw[:, _AU24] - explained.press_by_smile * smile, 0)
    raw[:, _AU24] = pressed * touching + raw[:, _AU23]
    return raw


@dataclass(frozen=True, eq=False, repr=False)
class UnitProxies(ArrayRecord):
    """From face pose vectors to units; all arrays are in the order of :data:`PROXIES`.

    Attributes:
        explained: what other movements explain of the signals.
        population: the signals of resting faces.
        full: float32 [12], the signal of a unit at its strongest (intensity 5).
        threshold: float32 [12] in 0..1, the activation from which on a unit is present.
    """

    explained: Explained
    population: Population
    full: Signals
    threshold: Signals

    def __post_init__(self) -> None:
        if not (self.full > self.population.high).all():
            raise UsageError("a unit's full signal must lie above that of resting faces")
        if not ((self.threshold > 0) & (self.threshold < 1)).all():
            raise UsageError("thresholds must lie between 0 and 1")

    @classmethod
    def from_figures(cls, figures: Mapping[str, Any]) -> UnitProxies:
        """From the content of ``starter1_au.json``."""
        units = [figures["units"][name] for name in ACTION_UNITS]

        def each(key: str) -> Signals:
            return np.array([unit[key] for unit in units], np.float32)

        return cls(
            Explained(**figures["explained"]),
            Population(each("low"), each("middle"), each("high")),
            each("full"),
            each("threshold"),
        )

    def signals(self, face_pose: Signals) -> Signals:
        """float32 [N, 12], see :func:`signals`."""
        return signals(face_pose, self.explained)

    def neutral_level(self, raw: Signals, seconds: NDArray[np.floating]) -> Signals:
        """float32 [12], see :func:`avaffect.predictors.starter.neutral.neutral_level`."""
        return neutral_level(raw, seconds, self.population)

    def activation(self, raw: Signals, level: Signals) -> Signals:
        """float32 [N, 12] in 0..1: how far each signal is from ``level`` [12] to full.

        The way counts as no shorter than half of that from the population's middle: who rests
        near full would otherwise have the net's noise as intensity.
        """
        way = np.maximum(self.full - level, (self.full - self.population.middle) / 2)
        return np.clip((raw - level) / way, 0, 1)

    def presence(self, active: Signals) -> Signals:
        """float32 [N, 12] in 0..1, rising with activation: .05 at rest, .5 at the threshold."""
        steepness = math.log(1 / RESTING_PRESENCE - 1)
        return np.asarray(1 / (1 + np.exp(steepness * (1 - active / self.threshold))), np.float32)

    def intensity(self, active: Signals) -> Signals:
        """float32 [N, 12] in 0..5, linear in the activation (not FACS A-E, which humans code)."""
        return active * np.float32(5)


@cache
def unit_proxies() -> UnitProxies:
    """The packaged proxies."""
    return UnitProxies.from_figures(_figures())


def describe() -> str:
    """A Markdown table for the model card: what each unit is read from, and how well.

    The area under the ROC curve of the signal, pictures of the unit's expression against neutral
    ones, with its 95 % interval; on the test part, then on the validation part of FER2013.
    """
    rows = [
        "| unit | read from | separates (AUC, 95 %): test; validation | false alarms at rest "
        "| weakness |",
        "|---|---|---|---|---|",
    ]
    for proxy in PROXIES:
        parts = [_figures()[part][proxy.name] for part in ("test", "validation")]
        among = "" if parts[0]["among"] == "all" else f", {parts[0]['among']}"
        areas = [
            f"{part['auc']:.2f} ({part['interval'][0]:.2f} to {part['interval'][1]:.2f})"
            for part in parts
        ]
        alarms = [f"{part['false_alarms']:.0%}" for part in parts]
        rows.append(
            f"| {proxy.name} {proxy.muscle} | {proxy.reads} | {proxy.expression} from neutral"
            f"{among}: {'; '.join(areas)} | {'; '.join(alarms)} | {proxy.weakness} |"
        )
    return "\n".join(rows) + "\n"


@cache
def _figures() -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(FIGURES.read_text(encoding="utf-8"))
    return figures
