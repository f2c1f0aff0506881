"""How a face moves: differences of local phase between frames, and a small net on them.

Xie et al. (ABAW2), section III-A, name MIMAMO-Net (Deng et al. 2020) for its phase differences and
tells no more than that one convolution block of its three is left. Where the paper is silent this
follows MIMAMO-Net's code (wtomin/MIMAMO-Net): grey faces of 48 pixels, mirrored to 96 so that they
go on periodically, a complex steerable pyramid of two directions and two levels, 12 differences
around each frame, weighted by amplitude and blurred (11 taps, deviation 2), less their mean over
the picture, which takes the motion of the whole face away. What we do otherwise, and why:

- Its unwrapping takes the remainder towards zero, so that jumps below -pi stay. Here a difference
  is wrapped into (-pi, pi], which is what differences of correctly unwrapped phases are.
- It blurs each frame's unwrapped phase, weighted with that frame's amplitude, and takes
  differences then. What comes out hangs on the turns that a phase has made since the window's
  first frame. Here differences are blurred, weighted by the geometric mean of the amplitudes of
  their two frames: the same whatever frame a window starts with, and each picture's pyramid is
  made once, not once for each of the 13 snippets that the picture is part of.
- It clamps to +-5 pi. Ours stay within +-2 pi by themselves.
- ``FLOOR`` is added to the blurred amplitude. In a flat part of a picture phase is rounding noise,
  and would count as much as real motion.
- It pools the 6x6 maps behind three blocks over 6x6. Behind one block they are 24x24, and pooled
  by the same 6x6 into 4x4 places. (Over the whole map, the second level, which comes in behind
  the first block and has a mean of zero, would be pooled to nothing.)
- The convolutions have no bias: batch normalisation would take it away.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from avaffect.errors import UsageError
from avaffect.networks.blocks import After
from avaffect.networks.steerable import constant, oriented_bands
from avaffect.recipes.encoders import PhaseDifference

TAPS = 11
DEVIATION = 2.0
FLOOR = 0.1
"""Amplitude, in grey levels of 0..255, that halves the motion that is seen."""

_GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601
# Frames at a time where no gradient is wanted: a CPU's cache holds few, a GPU wants many.
_AT_A_TIME = {"cpu": 16, "cuda": 1024}


def wrap(angle: Tensor) -> Tensor:
    """Angles, in radians, brought into (-pi, pi] by whole turns."""
    return math.pi - torch.remainder(math.pi - angle, 2 * math.pi)


def local_motion(real: Tensor, imag: Tensor) -> tuple[Tensor, Tensor]:
    """How phase changes from each frame to the next.

    A wave of wavelength ``w`` that moves by ``v`` pixels along the band's direction changes its
    phase by ``-2 pi v / w``.

    Args:
        real, imag: float32 [B, T, ...], the parts of complex bands.

    Returns:
        The changes in radians, in (-pi, pi], and their weights, the geometric mean of both
        frames' amplitudes; float32 [B, T - 1, ...].
    """
    # ONNX makes atan2 of a division, and 0 / 0 is no number; phases are never so exact that
    # 1e-20 mattered.
    phase = torch.atan2(imag, real + 1e-20)
    # The root of the amplitude.
    root = (real.square() + imag.square()).sqrt().sqrt()
    return wrap(phase[:, 1:] - phase[:, :-1]), root[:, 1:] * root[:, :-1]


def smooth(motion: Tensor, weight: Tensor) -> Tensor:
    """Blurred by a Gaussian, each place by its weight; outside the picture weights are zero.

    Args:
        motion, weight: float32 [..., h, w].

    Returns:
        float32 [..., h, w], drawn towards zero where weights are not far above ``FLOOR``.
    """
    down, across = (_gaussian(int(side), motion.device) for side in motion.shape[-2:])
    return (down @ (motion * weight) @ across) / (down @ weight @ across + FLOOR)


@lru_cache(maxsize=32)
def _gaussian(side: int, device: torch.device) -> Tensor:
    """float32 [side, side], the blur of a line; symmetric."""
    distance = np.subtract.outer(np.arange(side), np.arange(side))
    taps = np.exp(-(np.arange(-(TAPS // 2), TAPS // 2 + 1) ** 2) / (2 * DEVIATION**2))
    inside = abs(distance) <= TAPS // 2
    line = np.exp(-(distance**2) / (2 * DEVIATION**2)) * inside / taps.sum()
    return constant(line, device)


def phase_differences(
    pictures: Tensor, bands: int = 2, levels: Sequence[int] = (1, 2)
) -> list[Tensor]:
    """Motion between neighbouring frames, by level of a steerable pyramid.

    Args:
        pictures: float [B, T, S, S], grey, in 0..255; S a multiple of ``2 ** (max(levels) - 1)``.
        bands: directions, see :mod:`avaffect.networks.steerable`.
        levels: from 1, the finest, on.

    Returns:
        By level, float32 [B, T - 1, bands, s, s], ``s = S / 2 ** (level - 1)``: the change of
        phase in radians, within +-2 pi, blurred, with a mean of zero over each picture.

    Raises:
        UsageError: pictures of a size that cannot be halved so often.
    """
    with torch.autocast(pictures.device.type, enabled=False):
        pictures = pictures.float()
        pictures = torch.cat((pictures, pictures.flip(-1)), dim=-1)
        pictures = torch.cat((pictures, pictures.flip(-2)), dim=-2)
        found = []
        for real, imag in oriented_bands(pictures, bands, levels):
            side = int(real.shape[-1]) // 2
            own = real[..., :side, :side], imag[..., :side, :side]
            blurred = smooth(*local_motion(*own))
            found.append(blurred - blurred.mean((-2, -1), keepdim=True))
        return found


def shrink(pictures: Tensor, size: int) -> Tensor:
    """Grey pictures, float32 [..., size, size], of RGB ones [..., S, S, 3] of any type.

    Each new pixel is a mean of all the old ones below it, falling off linearly (bilinear
    resizing with antialiasing, which ONNX operator set 17 does not have).
    """
    with torch.autocast(pictures.device.type, enabled=False):
        grey = pictures.float() @ constant(np.array(_GREY), pictures.device)
        down, across = (_resizing(int(side), size, grey.device) for side in grey.shape[-2:])
        return down @ grey @ across.T


@lru_cache(maxsize=32)
def _resizing(old: int, new: int, device: torch.device) -> Tensor:
    """float32 [new, old]."""
    scale = old / new
    centres = (np.arange(new) + 0.5) * scale
    distance = abs(np.subtract.outer(centres, np.arange(old) + 0.5)) / max(scale, 1.0)
    weights = np.clip(1 - distance, 0, None)
    return constant(weights / weights.sum(1, keepdims=True), device)


class PhaseEncoder(nn.Module):
    """From the faces of a window to features of their motion around each frame.

    The finest level goes into the first block of convolutions, which halves the maps; a coarser
    one comes in where the maps have its size. Frames without a face, and differences from or to
    one, count as no motion; so does what lies beyond the clip's ends, and beyond the window's
    unless ``config.context`` reads on. Batch statistics are taken over frames with a face only.

    With the defaults a frame costs 53 million multiplications in the convolutions, and training
    keeps about 1.9 MB of activations for it, of which its snippet of 12 differences is 0.3 MB;
    the pictures themselves are not copied.

    Raises:
        UsageError: a coarse level behind which no block stands that brings the maps to its size.

    Attributes:
        size: width of what it gives, ``config.units``.
        margin: frames that it reads beside a window, on each side.
    """

    def __init__(self, config: PhaseDifference) -> None:
        super().__init__()
        self.config = config
        self.size = config.units
        self.margin = config.differences // 2 if config.context else 0
        self.levels = sorted(set(config.levels))
        if self.levels[-1] - self.levels[0] > len(config.channels):
            raise UsageError(
                f"{len(config.channels)} convolution blocks do not reach from level "
                f"{self.levels[0]} to level {self.levels[-1]} of the pyramid",
                "give more channels or fewer levels",
            )
        entering = config.differences * config.bands
        self.blocks = nn.ModuleList()
        width, side = entering, config.size >> (self.levels[0] - 1)
        for i, channels in enumerate(config.channels, start=self.levels[0] + 1):
            self.blocks.append(_block(width, channels))
            width, side = channels + entering * (i in self.levels), (side + 1) // 2
        self.drop = nn.Dropout2d(config.dropout)
        place = min(side, config.size // 8)
        self.pool = nn.AvgPool2d(place)
        self.dense = nn.Linear(width * (side // place) ** 2, config.units)
        self.more = nn.ModuleList(
            nn.Linear(config.units, config.units) for _ in range(config.layers - 1)
        )
        order = ("activation", "norm", "dropout")
        self.after = nn.ModuleList(
            After(config.units, "relu", config.out_dropout, config.norm, order)
            for _ in range(config.layers)
        )

    def forward(self, pictures: Tensor, seen: Tensor) -> Tensor:
        """The features of each frame's surroundings.

        Args:
            pictures: [B, T, S, S, 3] RGB, uint8 or float in 0..255; with ``config.context``
                ``margin`` frames more on each side.
            seen: bool, likewise, where there is a face.

        Returns:
            float [B, T, size], zeros where there is no face.
        """
        every = self._differences(pictures, seen)
        windows, given = pictures.shape[:2]
        around, beside = self.config.differences, self.margin
        frames = given - 2 * beside
        # The differences around the first frame of a window start with its first row, or, where
        # frames beside it are read, with the second: the first leads from nowhere.
        length, first = (given, 1) if beside else (frames + around - 1, 0)
        starts = torch.arange(windows, device=seen.device)[:, None] * length + first
        rows = (starts + torch.arange(frames, device=seen.device)).flatten()
        if beside:
            seen = seen[:, beside:-beside]
        if torch.jit.is_tracing():  # for export: no sizes that depend on what is seen
            out = self._encode(every, rows).reshape(windows, frames, self.size)
            return out * seen[..., None]
        rows = rows[seen.flatten()]
        step = _AT_A_TIME.get(rows.device.type, len(rows))
        parts = (rows,) if torch.is_grad_enabled() else rows.split(step)
        features = torch.cat([self._encode(every, part) for part in parts])
        whole = features.new_zeros((*seen.shape, self.size))
        return whole.masked_scatter(seen[..., None], features)

    @torch.no_grad()
    def _differences(self, pictures: Tensor, seen: Tensor) -> list[Tensor]:
        """By level, float32 [B * (T + differences - 1), bands, s, s]: zeros at both ends of each
        window, so that the differences around frame t are those from its row t on; of windows
        with ``margin`` frames beside them [B * (T + differences), ...], without more zeros."""
        config = self.config
        grey = shrink(pictures, config.size)
        # The first frame twice: ONNX Runtime cannot multiply matrices where there are none, as
        # in a window of one frame.
        grey = torch.cat((grey[:, :1], grey), dim=1)
        both = (seen & torch.cat((seen[:, :1], seen[:, :-1]), dim=1))[..., None, None, None]
        half = config.differences // 2
        ends = (0, 0) * 3 + ((0, 0) if self.margin else (half - 1, half))
        return [
            functional.pad(difference.masked_fill(~both, 0.0), ends).flatten(0, 1)
            for difference in phase_differences(grey, config.bands, self.levels)
        ]

    def _encode(self, every: list[Tensor], rows: Tensor) -> Tensor:
        """float [M, size], of the frames whose differences start at rows [M]."""
        around = rows[:, None] + torch.arange(self.config.differences, device=rows.device)
        entering = dict(zip(self.levels, every, strict=True))
        x = entering[self.levels[0]][around].flatten(1, 2)
        for i, block in enumerate(self.blocks, start=self.levels[0] + 1):
            x = block(x)
            if i in entering:
                x = torch.cat((x, entering[i][around].flatten(1, 2).to(x.dtype)), dim=1)
            x = self.drop(x)
        x = self.pool(x).flatten(1)
        # Blocks' modules want windows: these rows are all of one.
        for dense, after in zip((self.dense, *self.more), self.after, strict=True):
            x = after(dense(x)[None], None)[0]
        return x


def _block(width: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, channels, 3, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    )
