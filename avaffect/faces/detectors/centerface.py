"""CenterFace, an anchor-free face detector that is at its best in crowds.

Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", Scientific
Programming, 2020.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.faces.detectors.boxes import best, detections
from avaffect.faces.face import Detection

MODEL = "centerface"
SUPPRESSION = 0.3
# The net's outputs have a quarter of its input's resolution; its input is a multiple of 32.
STRIDE = 4
MULTIPLE = 32
# Larger pictures are reduced to this side: their time grows with the area, and what is lost are
# faces too small to read an expression from.
MAX_SIDE = 960

Net = Callable[..., tuple[NDArray[np.float32], ...]]


class CenterFace:
    """Finds faces in a picture.

    Args:
        net: takes float32 [1, 3, H, W] RGB in 0..255 and gives, at a quarter of the resolution,
            heat map [1, 1, h, w], log of height and width [1, 2, h, w], offset of the middle, y
            then x [1, 2, h, w], five points in units of the box, y then x [1, 10, h, w].
        min_score: faces below this score (0..1) are dropped.
    """

    name = MODEL

    def __init__(self, net: Net, min_score: float) -> None:
        self.on_gpu = bool(getattr(net, "on_gpu", False))
        self._net = net
        self._min_score = min_score

    def __call__(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces in ``image`` (uint8 [H, W, 3] RGB), largest first."""
        ratio = min(1.0, MAX_SIDE / max(image.shape[:2]))
        if ratio < 1:
            smaller = cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
            image = np.asarray(smaller, np.uint8)
        height, width = image.shape[:2]
        padded = (-(-side // MULTIPLE) * MULTIPLE for side in (height, width))
        inputs = np.zeros((1, 3, *padded), np.float32)
        inputs[0, :, :height, :width] = image.transpose(2, 0, 1)
        heat, log_size, offset, landmarks = (output[0] for output in self._net(inputs))

        row, column = np.nonzero(heat[0] >= self._min_score)
        scores = heat[0, row, column]
        # Everything comes as y, x: reversed into x, y.
        cell = np.stack([column, row], axis=1)
        centres = (cell + offset[::-1, row, column].T + 0.5) * STRIDE
        sizes = np.exp(log_size[::-1, row, column].T) * STRIDE
        low = centres - sizes / 2
        points = landmarks.reshape(5, 2, *heat.shape[1:])[:, ::-1, row, column]
        points = points.transpose(2, 0, 1) * sizes[:, None] + low[:, None]
        boxes = np.concatenate([low, low + sizes], axis=1)
        kept = best(boxes, scores, SUPPRESSION)
        return detections(boxes[kept] / ratio, points[kept] / ratio, scores[kept])


def with_free_shapes(file: BinaryIO) -> bytes:
    """The ONNX net in ``file`` without the fixed input size that its export left in it.

    The net is fully convolutional; only its header fixes 10 pictures of 32 x 32.
    """
    import onnx

    model = onnx.load(file)
    for value in (*model.graph.input, *model.graph.output):
        dims = value.type.tensor_type.shape.dim
        # Old ONNX files list their weights among the inputs: those keep their shapes.
        if value.name not in {weight.name for weight in model.graph.initializer}:
            for axis in (0, 2, 3):
                dims[axis].dim_param = f"{value.name}_{axis}"
    return model.SerializeToString()


def build_centerface(min_score: float, device: str = "cpu") -> CenterFace:
    """A detector with checked weights."""
    from avaffect.models.content import model_content
    from avaffect.models.nets import onnx_net

    # Detection is rare and waited for: all that is gained by more threads is gained here.
    threads = min(4, os.cpu_count() or 1)
    net = onnx_net(with_free_shapes(model_content(MODEL).open()), device, threads)
    return CenterFace(net, min_score)
