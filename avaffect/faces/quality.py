"""How far a face in a frame can be relied upon: one number of 0..1, from what can be measured.

A product: the landmark net's presence, and for size, turn, sharpness, light and covered parts one
factor each, which is 1 where nothing is wrong. Where each begins to fall was set by hand, so that
sharp, lit faces of 80 pixels and more that look at the camera lose nothing. It is no probability.
What it cannot distinguish: a cartoon or a photograph from a face, and whose face it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import ArrayRecord
from avaffect.faces.align import warp
from avaffect.faces.face import Face
from avaffect.faces.landmarks import ROI_SCALE, roi_from_mesh
from avaffect.faces.visibility import Visibility, grey_around

REGIONS = ("brows", "eyes", "mouth")
# A side turned away by more than this (degrees of yaw) is the net's guess.
PROFILE = 60.0
_SIDE = 64
# From the first value, which keeps its floor, to the second, from which on nothing is wrong.
_SIZE = (20.0, 64.0)
_YAW, _PITCH = (80.0, 30.0), (70.0, 30.0)
_SHARP = (0.04, 0.16)
_CONTRAST = (6.0, 20.0)
_DARK, _BRIGHT = (10.0, 40.0), (252.0, 225.0)
_FLOOR = 0.1
_WEIGHT = np.array([0.2, 0.3, 0.5])  # of the regions: what a face shows is mostly in its mouth


@dataclass(frozen=True, eq=False, repr=False, slots=True)
class Quality(ArrayRecord):
    """What can be seen of a face.

    Attributes:
        confidence: in 0..1, see the module.
        seen: float32 [3] in 0..1, how surely each of :data:`REGIONS` is bare and turned to the
            camera, on the side where it is less so.
    """

    confidence: float
    seen: NDArray[np.float32]


class QualityReader:
    """Judges faces; about a millisecond a face on one CPU core."""

    def __init__(self) -> None:
        self._visibility = Visibility.packaged()

    def __call__(self, image: NDArray[np.uint8], face: Face, pose: NDArray[np.float32]) -> Quality:
        """The quality of ``face`` in ``image`` (uint8 [H, W, 3] RGB).

        Args:
            image: the picture.
            face: a face in it; its ``confidence`` is the landmark net's presence.
            pose: float32 [3], yaw, pitch, roll in degrees.
        """
        # Once for all patches: most of a picture's pixels lie in none.
        grey, mesh = grey_around(image, face.mesh)
        parts = self._visibility(grey, mesh)
        seen = np.array([parts[:2].min(), parts[2:4].min(), parts[4]], np.float32)
        yaw, pitch = abs(float(pose[0])), abs(float(pose[1]))
        if yaw > PROFILE:
            seen[:] = 0
        size = float(max(face.box[2:] - face.box[:2]))
        bare = float(_WEIGHT @ (seen if yaw <= PROFILE else np.ones(3)))
        factors = (
            _ramp(size, _SIZE),
            _ramp(yaw, _YAW),
            _ramp(pitch, _PITCH),
            *_look(_crop(grey, mesh)),
            max(bare, _FLOOR),
        )
        confidence = min(1.0, max(0.0, face.confidence)) * float(np.prod(factors))
        return Quality(confidence, seen)


def _crop(grey: NDArray[np.uint8], mesh: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [_SIDE, _SIDE], the middle of the face, as large as it is in the picture."""
    roi = roi_from_mesh(mesh)
    scale = _SIDE / max(0.7 * roi.size / ROI_SCALE, 1e-3)
    shift = (_SIDE - 1) / 2 - scale * np.array([roi.x, roi.y])
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    return warp(grey, matrix, _SIDE).astype(np.float32)


def _look(grey: NDArray[np.float32]) -> tuple[float, float, float, float]:
    """Factors for sharpness, contrast, and too little and too much light."""
    contrast = float(grey.std())
    detail = float(cv2.Laplacian(grey, cv2.CV_32F).std()) / max(contrast, 1.0)
    light = float(grey.mean())
    return (
        _ramp(detail, _SHARP),
        _ramp(contrast, _CONTRAST),
        _ramp(light, _DARK),
        _ramp(light, _BRIGHT),
    )


def _ramp(value: float, between: tuple[float, float]) -> float:
    """:data:`_FLOOR` at the first of ``between``, 1 at the second, straight in the middle."""
    none, full = between
    part = min(1.0, max(0.0, (value - none) / (full - none)))
    return _FLOOR + (1 - _FLOOR) * part
