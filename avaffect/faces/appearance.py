"""What a face looks like: a small vector to tell people of one video apart.

Not face recognition: it compares people within one video, over seconds to minutes, in the same
clothes and light. Three parts, each of unit length: the aligned face as a small grey picture, the
colours of the face and of what surrounds it (hair, clothes), and the proportions of the head.
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
# Points that keep their distances while the face moves: eye corners, nose bridge and wings,
# temples, cheekbones, jaw angles.
_RIGID = (33, 133, 362, 263, 168, 6, 4, 98, 327, 127, 356, 234, 454, 132, 361)
_COLOUR_BINS = 12
WEIGHTS = (0.45, 0.35, 0.2)
GREY, COLOUR, SHAPE = 16 * 16, 2 * _COLOUR_BINS * _COLOUR_BINS, len(_RIGID) * 2
SIZE = GREY + COLOUR + SHAPE


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values / max(float(np.linalg.norm(values)), 1e-6)


def describe(image: NDArray[np.uint8], face: Face) -> NDArray[np.float32]:
    """float32 [SIZE], of unit length: the look of ``face`` in ``image`` (uint8 [H, W, 3] RGB)."""
    loose = align(image, face.points, _LOOSE)
    lab = cv2.cvtColor(loose, cv2.COLOR_RGB2LAB)
    inner = lab[24:72, 28:68]
    grey = cv2.resize(inner[..., 0], (16, 16), interpolation=cv2.INTER_AREA).astype(np.float32)
    grey = _unit((grey - grey.mean()).reshape(-1))
    colours = []
    for part in (inner, np.concatenate([lab[:20], lab[76:]])):
        histogram = cv2.calcHist(
            [np.ascontiguousarray(part)], [1, 2], None, [_COLOUR_BINS] * 2, [96, 176, 96, 176]
        )
        colours.append(np.sqrt(cv2.GaussianBlur(histogram, (3, 3), 0)).reshape(-1))
    colour = _unit(np.concatenate([_unit(part) for part in colours]))
    rigid = face.mesh[list(_RIGID)]
    # Distances are halved by a turn to the side; depth from the mesh makes up for that.
    centred = rigid - rigid.mean(0)
    distances = np.linalg.norm(centred, axis=1)
    heights = np.linalg.norm(rigid - face.mesh[152], axis=1)
    shape = np.concatenate([distances, heights])
    shape = shape / max(float(shape.mean()), 1e-6) - 1.0
    parts = (grey, colour, _unit(shape.astype(np.float32)))
    return np.concatenate(
        [np.sqrt(weight) * part for weight, part in zip(WEIGHTS, parts, strict=True)]
    ).astype(np.float32)


def similarity(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Cosine of two descriptions, -1..1; the same person is mostly above 0.8."""
    return float(first @ second)
