"""EfficientNet-Lite0 as a torch module, for the published ImageNet weights.

Tan & Le, "EfficientNet", ICML 2019, in the Lite form (no squeeze-and-excitation, ReLU6) that
TensorFlow published in 2020. Parameter names and paddings are those of the checkpoint
``efficientnet-lite0-57934424.pth``.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor, nn
from torch.nn import functional

EMBEDDING = 1280
# (expansion, kernel, stride, channels out, repeats), EfficientNet-B0's stages. Lite does not
# scale the first and last of them.
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


class _SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding, which puts the odd pixel right and below."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads = []
        for size in (int(x.shape[-1]), int(x.shape[-2])):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, pads))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class _Block(nn.Module):
    def __init__(
        self, inputs: int, outputs: int, expansion: int, kernel: int, stride: int
    ) -> None:
        super().__init__()
        inner = inputs * expansion
        self.expands = expansion != 1
        self.adds = stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = nn.Conv2d(inputs, inner, 1, bias=False)
            self._bn0 = _norm(inner)
        self._depthwise_conv = _SameConv(inner, inner, kernel, stride, groups=inner, bias=False)
        self._bn1 = _norm(inner)
        self._project_conv = nn.Conv2d(inner, outputs, 1, bias=False)
        self._bn2 = _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.adds else y


class EfficientNetLite0(nn.Module):
    """float32 [B, 3, H, W] in -1..1 (RGB) to [B, 1280], the pooled features before the classifier.

    Made for 224 x 224; any size from 32 pixels works.
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = _norm(32)
        blocks, inputs = [], 32
        for expansion, kernel, stride, outputs, repeats in _STAGES:
            for repeat in range(repeats):
                blocks.append(
                    _Block(inputs, outputs, expansion, kernel, stride if repeat == 0 else 1)
                )
                inputs = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = nn.Conv2d(inputs, EMBEDDING, 1, bias=False)
        self._bn1 = _norm(EMBEDDING)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        return x.mean((2, 3))


def load(checkpoint: Path | BinaryIO) -> EfficientNetLite0:
    """The net with the weights of ``checkpoint``, in evaluation mode.

    Raises:
        KeyError, RuntimeError: if the checkpoint holds other weights.
    """
    net = EfficientNetLite0()
    weights = torch.load(checkpoint, map_location="cpu", weights_only=True)
    # The classifier of ImageNet is of no use here.
    for name in ("_fc.weight", "_fc.bias"):
        weights.pop(name)
    net.load_state_dict(weights)
    return net.eval()
