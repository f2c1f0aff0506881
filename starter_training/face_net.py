"""The face net: EfficientNet-Lite0 with its normalisation folded in, on a small grey picture."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from avaffect.faces.efficientnet_lite import EMBEDDING, EfficientNetLite0, load

CLASSES = 7
# The trunk's input. FER2013's 48 pixels are enlarged, since the net's strides want more.
SIZE = 96


class _PaddedConv(nn.Conv2d):
    """TensorFlow's SAME padding, which a stride makes uneven."""

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads: list[int] = []
        for size in (int(x.shape[-1]), int(x.shape[-2])):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, pads))


def _folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """Both in one: a third faster to train, and the same function of a picture in every batch."""
    kernel, stride = conv.kernel_size[0], conv.stride[0]
    uneven = kernel > 1 and stride > 1
    kind = _PaddedConv if uneven else nn.Conv2d
    whole = kind(
        conv.in_channels,
        conv.out_channels,
        kernel,
        stride,
        padding=0 if uneven else kernel // 2,
        groups=conv.groups,
    )
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    whole.weight.data = (conv.weight * scale.view(-1, 1, 1, 1)).detach()
    whole.bias = nn.Parameter((norm.bias - norm.running_mean * scale).detach())
    return whole


class _Block(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if block.expands:
            layers += [_folded(block._expand_conv, block._bn0), nn.ReLU6(inplace=True)]
        layers += [_folded(block._depthwise_conv, block._bn1), nn.ReLU6(inplace=True)]
        layers += [_folded(block._project_conv, block._bn2)]
        self.layers = nn.Sequential(*layers)
        self.adds = bool(block.adds)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.adds else self.layers(x)


class FaceNet(nn.Module):
    """float32 [B, 1, H, W] grey, 0..255, to logits [B, 7] in the order of EXPRESSIONS.

    Args:
        start: EfficientNet-Lite0's ImageNet weights; None starts at random.
    """

    def __init__(self, start: Path | None) -> None:
        super().__init__()
        lite = load(start) if start is not None else EfficientNetLite0().eval()
        self.trunk = nn.Sequential(
            _folded(lite._conv_stem, lite._bn0),
            nn.ReLU6(inplace=True),
            *(_Block(block) for block in lite._blocks),
            _folded(lite._conv_head, lite._bn1),
            nn.ReLU6(inplace=True),
        )
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(EMBEDDING, CLASSES)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def freeze(self, layers: int) -> None:
        """Leave the first ``layers`` of the trunk as they are: edges are edges everywhere."""
        for parameter in self.trunk[:layers].parameters():
            parameter.requires_grad_(False)

    def embed(self, grey: Tensor) -> Tensor:
        """float32 [B, 1280]."""
        if grey.shape[-1] != SIZE:
            grey = functional.interpolate(grey, (SIZE, SIZE), mode="bilinear", align_corners=False)
        x = (grey / 127.5 - 1).expand(-1, 3, -1, -1)
        return self.trunk(x.contiguous(memory_format=torch.channels_last)).mean((2, 3))

    def forward(self, grey: Tensor) -> Tensor:
        return self.head(self.dropout(self.embed(grey)))


class Calibrated(nn.Module):
    """What is shipped: probabilities at a temperature fitted on the validation part."""

    def __init__(self, net: FaceNet, temperature: float) -> None:
        super().__init__()
        self.net, self.temperature = net.eval(), temperature

    def forward(self, grey: Tensor) -> Tensor:
        """float32 [B, 1, 48, 48] grey 0..255 to probabilities [B, 7]."""
        return (self.net(grey) / self.temperature).softmax(1)
