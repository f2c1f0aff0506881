"""Convolutional nets on pictures of faces, cut into stages that can be frozen by name.

The nets are torchvision's, and EfficientNet-Lite0 is ours (`faces.efficientnet_lite`). All are
without their classifier: what they give is the average over the last maps. torchvision is imported
only when one of its nets is built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from avaffect.errors import ModelDamagedError, ModelUnavailableError, UnknownNameError
from avaffect.faces.efficientnet_lite import EfficientNetLite0
from avaffect.models.cache import cached_path
from avaffect.models.content import model_content
from avaffect.models.zoo import find_model
from avaffect.progress import EventCallback, Notice, ignore_events
from avaffect.recipes.encoders import Backbone

_IMAGENET_MEAN = (123.675, 116.28, 103.53)
_IMAGENET_DEVIATION = (58.395, 57.12, 57.375)
_LITE = (127.5, 127.5, 127.5)


@dataclass(frozen=True)
class BackboneSpec:
    """One net.

    Attributes:
        name: also of its ImageNet weights in `models.zoo`.
        width: values that it gives for a picture.
        stages: their names, from the input on.
        build: makes the whole net, with random weights as its authors draw them.
        cut: the parts of a whole net that are its stages, in order.
        classifier: the net's attribute that is left out.
        mean, deviation: of red, green and blue in 0..255, what pictures are normalised by.
    """

    name: str
    width: int
    stages: tuple[str, ...]
    build: Callable[[str], nn.Module]
    cut: Callable[[Any], list[nn.Module]]
    classifier: str
    mean: tuple[float, float, float] = _IMAGENET_MEAN
    deviation: tuple[float, float, float] = _IMAGENET_DEVIATION


def _torchvision(name: str) -> nn.Module:
    from torchvision.models import get_model

    net: nn.Module = get_model(name, weights=None)
    return net


def _lite0(name: str) -> nn.Module:
    net = EfficientNetLite0()
    for module in net.modules():
        # As torchvision draws EfficientNet's; PyTorch's own are too small for so many layers.
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out")
    return net


def _cut_resnet(net: Any) -> list[nn.Module]:
    stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool)
    return [stem, net.layer1, net.layer2, net.layer3, net.layer4]


def _cut_regnet(net: Any) -> list[nn.Module]:
    return [net.stem, *net.trunk_output]


def _cut_densenet(net: Any) -> list[nn.Module]:
    maps = net.features
    return [
        nn.Sequential(maps.conv0, maps.norm0, maps.relu0, maps.pool0),
        nn.Sequential(maps.denseblock1, maps.transition1),
        nn.Sequential(maps.denseblock2, maps.transition2),
        nn.Sequential(maps.denseblock3, maps.transition3),
        nn.Sequential(maps.denseblock4, maps.norm5, nn.ReLU(inplace=True)),
    ]


def _cut_efficientnet(net: Any) -> list[nn.Module]:
    return list(net.features)


def _cut_mobilenet(net: Any) -> list[nn.Module]:
    # Repeats of each stage: Sandler et al., "MobileNetV2", CVPR 2018, table 2.
    return _groups(net.features, (1, 1, 2, 3, 4, 3, 3, 1, 1))


def _cut_lite0(net: Any) -> list[nn.Module]:
    stem = nn.Sequential(net._conv_stem, net._bn0, nn.ReLU6(inplace=True))
    head = nn.Sequential(net._conv_head, net._bn1, nn.ReLU6(inplace=True))
    return [stem, *_groups(net._blocks, (1, 2, 2, 3, 3, 4, 1)), head]


def _groups(modules: Any, counts: tuple[int, ...]) -> list[nn.Module]:
    left = iter(modules)
    return [nn.Sequential(*(next(left) for _ in range(count))) for count in counts]


def _regnet(name: str, width: int) -> BackboneSpec:
    stages = ("stem", "block1", "block2", "block3", "block4")
    return BackboneSpec(name, width, stages, _torchvision, _cut_regnet, "fc")


def _resnet(name: str, width: int) -> BackboneSpec:
    stages = ("stem", "layer1", "layer2", "layer3", "layer4")
    return BackboneSpec(name, width, stages, _torchvision, _cut_resnet, "fc")


def _densenet(name: str, width: int) -> BackboneSpec:
    stages = ("stem", "denseblock1", "denseblock2", "denseblock3", "denseblock4")
    return BackboneSpec(name, width, stages, _torchvision, _cut_densenet, "classifier")


# Of the family that MobileNetV2 began.
_MOBILE = ("stem", *(f"stage{number}" for number in range(1, 8)), "head")

_SPECS = (
    _regnet("regnet_y_400mf", 440),
    _regnet("regnet_y_800mf", 784),
    _resnet("resnet18", 512),
    _resnet("resnet50", 2048),
    _resnet("resnet101", 2048),
    _resnet("resnet152", 2048),
    BackboneSpec("efficientnet_b0", 1280, _MOBILE, _torchvision, _cut_efficientnet, "classifier"),
    BackboneSpec("efficientnet-lite0", 1280, _MOBILE, _lite0, _cut_lite0, "_fc", _LITE, _LITE),
    BackboneSpec("mobilenet_v2", 1280, _MOBILE, _torchvision, _cut_mobilenet, "classifier"),
    _densenet("densenet121", 1024),
    _densenet("densenet201", 1920),
)

BACKBONES: dict[str, BackboneSpec] = {spec.name: spec for spec in _SPECS}


class PictureNorm(nn.BatchNorm2d):
    """Batch normalisation of maps [M, C, H, W].

    A batch with fewer than two values a channel has no variance: it is normalised by the running
    statistics, and they stay, as while activations are computed again (``recomputing``).
    """

    recomputing = False

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        enough = x.numel() >= 2 * x.shape[1]
        if enough and not self.recomputing:
            return super().forward(x)
        # A momentum of 0 leaves the running statistics as they are.
        mean, var, eps = self.running_mean, self.running_var, self.eps
        return functional.batch_norm(x, mean, var, self.weight, self.bias, enough, 0.0, eps)


class BackboneEncoder(nn.Module):
    """A net of :data:`BACKBONES` without its classifier, with random weights.

    Attributes:
        spec: which net.
        config: as given.
        size: values that it gives for a picture.
        stages: the net's parts by name, from the input on.

    Raises:
        UnknownNameError: there is no such net, or it has no stage that is to be frozen.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: Backbone) -> None:
        super().__init__()
        try:
            self.spec = BACKBONES[config.net]
        except KeyError:
            raise UnknownNameError("backbone", config.net, BACKBONES) from None
        for name in config.frozen:
            if name not in self.spec.stages:
                raise UnknownNameError(f"stage of {config.net}", name, self.spec.stages)
        self.config = config
        self.size = self.spec.width
        self.stages = _stages(self.spec, _whole(self.spec))
        self.dropout = nn.Dropout(config.dropout)
        # They are part of what the net is, not of what it learned.
        for name in ("mean", "deviation"):
            values = torch.tensor(getattr(self.spec, name)).reshape(1, 3, 1, 1)
            self.register_buffer(name, values, persistent=False)
        for name in config.frozen:
            self.stages[name].requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> BackboneEncoder:
        """As of every module; frozen stages stay in evaluation mode."""
        super().train(mode)
        for name in self.config.frozen:
            self.stages[name].eval()
        return self

    def forward(self, pictures: Tensor) -> Tensor:
        """Features of pictures.

        Args:
            pictures: uint8 or float [M, H, W, 3], RGB in 0..255; M may be 0.

        Returns:
            float32 [M, size].
        """
        # Seen so, it is what PyTorch calls channels-last: nothing is moved.
        x = pictures.contiguous().permute(0, 3, 1, 2).float()
        x = (self._resized(x) - self.mean) / self.deviation
        again = self.config.checkpointing and self.training and torch.is_grad_enabled()
        for stage in self.stages.values():
            x = _checkpointed(stage, x) if again else stage(x)
        return self.dropout(x.mean((2, 3), dtype=torch.float32))

    def _resized(self, x: Tensor) -> Tensor:
        size = self.config.size
        height, width = x.shape[2:]
        if height == size and width == size:
            return x
        shrinks = bool(max(height, width) > size)
        return functional.interpolate(x, (size, size), mode="bilinear", antialias=shrinks)


def _stages(spec: BackboneSpec, net: nn.Module) -> nn.ModuleDict:
    return nn.ModuleDict(dict(zip(spec.stages, spec.cut(net), strict=True)))


def _whole(spec: BackboneSpec) -> nn.Module:
    """The net under its authors' names, without the classifier."""
    # Their builders compute with tensors, which only a real device can.
    with torch.device("cpu"):
        net = spec.build(spec.name)
    setattr(net, spec.classifier, nn.Identity())
    for module in list(net.modules()):
        for name, norm in module.named_children():
            if isinstance(norm, nn.BatchNorm2d):
                # All with PyTorch's momentum: Lite0's 0.01 would want hundreds of steps before
                # the running statistics are worth anything.
                setattr(module, name, PictureNorm(norm.num_features, norm.eps))
    return net


def _checkpointed(stage: nn.Module, x: Tensor) -> Tensor:
    """The stage's output; only its input is kept for the backward pass."""

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _recomputing(stage)

    return checkpoint(stage, x, use_reentrant=False, context_fn=contexts)


@contextmanager
def _recomputing(stage: nn.Module) -> Iterator[None]:
    """Within, batch norms do not count what they have counted in the forward pass."""
    norms = [module for module in stage.modules() if isinstance(module, PictureNorm)]
    for norm in norms:
        norm.recomputing = True
    try:
        yield
    finally:
        for norm in norms:
            norm.recomputing = False


def load_pretrained(encoder: BackboneEncoder, on_event: EventCallback = ignore_events) -> bool:
    """Start from the net's ImageNet weights, fetched if they are not in the cache.

    Args:
        encoder: gets the weights.
        on_event: gets the progress of fetching, and a warning if there are no weights.

    Returns:
        Whether there are weights; if not, the encoder stays as it is.

    Raises:
        ModelDamagedError: the file is damaged, or holds the weights of another net.
        OutputError: the cache cannot be written.
    """
    spec = encoder.spec
    try:
        content = model_content(spec.name, on_event=on_event)
    except ModelUnavailableError as error:
        place = cached_path(find_model(spec.name))
        text = (
            f"no ImageNet weights of {spec.name}, so it STARTS AT RANDOM and wants far more "
            f"pictures and epochs ({error.problem}): run `avaffect models fetch {spec.name}` "
            f"with a network, or copy '{place.name}' into '{place.parent}' (see `avaffect models`)"
        )
        on_event(Notice(text, warning=True))
        return False
    try:
        weights = torch.load(content.open(), map_location="cpu", weights_only=True)
        weights = {
            _layer_name(name): tensor
            for name, tensor in weights.items()
            if not name.startswith(f"{spec.classifier}.")
        }
        # Read under the authors' names, then taken over under ours.
        whole = _whole(spec)
        whole.load_state_dict(weights)
    except Exception as error:  # torch.load raises nearly anything on nearly anything
        raise ModelDamagedError(
            f"'{content.path}' does not hold the weights of {spec.name} ({type(error).__name__})",
            f"delete it and run `avaffect models fetch {spec.name}`",
        ) from error
    encoder.stages.load_state_dict(_stages(spec, whole).state_dict())
    return True


def _layer_name(name: str) -> str:
    """DenseNet's layers were ``norm.1``, ``conv.2`` ... when its weights were published."""
    return re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2", name)
