"""How the built-in models put face and voice together, frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avaffect.labels import EXPRESSIONS
from avaffect.predictors.interface import chunks
from avaffect.predictors.starter import fusion
from avaffect.predictors.starter.expressions import with_other
from avaffect.predictors.starter.reading import VOICE, Pose, face_trust
from avaffect.predictors.starter.speaking import lips_move
from avaffect.predictors.starter.valence_arousal import va_of_face
from avaffect.store.subject import SubjectFeatures

Values = NDArray[np.float32]


class Estimate(NamedTuple):
    """Expressions [n, 8], valence and arousal [n, 2] and their interval [n, 2, 2]; NaN: none."""

    expr: Values
    va: Values
    interval: Values


class Joined(NamedTuple):
    """An :class:`Estimate` of all frames, and bool [N] where the voice had a part in it."""

    expr: Values
    va: Values
    interval: Values
    heard: NDArray[np.bool_]


def join(
    subject: SubjectFeatures,
    pose: Pose,
    face: Callable[[slice], Estimate],
    by: fusion.Weights,
    *,
    listens: bool,
    knows_other: bool = False,
) -> Joined:
    """Face and voice of all frames, pooled by ``fusion`` where the lips move.

    Args:
        subject: whose voice is read.
        pose: of its face.
        face: what the face says in some rows.
        by: how much face and voice count.
        listens: False leaves the voice out.
        knows_other: whether the face net knows the class *Other*; if not, what both are unsure
            of is that.
    """
    frames = subject.frames
    expr = np.full((frames, len(EXPRESSIONS)), np.nan, np.float32)
    va = np.full((frames, 2), np.nan, np.float32)
    interval = np.full((frames, 2, 2), np.nan, np.float32)
    heard = np.zeros(frames, bool)
    trust = fusion.Trust(
        face_trust(pose, np.asarray(subject.presence)),
        lips_move(pose.gap, np.asarray(subject.times)),
    )
    for rows in chunks(frames):
        seen, voice = face(rows), _voice(subject, rows, by, listens)
        kept = fusion.Trust(trust.face[rows], trust.voice[rows])
        pooled = fusion.pool(seen.expr, voice.expr, kept, by)
        expr[rows] = pooled if knows_other else with_other(pooled)
        va[rows] = fusion.blend(seen.va, voice.va, kept, by)
        interval[rows] = fusion.blend(seen.interval, voice.interval, kept, by)
        heeded = (kept.voice > 0) | np.isnan(seen.expr[:, 0])
        heard[rows] = heeded & ~np.isnan(voice.expr[:, 0])
    return Joined(expr, va, interval, heard)


def _voice(subject: SubjectFeatures, rows: slice, by: fusion.Weights, listens: bool) -> Estimate:
    expr = np.full((rows.stop - rows.start, len(EXPRESSIONS)), np.nan, np.float32)
    if listens and VOICE in subject.names:
        said = np.asarray(subject.array(VOICE, rows.start, rows.stop)[:, :8], np.float32)
        expr = fusion.softened(said, by)
    return Estimate(expr, *va_of_face(expr))
