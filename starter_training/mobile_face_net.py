"""The face net of starter-2: MobileFaceNet with three heads, on an aligned colour face.

MobileFaceNet (Chen et al. 2018) tells people apart; it was trained on a million identities. Here
its normalisation is folded into the convolutions, and instead of an identity it says expression,
valence, arousal and action units.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mxnet_params import read_params
from torch import Tensor, nn
from torch.nn import functional

from avaffect.labels import ACTION_UNITS, EXPRESSIONS

EMBEDDING = 512
# MXNet's default, which the file's graph leaves as it is.
EPSILON = 1e-3
DROPOUT = 0.3


@dataclass(frozen=True)
class Step:
    """A bottleneck: 1 x 1 up to ``middle`` channels, 3 x 3 each for itself, 1 x 1 down.

    Attributes:
        name: of its arrays in the file.
        inputs, middle, outputs: channels.
        stride: of the 3 x 3 convolution.
        adds: whether its input is added to what comes out.
    """

    name: str
    inputs: int
    middle: int
    outputs: int
    stride: int
    adds: bool


STEPS = (
    Step("dconv_23", 64, 128, 64, 2, False),
    *(Step(f"res_3_block{at}", 64, 128, 64, 1, True) for at in range(4)),
    Step("dconv_34", 64, 256, 128, 2, False),
    *(Step(f"res_4_block{at}", 128, 256, 128, 1, True) for at in range(6)),
    Step("dconv_45", 128, 512, 128, 2, False),
    *(Step(f"res_5_block{at}", 128, 256, 128, 1, True) for at in range(2)),
)


@dataclass(frozen=True)
class Said:
    """What the net says of ``B`` faces.

    Attributes:
        expression: logits [B, 8] in the order of ``EXPRESSIONS``.
        va: valence and arousal [B, 2], about -1..1.
        units: logits [B, 12] in the order of ``ACTION_UNITS``.
    """

    expression: Tensor
    va: Tensor
    units: Tensor


class _Bend(torch.autograd.Function):
    """A PReLU whose slopes stay as they are: a fifth less time a step than PyTorch's own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return functional.prelu(x, slope.flatten())

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        x, slope = ctx.saved_tensors
        above = torch.ops.aten.threshold_backward(gradient, x, 0)
        return torch.addcmul(gradient * slope, above, 1 - slope), None


class Bend(nn.PReLU):
    """A PReLU that does not learn its slopes; the million identities set them."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            return _Bend.apply(x, self.weight.view(1, -1, 1, 1))
        return functional.prelu(x, self.weight)


class Bottleneck(nn.Module):
    def __init__(self, step: Step) -> None:
        super().__init__()
        self.adds = step.adds
        self.layers = nn.Sequential(
            nn.Conv2d(step.inputs, step.middle, 1),
            Bend(step.middle),
            nn.Conv2d(step.middle, step.middle, 3, step.stride, 1, groups=step.middle),
            Bend(step.middle),
            nn.Conv2d(step.middle, step.outputs, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.adds else self.layers(x)


@dataclass(frozen=True)
class Window:
    """The part of the aligned face that the net looks at, in cells of 16 pixels.

    The net's last map has a place for each cell, and each place has its own weights, so a smaller
    window is the same net without what lies outside.

    Attributes:
        side: of the aligned face in pixels, a multiple of 16.
        top, bottom, left, right: the cells from ``top`` to before ``bottom``, and so on.
    """

    side: int = 112
    top: int = 0
    bottom: int = 7
    left: int = 0
    right: int = 7

    @property
    def cells(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def pixels(self) -> tuple[slice, slice]:
        return slice(16 * self.top, 16 * self.bottom), slice(16 * self.left, 16 * self.right)


WINDOWS = {
    "whole": Window(),
    # From the brows to the chin, between the ears: three fifths of the pixels.
    "face": Window(112, 1, 7, 1, 6),
    "small": Window(80, 1, 5, 1, 4),
}


class FaceNet(nn.Module):
    """float32 [B, 3, S, S] RGB 0..255, cut out by ArcFace's template, to :class:`Said`.

    Args:
        start: the MobileFaceNet's ``.params`` file; None starts at random.
        window: what it looks at; S is its side.
    """

    def __init__(self, start: Path | None, window: Window = WINDOWS["face"]) -> None:
        super().__init__()
        self.window = window
        places = (window.bottom - window.top, window.right - window.left)
        self.trunk = nn.Sequential(
            nn.Conv2d(3, 64, 3, 2, 1),
            Bend(64),
            nn.Conv2d(64, 64, 3, 1, 1, groups=64),
            Bend(64),
            *(Bottleneck(step) for step in STEPS),
            nn.Conv2d(128, EMBEDDING, 1),
            Bend(EMBEDDING),
            # A weight for each place of the map that is left: what a face has where.
            nn.Conv2d(EMBEDDING, EMBEDDING, places, groups=EMBEDDING),
        )
        self.dropout = nn.Dropout(DROPOUT)
        self.heads = nn.Linear(EMBEDDING, len(EXPRESSIONS) + 2 + len(ACTION_UNITS))
        nn.init.normal_(self.heads.weight, std=0.01)
        nn.init.zeros_(self.heads.bias)
        if start is not None:
            self._start_from(start)

    def _start_from(self, path: Path) -> None:
        arrays = {name: torch.tensor(value) for name, value in read_params(path).items()}
        first, last = len(STEPS) + 4, len(STEPS) + 6
        _fold(self.trunk[0], self.trunk[1], arrays, "conv_1")
        _fold(self.trunk[2], self.trunk[3], arrays, "conv_2_dw")
        for step, block in zip(STEPS, self.trunk[4:first], strict=True):
            layers = block.layers
            _fold(layers[0], layers[1], arrays, f"{step.name}_conv_sep")
            _fold(layers[2], layers[3], arrays, f"{step.name}_conv_dw")
            _fold(layers[4], None, arrays, f"{step.name}_conv_proj")
        _fold(self.trunk[first], self.trunk[first + 1], arrays, "conv_6sep")
        places = self.window.side // 16
        weight = arrays["conv_6dw7_7_conv2d_weight"]
        ratio = (weight.shape[-1] / places) ** 2
        weight = functional.interpolate(weight, (places, places), mode="area") * ratio
        rows, columns = self.window.cells
        arrays["conv_6dw7_7_conv2d_weight"] = weight[:, :, rows, columns]
        _fold(self.trunk[last], None, arrays, "conv_6dw7_7")

    def slopes(self) -> list[Tensor]:
        """Copies of the slopes of each PReLU."""
        return [bend.weight.detach().clone() for bend in self._bends()]

    def bend(self, slopes: list[Tensor]) -> None:
        """Set the slopes of each PReLU; all 0 make the net one of ReLUs."""
        for one, slope in zip(self._bends(), slopes, strict=True):
            one.weight.data.copy_(slope)

    def _bends(self) -> list[Bend]:
        return [module for module in self.modules() if isinstance(module, Bend)]

    def freeze(self, layers: int) -> None:
        """Leave the first ``layers`` of the trunk as they are: edges are edges everywhere."""
        for parameter in self.trunk[:layers].parameters():
            parameter.requires_grad_(False)

    def embed(self, faces: Tensor) -> Tensor:
        """float32 [B, 512]."""
        rows, columns = self.window.pixels
        x = (faces[:, :, rows, columns] - 127.5) / 128
        return self.trunk(x.contiguous(memory_format=torch.channels_last)).flatten(1)

    def forward(self, faces: Tensor) -> Said:
        x = self.heads(self.dropout(self.embed(faces)))
        return Said(*x.split((len(EXPRESSIONS), 2, len(ACTION_UNITS)), dim=1))


def _fold(conv: nn.Conv2d, prelu: nn.PReLU | None, arrays: dict[str, Tensor], name: str) -> None:
    """Put a convolution and its normalisation into ``conv``, and the slopes into ``prelu``."""
    gamma, beta, mean, variance = (
        arrays[f"{name}_batchnorm_{part}"]
        for part in ("gamma", "beta", "moving_mean", "moving_var")
    )
    scale = gamma / (variance + EPSILON).sqrt()
    weight = arrays[f"{name}_conv2d_weight"] * scale.view(-1, 1, 1, 1)
    conv.weight.data, conv.bias.data = weight.contiguous(), beta - mean * scale
    if prelu is not None:
        prelu.weight.data = arrays[f"{name}_relu_gamma"].flatten().contiguous()
