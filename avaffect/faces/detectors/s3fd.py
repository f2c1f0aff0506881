"""S3FD, the face detector that belongs to the face-alignment package.

Zhang et al., "S3FD: Single Shot Scale-invariant Face Detector", ICCV 2017. The net and its
decoding are the package's; the weights come from our registry and are a plain state dict.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.errors import ModelError
from avaffect.faces.detectors.boxes import detections
from avaffect.faces.face import Detection
from avaffect.files.outside import reading
from avaffect.models.device import device_kind

MODEL = "s3fd"
# Its time grows with the area: seconds on a CPU even at this side.
MAX_SIDE = 640
# Where the five points lie in a box on average, in units of its sides: measured on what
# CenterFace, which was trained on the same boxes (WIDER FACE), finds in upright faces.
MEAN_POINTS = np.array(
    [[0.28, 0.40], [0.72, 0.40], [0.50, 0.59], [0.31, 0.75], [0.69, 0.75]], np.float32
)


class S3fd:
    """Finds faces in a picture.

    S3FD gives boxes only. The five points are *estimated*, at their average places in the box;
    use the landmark stage for better ones.

    Args:
        detect: takes uint8 [H, W, 3] RGB and gives rows of left, top, right, bottom, score.
        on_gpu: whether a GPU does.
    """

    name = MODEL

    def __init__(self, detect: Callable[[NDArray[np.uint8]], Any], on_gpu: bool = False) -> None:
        self._detect, self.on_gpu = detect, on_gpu

    def __call__(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces in ``image`` (uint8 [H, W, 3] RGB), largest first."""
        ratio = min(1.0, MAX_SIDE / max(image.shape[:2]))
        if ratio < 1:
            smaller = cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
            image = np.asarray(smaller, np.uint8)
        rows = np.asarray(self._detect(image), np.float32).reshape(-1, 5)
        boxes = rows[:, :4] / ratio
        low, sides = boxes[:, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None]
        return detections(boxes, low + sides * MEAN_POINTS, rows[:, 4])


def build_s3fd(min_score: float, device: str = "cpu") -> S3fd:
    """A detector with checked weights.

    Raises:
        ModelUnavailableError: the weights are not in the cache and from no source.
        ModelDamagedError: the file is not the one the registry knows.
        ModelError: the weights do not fit the net of the installed face-alignment package.
    """
    from face_alignment.detection.sfd import FaceDetector

    from avaffect.models.content import model_content

    weights = model_content(MODEL)
    hint = "install face-alignment 1.5 or newer"
    with reading(
        weights.path, ModelError, "does not fit the net of the face-alignment package", hint
    ):
        # It hands what is given as a path to torch.load, which reads open files too.
        detector = FaceDetector(
            device, path_to_detector=weights.open(), filter_threshold=min_score
        )
    return S3fd(detector.detect_from_image, device_kind(device) == "cuda")
