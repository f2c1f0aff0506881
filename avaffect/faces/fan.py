"""Five points by 2DFAN-4, the landmark net of the face-alignment package.

Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D Face Alignment problem? (and a
dataset of 230,000 3D facial landmarks)", ICCV 2017.

The net's layers come from the package, its weights from our registry. The package would load the
weights itself, from ``$TORCH_HOME``, unchecked, and downloaded if they are not there; none of that
code runs here. They are a plain state dict, read by ``torch.load(weights_only=True)``, which
runs no code of the file. (Releases of the package before 1.5 used TorchScript archives instead,
which hold code.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import require_shape
from avaffect.errors import ModelError, UsageError
from avaffect.faces.align import warp
from avaffect.files.outside import reading

if TYPE_CHECKING:
    from torch import Tensor

MODEL = "2dfan4"
STACKS = 4
CROP = 256
HEAT = 64
# How the crops that the net was trained on lie about the face's box: their side over the sum of
# the box's sides, and their middle above the box's, over its height.
CROP_SCALE = 200 / 195
CROP_RISE = 0.12

EYE_LEFT, EYE_RIGHT = slice(36, 42), slice(42, 48)
NOSE_TIP, MOUTH_LEFT, MOUTH_RIGHT = 30, 48, 54


def five_of_68(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Our five points, float32 [5, 2], from the 68 of the iBUG scheme, [68, 2]."""
    return np.stack(
        [
            landmarks[EYE_LEFT].mean(axis=0),
            landmarks[EYE_RIGHT].mean(axis=0),
            landmarks[NOSE_TIP],
            landmarks[MOUTH_LEFT],
            landmarks[MOUTH_RIGHT],
        ]
    )


def peaks(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    """Where each heat map is highest, moved a quarter cell towards its higher neighbours.

    Args:
        heat: float32 [N, H, W].

    Returns:
        float32 [N, 2], x and y in cells (0, 0 is the middle of the first cell).
    """
    count, height, width = heat.shape
    row, column = np.divmod(heat.reshape(count, -1).argmax(axis=1), width)
    padded = np.pad(heat, ((0, 0), (1, 1), (1, 1)), mode="edge")
    each = np.arange(count)
    across = padded[each, row + 1, column + 2] - padded[each, row + 1, column]
    down = padded[each, row + 2, column + 1] - padded[each, row, column + 1]
    inside_x = (column > 0) & (column < width - 1)
    inside_y = (row > 0) & (row < height - 1)
    shift = np.stack([np.sign(across), np.sign(down)], axis=1) * (inside_x & inside_y)[:, None]
    return (np.stack([column, row], axis=1) + shift / 4).astype(np.float32)


class FanAligner:
    """Finds the five points of a face in a given box.

    Slow on a CPU (about half a second a face); made for a GPU.

    Args:
        device: where torch runs, ``"cpu"`` or ``"cuda"``.

    Raises:
        ModelUnavailableError: the weights are not in the cache and from no source.
        ModelDamagedError: the file is not the one the registry knows.
        ModelError: the weights do not fit the net of the installed face-alignment package.
    """

    def __init__(self, device: str = "cpu") -> None:
        import torch
        from face_alignment.models import FAN

        from avaffect.models.content import model_content

        weights = model_content(MODEL)
        self._net = FAN(STACKS)
        hint = "install face-alignment 1.5 or newer"
        with reading(
            weights.path, ModelError, "does not fit the net of the face-alignment package", hint
        ):
            self._net.load_state_dict(
                torch.load(weights.open(), map_location="cpu", weights_only=True)
            )
        self._net.to(device).eval()
        self._device = device

    def __call__(self, image: NDArray[np.uint8], box: NDArray[np.floating]) -> NDArray[np.float32]:
        """The face's five points.

        Args:
            image: uint8 [H, W, 3] RGB.
            box: [4], left, top, right, bottom in pixels, around the face from forehead to chin.

        Returns:
            float32 [5, 2] in pixels, as in :class:`avaffect.faces.face.Detection`.

        Raises:
            UsageError: the box is empty or not finite.
        """
        return five_of_68(self.landmarks(image, box))

    def landmarks(
        self, image: NDArray[np.uint8], box: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """All 68 landmarks of the iBUG scheme, float32 [68, 2] in pixels; see :meth:`__call__`."""
        import torch

        require_shape("box", box, (4,))
        low, high = np.asarray(box, np.float64).reshape(2, 2)
        sides = high - low
        if not (np.isfinite(box).all() and (sides > 0).all()):
            raise UsageError("the face's box is empty or not finite")
        side = sides.sum() * CROP_SCALE
        corner = (low + high) / 2 - (0, CROP_RISE * sides[1]) - side / 2
        scale = CROP / side
        # Middles of pixels, hence the halves.
        shift = (0.5 - corner) * scale - 0.5
        crop = warp(image, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), CROP)
        with torch.inference_mode():
            pixels: Tensor = torch.from_numpy(crop).to(self._device).permute(2, 0, 1)
            # A stack of hourglasses gives a guess each, the last being the best.
            heat = self._net(pixels[None].float() / 255)[-1][0].cpu().numpy()
        return ((peaks(heat) + 0.5) * (side / HEAT) + corner - 0.5).astype(np.float32)
