"""Held faces that are looked at after all: those of which two expressions are nearly as likely.

What lies on a line differs a little from what nets would see. That decides nothing, but between
two expressions of nearly the same probability.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from avaffect.faces.detectors.boxes import iou
from avaffect.faces.encoders import Encoder
from avaffect.faces.face import Face
from avaffect.faces.landmarks import roi_from_mesh
from avaffect.faces.track import FindLandmarks
from avaffect.labels import EXPRESSIONS
from avaffect.media.frames import Frame

# Presence, and overlap with where the face was held, of a face that is the same.
_SURE, _SAME = 0.5, 0.5


@dataclass(frozen=True)
class Doubt:
    """Says which held faces to look at after all, and looks at them.

    Attributes:
        near: see :class:`avaffect.faces.holding.Rule`.
        names: the arrays that begin with the probabilities of expressions.
        landmarks: the landmark net; for any thread.
        refine: puts a face's points where the aligner wants them; None leaves them.
    """

    near: float
    names: tuple[str, ...]
    landmarks: FindLandmarks
    refine: Callable[[Frame, Face], Face] | None = None

    def __call__(self, values: Any) -> bool:
        """Whether two expressions are nearly as likely by ``values``: vectors by array."""
        for name in self.names:
            second, first = np.sort(values[name][: len(EXPRESSIONS)])[-2:].tolist()
            if first - second < self.near:
                return True
        return False

    def look(self, frame: Frame, held: Face) -> Face | None:
        """The face in ``frame`` that was held there; None if there is none at its place."""
        face = self.landmarks(frame.image, roi_from_mesh(held.mesh))
        if face is None or face.confidence < _SURE or iou(face.box[None], held.box[None]) < _SAME:
            return None
        return face if self.refine is None else self.refine(frame, face)


def expression_arrays(encoders: Sequence[Encoder]) -> tuple[str, ...]:
    """The names of those that give the probabilities of expressions."""
    return tuple(each.spec.name for each in encoders if each.spec.gives_expressions)
