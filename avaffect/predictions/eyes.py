"""Where the eyes point, and whether they are closed (AU45), from the face pose vector.

Both are the landmark net's: gaze from the iris (``faces.pose``), AU45 from the blendshapes
``eyeBlinkLeft`` and ``eyeBlinkRight``. A look down lowers the lids and counts in part as closing
them. AU45 here is every closing, from lids that are half down on: a blink, and closed eyes too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from avaffect.faces.face_pose import face_pose_names
from avaffect.faces.quality import REGIONS
from avaffect.predictions.hidden import hidden_regions
from avaffect.predictions.prediction import EYES, Prediction
from avaffect.store.subject import SubjectFeatures

FACE_POSE = "face_pose"
# Closed eyes have a mean blendshape of .6 to .8 on the people it was looked at on.
CLOSED = 0.6
# Open ones have .02 to .16; who is measured higher has them half closed.
MOST_OPEN = 0.25
# The part of this way at which the lids of a mesh have come down by half.
_HALF_SHUT = 0.7
_CHUNK = 4096
_NAMES = face_pose_names()
_GAZE = [_NAMES.index(name) for name in EYES[:4]]
_BLINK = [_NAMES.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight")]
_EYES_REGION = REGIONS.index("eyes")


def eyes_of(subject: SubjectFeatures) -> NDArray[np.float32] | None:
    """float32 [N, 6], the columns ``EYES`` of ``prediction``, NaN where the eyes are not seen.

    They are not without a face, and where they are covered or turned away. None without the array
    ``face_pose``.
    """
    if FACE_POSE not in subject.names:
        return None
    found = np.full((subject.frames, len(EYES)), np.nan, np.float32)
    for start in range(0, subject.frames, _CHUNK):
        pose = subject.array(FACE_POSE, start, start + _CHUNK)
        found[start : start + _CHUNK, :4] = pose[:, _GAZE] * 90
        found[start : start + _CHUNK, 5] = pose[:, _BLINK].mean(axis=1)
    found[hidden_regions(subject)[:, _EYES_REGION] | ~np.asarray(subject.present)] = np.nan
    closed = closing(found[:, 5])
    found[:, 4] = np.where(np.isnan(closed), np.nan, closed >= _HALF_SHUT)
    found[:, 5] = closed * 5
    return found


def closing(lids: NDArray[np.floating]) -> NDArray[np.float32]:
    """float32 [N] in 0..1, how far the eyes are closed, from where they rest to closed.

    They rest at the person's median, though at no more than :data:`MOST_OPEN`.

    Args:
        lids: [N] in 0..1, mean of both ``eyeBlink`` blendshapes; NaN where they are not seen.
    """
    known = lids[~np.isnan(lids)]
    rest = min(float(np.median(known)), MOST_OPEN) if known.size else 0.0
    return np.clip((lids - rest) / (CLOSED - rest), 0, 1).astype(np.float32)


def with_eyes(prediction: Prediction, subject: SubjectFeatures) -> Prediction:
    """``prediction`` of ``subject`` with its ``eyes``, where they can be known."""
    found = eyes_of(subject)
    return prediction if found is None else replace(prediction, eyes=found)
