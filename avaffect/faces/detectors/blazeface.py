"""BlazeFace, the quick face detector of MediaPipe.

Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", CVPR
Workshop on Computer Vision for AR and VR, 2019. Anchors and decoding follow the settings that
MediaPipe publishes for these nets (modules/face_detection).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.faces.detectors.boxes import detections, groups
from avaffect.faces.face import Detection

SUPPRESSION = 0.3
# Mouth width over the distance between the eyes in the ArcFace template.
MOUTH_WIDTH = 0.83

Net = Callable[..., tuple[NDArray[np.float32], ...]]


@dataclass(frozen=True)
class Variant:
    """One of the BlazeFace nets.

    Attributes:
        model: name in ``models.zoo``.
        size: side of the square input in pixels.
        grids: (stride in pixels, anchors a cell) of each grid of anchors, in the net's order.
    """

    model: str
    size: int
    grids: tuple[tuple[int, int], ...]


FULL = Variant("blazeface-full", 192, ((4, 1),))
BACK = Variant("blazeface-back", 256, ((16, 2), (32, 6)))


def anchor_centres(variant: Variant) -> NDArray[np.float32]:
    """The anchors' centres, float32 [N, 2], x and y in pixels of the net's input."""
    centres = []
    for stride, repeats in variant.grids:
        ticks = (np.arange(variant.size // stride, dtype=np.float32) + 0.5) * stride
        x, y = np.meshgrid(ticks, ticks)
        centres.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), repeats, axis=0))
    return np.concatenate(centres)


def letterbox(
    image: NDArray[np.uint8], size: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32]]:
    """Fit a picture into the middle of a black square, keeping its aspect ratio.

    Args:
        image: uint8 [H, W, 3].
        size: side of the square in pixels.

    Returns:
        The square uint8 [size, size, 3]; scale and offset, float32 [2] each (x, y), such that
        ``square point = picture point * scale + offset``.
    """
    height, width = image.shape[:2]
    ratio = size / max(height, width)
    inner_width = max(1, round(width * ratio))
    inner_height = max(1, round(height * ratio))
    left, top = (size - inner_width) // 2, (size - inner_height) // 2
    square = np.zeros((size, size, 3), np.uint8)
    # Bilinear, as in MediaPipe: with area averaging the nets find no more faces.
    square[top : top + inner_height, left : left + inner_width] = cv2.resize(
        image, (inner_width, inner_height), interpolation=cv2.INTER_LINEAR
    )
    scale = np.array([inner_width / width, inner_height / height], np.float32)
    return square, scale, np.array([left, top], np.float32)


def five_points(keypoints: NDArray[np.float32]) -> NDArray[np.float32]:
    """Our five points from BlazeFace's six.

    BlazeFace gives both eyes, nose tip, the middle of the mouth and both ears. The mouth's corners
    are *estimated*: half an average mouth's width to each side of its middle, along the line
    through the eyes. They shrink with the eyes' distance when the head turns, but do not know
    whether the mouth smiles.

    Args:
        keypoints: float32 [N, 6, 2].

    Returns:
        float32 [N, 5, 2], ordered as in :class:`avaffect.faces.face.Detection`.
    """
    eyes_and_nose, mouth = keypoints[:, :3], keypoints[:, 3:4]
    half = (keypoints[:, 1:2] - keypoints[:, 0:1]) * (MOUTH_WIDTH / 2)
    return np.concatenate([eyes_and_nose, mouth - half, mouth + half], axis=1)


class BlazeFace:
    """Finds faces in a picture.

    Args:
        net: takes float32 [1, size, size, 3] in -1..1 and gives boxes [1, N, 16] and raw scores
            [1, N, 1], in any order.
        variant: which net it is.
        min_score: faces below this score (0..1) are dropped.
    """

    def __init__(self, net: Net, variant: Variant, min_score: float) -> None:
        self.name = variant.model
        self.on_gpu = bool(getattr(net, "on_gpu", False))
        self._net = net
        self._size = variant.size
        self._anchors = anchor_centres(variant)
        self._min_raw = float(np.log(min_score / (1 - min_score)))

    def __call__(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces in ``image`` (uint8 [H, W, 3] RGB), largest first."""
        square, scale, offset = letterbox(image, self._size)
        inputs = square[None].astype(np.float32) / 127.5 - 1
        outputs = sorted(self._net(inputs), key=lambda array: array.shape[-1])
        raw_scores, raw_boxes = outputs[0][0, :, 0], outputs[1][0]

        keep = np.flatnonzero(raw_scores >= self._min_raw)
        scores = 1 / (1 + np.exp(-raw_scores[keep]))
        # Eight pairs a row: centre, size, six key points; all but the size relative to the anchor.
        pairs = raw_boxes[keep].reshape(-1, 8, 2)
        centres = pairs[:, 0] + self._anchors[keep]
        halves = pairs[:, 1] / 2
        points = five_points(pairs[:, 2:] + self._anchors[keep, None])
        boxes = np.concatenate([centres - halves, centres + halves], axis=1)

        # Neighbouring anchors see the same face: their mean, weighted by score, is steadier from
        # frame to frame than the best one alone.
        found = groups(boxes, scores, SUPPRESSION)
        weights = np.zeros((len(found), len(keep)), np.float32)
        for row, group in enumerate(found):
            weights[row, group] = scores[group] / scores[group].sum()
        corners = np.tensordot(weights, boxes.reshape(-1, 2, 2), axes=1)
        five = np.tensordot(weights, points, axes=1)
        leaders = [group[0] for group in found]
        return detections(
            ((corners - offset) / scale).reshape(-1, 4), (five - offset) / scale, scores[leaders]
        )


def build_blazeface(variant: Variant, min_score: float, device: str = "cpu") -> BlazeFace:
    """A detector with the checked weights of ``variant``."""
    from avaffect.models.content import model_content
    from avaffect.models.nets import tflite_net

    return BlazeFace(tflite_net(model_content(variant.model), device), variant, min_score)
