"""What the face net of starter-2 learns of action units: two machines' opinions, people's rates.

No picture here has unit labels. Blendshapes (``predictors.starter.unit_proxies``) and OpenFace's
linear models (``openface_units.py``) each see some units better than the other. Their scores are
put together, and a unit counts as there in as many pictures as people coded it in: 4,549 wild
faces of six expressions (RAF-AU), each expression counted alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from face_points import Points
from face_sets import Labels
from numpy.typing import NDArray

from avaffect.labels import ACTION_UNITS, EXPRESSIONS
from avaffect.predictors.starter.neutral import frontality
from avaffect.predictors.starter.unit_proxies import unit_proxies

Floats = NDArray[np.float32]

# Units are read where the mesh is this sure and the head is turned less than about 30 degrees.
SURE, FRONTAL = 0.9, 0.5
# How often people coded a unit in faces that most raters gave an expression, in this order.
CODED_IN = ("Surprise", "Fear", "Disgust", "Happiness", "Sadness", "Anger")
CODED = {
    "AU1": (0.38, 0.39, 0.13, 0.27, 0.22, 0.10),
    "AU2": (0.33, 0.28, 0.08, 0.24, 0.07, 0.10),
    "AU4": (0.19, 0.33, 0.52, 0.19, 0.56, 0.52),
    "AU6": (0.04, 0.09, 0.10, 0.12, 0.10, 0.13),
    "AU7": (0.03, 0.05, 0.10, 0.07, 0.08, 0.12),
    "AU10": (0.17, 0.29, 0.38, 0.21, 0.26, 0.45),
    "AU12": (0.33, 0.38, 0.14, 0.53, 0.18, 0.20),
    "AU15": (0.03, 0.04, 0.09, 0.04, 0.13, 0.04),
    "AU23": (0.02, 0.03, 0.03, 0.02, 0.03, 0.05),
    "AU24": (0.01, 0.02, 0.08, 0.03, 0.07, 0.07),
    "AU25": (0.81, 0.81, 0.42, 0.72, 0.44, 0.59),
    "AU26": (0.38, 0.27, 0.15, 0.31, 0.18, 0.17),
}
# OpenFace's share in a unit's score, the rest is the blendshapes'. By how well each tells the
# unit's expression from a neutral face in 240 of AffectNet's training pictures (AUC OpenFace,
# blendshapes): AU1 .71, .65; AU2 .75, .55; AU4 .67, .73 (both .74); AU6 .89, .98; AU7 .73, .73
# (both .77); AU10 .84, .62; AU12 .97, .98; AU15 .62, .44; AU25 .78, .71; AU26 .72, .71.
OPENFACE_SHARE = {
    "AU1": 0.7,
    "AU2": 0.8,
    "AU4": 0.5,
    "AU6": 0.0,
    "AU7": 0.5,
    "AU10": 0.9,
    "AU12": 0.5,
    "AU15": 0.8,
    "AU23": 0.5,
    "AU24": 0.0,
    "AU25": 0.6,
    "AU26": 0.5,
}
# A smile raises AU10's score without the unit: so much of AU12's, where that is above the mean, is
# taken off. Then AU10 is there in .23 of AffectNet's happy training faces (people .21) instead of
# .45, and tells disgust from neutral by .80 instead of .81.
SMILE_IN_AU10 = 0.4
# A score so many standard deviations above a unit's threshold is there with .73.
SOFTNESS = 0.3
_AU10, _AU12 = ACTION_UNITS.index("AU10"), ACTION_UNITS.index("AU12")


@dataclass(frozen=True)
class UnitScores:
    """Scores of ``N`` pictures, NaN where a unit cannot be read: blendshapes' and OpenFace's.

    Attributes:
        blendshapes: float32 [N, 12], activation over the population's resting face, 0..1.
        openface: float32 [N, 12], decisions of linear models; NaN also for units without one.
    """

    blendshapes: Floats
    openface: Floats

    def opinions(self, labels: Labels) -> Floats:
        """float32 [N, 12] in 0..1, how likely each unit is there; NaN where it cannot be read."""
        return at_peoples_rates(self._together(), labels)

    def _together(self) -> Floats:
        mine, theirs = _standard(self.blendshapes), _standard(self.openface)
        share = np.array([OPENFACE_SHARE[name] for name in ACTION_UNITS], np.float32)
        known = np.isfinite(theirs)
        both = np.where(known, share * np.nan_to_num(theirs) + (1 - share) * mine, mine)
        both[:, _AU10] -= SMILE_IN_AU10 * np.maximum(both[:, _AU12], 0)
        return both


def read_units(found: Points, openface: Path) -> UnitScores:
    """What both say of a prepared set; OpenFace's file may not be there."""
    blendshapes = np.full((len(found.pose), len(ACTION_UNITS)), np.nan, np.float32)
    theirs = blendshapes.copy()
    rows = np.flatnonzero((found.sure > SURE) & np.isfinite(found.pose).all(axis=1))
    rows = rows[frontality(found.pose[rows]) > FRONTAL]
    if len(rows):
        proxies = unit_proxies()
        raw = proxies.signals(found.pose[rows])
        blendshapes[rows] = proxies.activation(raw, proxies.population.middle)
    if openface.exists():
        with np.load(openface, allow_pickle=False) as file:
            names, said = file["names"].tolist(), file["said"]
        for at, name in enumerate(ACTION_UNITS):
            if name in names:
                theirs[rows, at] = said[rows, names.index(name)]
    return UnitScores(blendshapes, theirs)


def at_peoples_rates(scores: Floats, labels: Labels) -> Floats:
    """[N, 12] in 0..1, so that over the expressions a unit is there as often as people coded it.

    ``scores`` [N, 12] rise with the unit. The training pictures with a label set the thresholds.
    """
    codes = np.array([EXPRESSIONS.index(name) for name in CODED_IN])
    found = np.full_like(scores, np.nan)
    for at, name in enumerate(ACTION_UNITS):
        score = scores[:, at]
        known = np.isfinite(score) & (labels.split == "train") & np.isin(labels.label, codes)
        if not known.any():
            continue
        order = np.flatnonzero(known)[np.argsort(score[known], kind="stable")]
        counts = np.bincount(labels.label[known], minlength=len(EXPRESSIONS))
        weight = 1 / counts[labels.label[order]]
        below = (np.cumsum(weight) - weight / 2) / weight.sum()
        threshold = np.interp(1 - np.mean(CODED[name]), below, score[order])
        steep = SOFTNESS * max(float(np.nanstd(score)), 1e-6)
        found[:, at] = 1 / (1 + np.exp(np.clip((threshold - score) / steep, -30, 30)))
    return found


def _standard(scores: Floats) -> Floats:
    """Less their mean, over their spread; a column that is all NaN stays so."""
    known = np.isfinite(scores)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, scores, 0).sum(axis=0) / count
    spread = np.sqrt(np.where(known, (scores - mean) ** 2, 0).sum(axis=0) / count)
    return ((scores - mean) / np.maximum(spread, 1e-6)).astype(np.float32)
