"""Ready-made encoders of pictures: any of ``timm``, and vision models of ``transformers``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from avaffect.errors import ModelError
from avaffect.files.hashing import file_sha256
from avaffect.files.npy import Array, ArraySpec
from avaffect.networks.half import amp, halved
from avaffect.networks.hub import (
    UNKNOWN_LICENCE,
    Weights,
    hub_file,
    hub_model,
    library,
    loading,
)
from avaffect.networks.memory import by_halves

# ImageNet's, which most nets take.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BATCH = 32


@dataclass(frozen=True)
class PictureEncoder:
    """A ready-made encoder of faces.

    Attributes:
        weights: which.
        net: gives vectors [B, D] of pictures, float [B, 3, side, side].
        side: pixels that faces are brought to.
        size: D.
        mean, deviation: of pictures in 0..1 by channel, that the net wants as 0 and 1.
        device: where it is.
    """

    weights: Weights
    net: Callable[[torch.Tensor], torch.Tensor]
    side: int
    size: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    device: torch.device

    @property
    def model(self) -> str:
        """What distinguishes it from every other one."""
        return f"{self.weights.name}:{self.side}:{self.weights.sha256}"

    def __call__(self, pictures: Array, seen: Array) -> Array:
        """Its vectors, some pictures at a time; on a GPU in half precision.

        Args:
            pictures: uint8 [M, S, S, 3] RGB.
            seen: bool [M], where there is a face.

        Returns:
            float16 [M, D], NaN where there is none.

        Raises:
            CheckpointError: it gives what is no number, or none that float16 can hold.
            ModelError: the GPU's memory does not hold a single face.
        """
        out = ArraySpec((self.size,), "float16").missing(len(pictures))
        rows = np.flatnonzero(seen)
        for start in range(0, len(rows), _BATCH):
            some = rows[start : start + _BATCH]

            def compute(part: slice, some: NDArray[np.intp] = some) -> Array:
                return halved(self._vectors(pictures[some[part]]), self.weights.name)

            out[some] = np.concatenate(by_halves(compute, len(some), "face"))
        return out

    def _vectors(self, pictures: Array) -> torch.Tensor:
        with torch.inference_mode(), amp(self.device):
            x = torch.from_numpy(pictures).to(self.device).permute(0, 3, 1, 2).float() / 255
            if x.shape[-1] != self.side:
                size = (self.side, self.side)
                x = nn.functional.interpolate(x, size, mode="bilinear", antialias=True)
            mean, deviation = (
                torch.tensor(values, device=self.device)[:, None, None]
                for values in (self.mean, self.deviation)
            )
            return self.net((x - mean) / deviation)


def timm_encoder(name: str, device: torch.device, side: int | None = None) -> PictureEncoder:
    """A model of timm with its published weights, without its classifier.

    Args:
        name: such as ``vit_small_patch14_dinov2.lvd142m``.
        device: where to compute.
        side: pixels that faces are brought to; None takes what it was trained on.

    Raises:
        MissingPackageError: timm is not installed.
        ModelError: no such model, or its weights are not to be had.
    """
    timm = library("timm")
    whole = f"timm:{name}"
    with loading(whole):
        config = timm.get_pretrained_cfg(name)
        if config is None or not config.hf_hub_id:
            close = timm.list_pretrained(f"*{name.partition('.')[0]}*")[:3]
            raise ModelError(
                f"timm has no weights of '{name}'",
                f"choose such as {', '.join(close)}" if close else "see timm.list_pretrained()",
            )
        path = hub_file(config.hf_hub_id, config.hf_hub_filename or "model.safetensors")
        if path.suffix != ".safetensors":
            raise ModelError(f"the weights of '{whole}' are no safetensors", "choose another one")
        options: dict[str, Any] = {} if side is None else {"img_size": side}
        overlay = {"file": str(path), "hf_hub_id": None, "custom_load": config.custom_load}
        make = {"pretrained": True, "num_classes": 0, "pretrained_cfg_overlay": overlay}
        try:
            net = timm.create_model(name, **make, **options)
        except TypeError:  # a convolutional net takes any size
            net = timm.create_model(name, **make)
        net = net.eval().to(device)
        data = timm.data.resolve_model_data_config(net)
        weights = Weights(whole, file_sha256(path), config.license or UNKNOWN_LICENCE)
        pixels = side or int(data["input_size"][-1])
        with torch.inference_mode():
            size = net(torch.zeros(1, 3, pixels, pixels, device=device)).shape[1]
        mean, deviation = tuple(data["mean"]), tuple(data["std"])
        return PictureEncoder(weights, net, pixels, size, mean, deviation, device)


def hf_picture_encoder(place: str, device: torch.device, side: int | None) -> PictureEncoder:
    """A vision model of transformers; of CLIP and its like the part that sees.

    Args:
        place: a repository at Hugging Face, or a folder of that form.
        device: where to compute.
        side: pixels that faces are brought to; None takes what it was trained on.

    Raises:
        MissingPackageError: transformers is not installed.
        ModelError: no such model, one without safetensors, or none that takes pictures.
    """
    with loading(f"hf:{place}"):
        net, folder, weights = hub_model(place)
        net = net.eval().to(device)
        seen = getattr(net, "vision_model", net)
        path = folder / "preprocessor_config.json"
        facts = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        own = getattr(seen.config, "image_size", 224)
        pixels = side or int(own[0] if isinstance(own, list | tuple) else own)
        mean = tuple(facts.get("image_mean") or _MEAN)
        deviation = tuple(facts.get("image_std") or _DEVIATION)

        def vectors(x: torch.Tensor) -> torch.Tensor:
            done = seen(pixel_values=x)
            pooled: torch.Tensor | None = getattr(done, "pooler_output", None)
            if pooled is None:
                states = done.last_hidden_state
                # Of a transformer the first token, of a convolutional net the mean.
                pooled = states[:, 0] if states.ndim == 3 else states.mean((-2, -1))
            return pooled.flatten(1)

        with torch.inference_mode():
            size = vectors(torch.zeros(1, 3, pixels, pixels, device=device)).shape[1]
        return PictureEncoder(weights, vectors, pixels, size, mean, deviation, device)
