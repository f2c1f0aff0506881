"""What a face looks like: a small vector to distinguish people of one video.

Not face recognition: it compares people within one video, over seconds to minutes, in the same
clothes and light. Four parts that weigh the same: the aligned face as a small grey picture, and
the colours of skin, hair and clothes.

Measured on 8 people in 11 tracks of real and sample clips (two men before one backdrop, a walking
crowd, faces that talk and smile): different people 0.09 in the median, 0.52 (95 %), 0.61 (99 %),
0.66 at most (the two men); the same person within a track 0.92 in the median, 0.71 (5 %), 0.67
(1 %), 0.61 at least (looking down and half covered in the crowd); with 20 % more or less light
0.65 (5 %). The threshold at which both errors are alike is 0.64, at 0.3 %.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.faces.align import CropSpec, align
from avaffect.faces.face import Face

# A loose crop: the face in the upper middle, with hair, neck and shoulders around it.
_LOOSE = CropSpec(
    size=96,
    template=np.array(
        [[0.40, 0.36], [0.60, 0.36], [0.50, 0.46], [0.42, 0.57], [0.58, 0.57]], np.float32
    ),
    name="appearance",
)
_FACE = np.s_[7:67, 18:78]
_SKIN, _HAIR, _CLOTHES = np.s_[26:66, 28:68], np.s_[:24, 20:76], np.s_[80:, :]
_GREY_SIDE = 12
_BINS = (4, 8, 8)
# Lightness, and the part of Lab's a and b (128 is grey) where skin, hair and most clothes lie.
_RANGES = (0, 256, 96, 176, 96, 176)
SIZE = _GREY_SIDE**2 + 3 * int(np.prod(_BINS))


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values / max(float(np.linalg.norm(values)), 1e-6)


def _colours(lab: NDArray[np.uint8]) -> NDArray[np.float32]:
    # Black is mostly what lies outside the picture.
    seen = (lab[..., 0] > 0).astype(np.uint8)
    histogram = cv2.calcHist([np.ascontiguousarray(lab)], [0, 1, 2], seen, _BINS, _RANGES)
    # The cosine of roots is Bhattacharyya's coefficient.
    return _unit(np.sqrt(histogram.reshape(-1)))


def describe(image: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
    """float32 [SIZE], of unit length: the look of ``face`` in ``image`` (uint8 [H, W, 3] RGB).

    Raises:
        UsageError: the face's five points coincide or are not finite.
    """
    crop = align(image, face.points, _LOOSE)
    lab = np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2LAB), np.uint8)
    grey = cv2.resize(
        np.ascontiguousarray(lab[_FACE][..., 0]),
        (_GREY_SIDE, _GREY_SIDE),
        interpolation=cv2.INTER_AREA,
    ).astype(np.float32)
    parts = [_unit((grey - grey.mean()).reshape(-1))]
    parts += [_colours(lab[region]) for region in (_SKIN, _HAIR, _CLOTHES)]
    # A part outside the picture is zero; the others then count for more.
    return _unit(np.concatenate(parts)).astype(np.float32)


def similarity(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Cosine of two descriptions, -1..1; see above for what to expect."""
    return float(first @ second)
