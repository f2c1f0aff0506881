"""MTCNN, a cascade of three small nets: slow, but with well-placed points.

Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional
Networks", IEEE Signal Processing Letters, 2016. The weights are facenet-pytorch's.

Boxes are left, top, right, bottom with the right and bottom edges exclusive throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.faces.detectors.boxes import best, cover, detections
from avaffect.faces.face import Detection

if TYPE_CHECKING:
    from torch import Tensor

NAME = "mtcnn"
# The smallest face looked for, in pixels, and the steps of the pyramid up from it.
MIN_FACE = 20
PYRAMID_STEP = 0.709
# The proposal net sees windows of this side, a stride apart.
WINDOW = 12
STRIDE = 2
# What passes the first two nets (the paper's values).
PROPOSAL_SCORE = 0.6
REFINE_SCORE = 0.7
# Boxes that overlap a better one by more are dropped: within a step of the pyramid, and else.
SUPPRESSION_IN_SCALE, SUPPRESSION = 0.5, 0.7
BATCH = 256

Floats = NDArray[np.float32]
Weights = dict[str, "Tensor"]


def _conv(weights: Weights, name: str, x: Tensor) -> Tensor:
    from torch.nn import functional

    number = name.removeprefix("conv")
    x = functional.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
    return functional.prelu(x, weights[f"prelu{number}.weight"])


def _pool(x: Tensor, size: int) -> Tensor:
    from torch.nn import functional

    return functional.max_pool2d(x, size, 2, ceil_mode=True)


def _linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    from torch.nn import functional

    return functional.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _flat(x: Tensor) -> Tensor:
    # The weights come from Caffe by way of Matlab: columns first.
    return x.permute(0, 3, 2, 1).flatten(1)


def proposal_net(weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
    """Face score [N, h, w] and box shifts [N, 4, h, w] of each window of ``x`` [N, 3, H, W]."""
    from torch.nn import functional

    x = _pool(_conv(weights, "conv1", x), 2)
    x = _conv(weights, "conv3", _conv(weights, "conv2", x))
    score = functional.conv2d(x, weights["conv4_1.weight"], weights["conv4_1.bias"])
    shift = functional.conv2d(x, weights["conv4_2.weight"], weights["conv4_2.bias"])
    return score.softmax(1)[:, 1], shift


def refine_net(weights: Weights, x: Tensor) -> tuple[Tensor, Tensor]:
    """Face score [N] and box shifts [N, 4] of ``x`` [N, 3, 24, 24]."""
    from torch.nn import functional

    x = _pool(_conv(weights, "conv1", x), 3)
    x = _pool(_conv(weights, "conv2", x), 3)
    x = _linear(weights, "dense4", _flat(_conv(weights, "conv3", x)))
    x = functional.prelu(x, weights["prelu4.weight"])
    return _linear(weights, "dense5_1", x).softmax(1)[:, 1], _linear(weights, "dense5_2", x)


def output_net(weights: Weights, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Face score [N], box shifts [N, 4] and points [N, 10] of ``x`` [N, 3, 48, 48]."""
    from torch.nn import functional

    x = _pool(_conv(weights, "conv1", x), 3)
    x = _pool(_conv(weights, "conv2", x), 3)
    x = _pool(_conv(weights, "conv3", x), 2)
    x = _linear(weights, "dense5", _flat(_conv(weights, "conv4", x)))
    x = functional.prelu(x, weights["prelu5.weight"])
    return (
        _linear(weights, "dense6_1", x).softmax(1)[:, 1],
        _linear(weights, "dense6_2", x),
        _linear(weights, "dense6_3", x),
    )


def _shifted(boxes: Floats, shifts: Floats) -> Floats:
    """Boxes with each edge moved by a share of the box's width or height."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes + shifts * np.tile(sides, 2)


def _squared(boxes: Floats) -> Floats:
    """Boxes made square about their middles, by their longer sides."""
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    halves = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([middles - halves, middles + halves], axis=1)


def _cut(image: NDArray[np.uint8], box: Floats, size: int) -> NDArray[np.uint8]:
    """The part of ``image`` under ``box``, size x size; black outside the picture."""
    left, top, right, bottom = (int(edge) for edge in np.rint(box))
    height, width = image.shape[:2]
    part = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    if not part.size:
        return np.zeros((size, size, 3), np.uint8)
    margins = max(-top, 0), max(bottom - height, 0), max(-left, 0), max(right - width, 0)
    if any(margins):
        part = np.asarray(cv2.copyMakeBorder(part, *margins, cv2.BORDER_CONSTANT), np.uint8)
    return np.asarray(cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


class Mtcnn:
    """Finds faces in a picture.

    Args:
        proposal, refine, output: the three nets' weights, by facenet-pytorch's names.
        min_score: faces below this score (0..1) of the last net are dropped.
        device: where torch runs, e.g. ``"cpu"`` or ``"cuda"``.
    """

    name = NAME

    def __init__(
        self, proposal: Weights, refine: Weights, output: Weights, min_score: float, device: str
    ) -> None:
        self._proposal, self._refine, self._output = (
            {name: tensor.to(device) for name, tensor in weights.items()}
            for weights in (proposal, refine, output)
        )
        self._min_score = min_score
        self._device = device

    def __call__(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces in ``image`` (uint8 [H, W, 3] RGB), largest first."""
        import torch

        with torch.inference_mode():
            return self._detect(image)

    def _tensor(self, pictures: NDArray[np.uint8]) -> Tensor:
        import torch

        batch = torch.from_numpy(pictures).to(self._device).permute(0, 3, 1, 2)
        return (batch.float() - 127.5) / 128

    def _detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        boxes = _squared(self._proposals(image))
        scores, shifts = self._run(refine_net, self._refine, image, boxes, 24)
        keep = scores > REFINE_SCORE
        boxes, scores, shifts = boxes[keep], scores[keep], shifts[keep]
        kept = best(boxes, scores, SUPPRESSION)
        boxes = _squared(_shifted(boxes[kept], shifts[kept]))

        scores, shifts, points = self._run(output_net, self._output, image, boxes, 48)
        keep = scores >= self._min_score
        boxes, scores, shifts, points = boxes[keep], scores[keep], shifts[keep], points[keep]
        # Five x, then five y, in units of the square.
        points = points.reshape(-1, 2, 5).transpose(0, 2, 1)
        points = boxes[:, None, :2] + points * (boxes[:, None, 2:] - boxes[:, None, :2])
        boxes = _shifted(boxes, shifts)
        kept = best(boxes, scores, SUPPRESSION, cover)
        return detections(boxes[kept], points[kept], scores[kept])

    def _proposals(self, image: NDArray[np.uint8]) -> Floats:
        """Boxes [N, 4] of the windows, at all sizes, that look like faces."""
        height, width = image.shape[:2]
        found, found_scores = [np.zeros((0, 4), np.float32)], [np.zeros(0, np.float32)]
        scale = WINDOW / MIN_FACE
        while min(height, width) * scale >= WINDOW:
            size = (int(np.ceil(width * scale)), int(np.ceil(height * scale)))
            smaller = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
            score, shift = (
                output[0].cpu().numpy()
                for output in proposal_net(self._proposal, self._tensor(smaller[None]))
            )
            row, column = np.nonzero(score >= PROPOSAL_SCORE)
            corner = np.stack([column, row], axis=1).astype(np.float32) * STRIDE
            boxes = np.concatenate([corner, corner + WINDOW], axis=1)
            boxes = boxes * np.tile([width / size[0], height / size[1]], 2).astype(np.float32)
            scores = score[row, column]
            kept = best(boxes, scores, SUPPRESSION_IN_SCALE)
            found.append(_shifted(boxes, shift[:, row, column].T)[kept])
            found_scores.append(scores[kept])
            scale *= PYRAMID_STEP
        boxes, scores = np.concatenate(found), np.concatenate(found_scores)
        return boxes[best(boxes, scores, SUPPRESSION)]

    def _run(
        self,
        net: Callable[[Weights, Tensor], tuple[Tensor, ...]],
        weights: Weights,
        image: NDArray[np.uint8],
        boxes: Floats,
        size: int,
    ) -> list[Floats]:
        """A net's outputs for the squares under ``boxes``, in bounded batches."""
        import torch

        parts = []
        # One batch at least, so that no boxes give outputs of the right shape.
        for start in range(0, max(len(boxes), 1), BATCH):
            cuts = [_cut(image, box, size) for box in boxes[start : start + BATCH]]
            pictures = np.stack(cuts) if cuts else np.zeros((0, size, size, 3), np.uint8)
            parts.append(net(weights, self._tensor(pictures)))
        return [torch.cat(outputs).cpu().numpy() for outputs in zip(*parts, strict=True)]


def build_mtcnn(min_score: float, device: str = "cpu") -> Mtcnn:
    """A detector with checked weights."""
    import torch

    from avaffect.models.fetch import model_path

    proposal, refine, output = (
        torch.load(model_path(f"mtcnn-{stage}"), map_location="cpu", weights_only=True)
        for stage in ("pnet", "rnet", "onet")
    )
    return Mtcnn(proposal, refine, output, min_score, device)
