"""Encoders: nets that turn a crop (an aligned face) into a vector.

Two kinds share one interface: embeddings (``efficientnet-lite0``) and frame models
(``starter-1-face``, ``fer`` and EmotiEffLib's), whose vector is a prediction: 8
expression probabilities in the order of ``labels.EXPRESSIONS``, followed for some by
valence and arousal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from avaffect.arrays import require_shape, softmax
from avaffect.errors import UnknownNameError
from avaffect.faces.align import AFFWILD2, CropSpec
from avaffect.labels import EXPRESSIONS
from avaffect.models.content import Content, model_content
from avaffect.models.derived import derived_content
from avaffect.models.device import device_kind
from avaffect.models.nets import onnx_net
from avaffect.models.session import OnnxNet, TfliteNet

# Where the five points lie in FER2013's pictures: medians over those 1,006 of 1,500 test pictures
# whose mesh was sure (presence > .9).
FER2013 = CropSpec(
    size=64,
    template=np.array(
        [
            [0.3119, 0.3828],
            [0.6878, 0.3812],
            [0.5029, 0.5783],
            [0.3507, 0.7705],
            [0.6621, 0.7710],
        ],
        np.float32,
    ),
    name="fer2013",
)
# The same for the face net of starter-1, at the size of FER2013's pictures: more than those had to
# show it cannot use. Here the template counts from the middle of the first pixel.
FER2013_48 = CropSpec(48, FER2013.template - np.float32(0.5 / 48), "fer2013-48")
# A detector's box around an upright face, as EmotiEffLib's nets were trained on.
FACE_BOX = CropSpec(
    size=224,
    template=np.array(
        [[0.32, 0.42], [0.68, 0.42], [0.50, 0.59], [0.36, 0.76], [0.64, 0.76]], np.float32
    ),
    name="face-box",
)

Encode = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


class Builder(Protocol):
    """Makes an encoding function; ``device`` is ``cpu``, ``cuda`` or ``cuda:N``."""

    def __call__(self, device: str) -> Encode: ...


@dataclass(frozen=True)
class EncoderSpec:
    """What an encoder needs and gives.

    Attributes:
        name: how it is called.
        crop: the aligned crop it takes.
        size: length of its vector.
        dtype: what the feature store keeps; float16 has 11 bits, relative error below 0.0005.
        models: names in ``models.zoo`` of the weights.
        build: makes the function from uint8 [B, S, S, 3] RGB to float32 [B, size].
        gives_va: whether the last two values are valence and arousal (-1..1).
        gives_expressions: whether the first eight are the probabilities of ``EXPRESSIONS``.
    """

    name: str
    crop: CropSpec
    size: int
    dtype: str
    models: tuple[str, ...]
    build: Builder
    gives_va: bool = False
    gives_expressions: bool = True


@dataclass(frozen=True)
class Encoder:
    """A ready encoder."""

    spec: EncoderSpec
    encode: Encode

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU runs its net."""
        return bool(getattr(self.encode, "on_gpu", False))

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 [B, size] of crops uint8 [B, S, S, 3] RGB, with the spec's S."""
        side = self.spec.crop.size
        require_shape("crops", crops, (None, side, side, 3))
        vectors = self.encode(crops)
        require_shape("vectors", vectors, (len(crops), self.spec.size))
        return vectors


def build_encoder(name: str, device: str = "cpu") -> Encoder:
    """The encoder called ``name``, with checked weights, on ``device`` (``cpu``, ``cuda:1`` ...).

    Raises:
        UnknownNameError: if there is none of that name.
        ModelError: if its weights are not to be had or damaged.
    """
    spec = encoder_spec(name)
    return Encoder(spec, spec.build(device))


def encoder_spec(name: str) -> EncoderSpec:
    """What the encoder called ``name`` needs and gives, without loading it.

    Raises:
        UnknownNameError: if there is none of that name.
    """
    if name not in ENCODERS:
        raise UnknownNameError("encoder", name, ENCODERS)
    return ENCODERS[name]


def _chunked(run: Encode, size: int) -> Encode:
    """``run`` in pieces of ``size`` crops: on a CPU small batches stay in its cache."""

    def encode(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.concatenate([run(crops[at : at + size]) for at in range(0, len(crops), size)])

    return encode


class _Encode:
    """``run``, on many crops at once only where a GPU has its net.

    Attributes:
        on_gpu: whether one has.
    """

    def __init__(self, on_gpu: bool, run: Encode) -> None:
        self.on_gpu = on_gpu
        self._run = run if on_gpu else _chunked(run, 1)

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._run(crops)


def _efficientnet_lite0(device: str) -> Encode:
    if device_kind(device) == "cuda":
        import torch

        from avaffect.faces.efficientnet_lite import load

        weights = model_content("efficientnet-lite0")
        net = load(weights.open()).to(device).to(memory_format=torch.channels_last)

        def on_cuda(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
            # In float32, as on the CPU: half precision gave other vectors, by a hundredth.
            exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
            with torch.inference_mode(), exact:
                pixels = torch.from_numpy(crops).to(device).permute(0, 3, 1, 2)
                return net(pixels.float() / 127.5 - 1).float().cpu().numpy()

        return _Encode(True, on_cuda)

    name = f"efficientnet-lite0-{_LITE0_CROP.size}.onnx"
    graph = OnnxNet(derived_content("efficientnet-lite0", name, _export_lite0))

    def on_cpu(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = crops.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
        return graph(pixels)[0]

    return _chunked(on_cpu, 1)


def _export_lite0(weights: Content, target: Path) -> None:
    """Write the weights as ONNX, once: ONNX Runtime is several times faster on a CPU."""
    import warnings

    import torch

    from avaffect.faces.efficientnet_lite import load

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's notes on constant sizes
        torch.onnx.export(
            load(weights.open()),
            (torch.zeros(1, 3, _LITE0_CROP.size, _LITE0_CROP.size),),
            str(target),
            dynamo=False,
            input_names=["faces"],
            output_names=["embeddings"],
            dynamic_axes={"faces": {0: "batch"}, "embeddings": {0: "batch"}},
            opset_version=17,
        )


def _fer(device: str) -> Encode:
    net = TfliteNet(model_content("fer"))
    # The net's classes: angry, disgust, fear, happy, sad, surprise, neutral.
    order = [6, 0, 1, 2, 3, 4, 5]

    def encode(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities = np.zeros((len(crops), len(EXPRESSIONS)), np.float32)
        for at, crop in enumerate(crops):
            grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32) / 127.5 - 1
            probabilities[at, :7] = net(grey[None, :, :, None])[0].reshape(-1)[order]
        return probabilities

    return encode


def stretched(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32, ``grey`` (0..255) at full contrast: its 2 % and 98 % quantiles become 0 and 255.

    FER2013's pictures, on which the face net was trained, were stretched like this; faces in
    videos are dark, flat or in backlight.
    """
    low, high = np.quantile(grey, (0.02, 0.98))
    return np.clip((grey - np.float32(low)) * np.float32(255 / max(high - low, 1.0)), 0, 255)


def _starter1_face(device: str) -> Encode:
    net = onnx_net(model_content("starter-1-face"), device)

    def run(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        grey = np.stack([stretched(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)) for crop in crops])
        probabilities = np.zeros((len(crops), len(EXPRESSIONS)), np.float32)
        probabilities[:, :7] = net(grey[:, None])[0]
        return probabilities

    return _Encode(net.on_gpu, run)


def _starter2_face(device: str) -> Encode:
    net = onnx_net(model_content("starter-2-face"), device)

    def run(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        return net(crops)[0]

    return _Encode(net.on_gpu, run)


def _emotiefflib(model: str, mean: Sequence[float], std: Sequence[float]) -> Builder:
    # The nets' classes: anger, contempt, disgust, fear, happiness, neutral, sadness, surprise;
    # contempt, which ABAW does not have, counts as Other.
    order = [5, 0, 2, 3, 4, 6, 7, 1]
    centre, spread = np.array(mean, np.float32) * 255, np.array(std, np.float32) * 255

    def build(device: str) -> Encode:
        net = onnx_net(model_content(model), device)

        def run(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
            pixels = ((crops.astype(np.float32) - centre) / spread).transpose(0, 3, 1, 2)
            raw = net(np.ascontiguousarray(pixels))[0]
            logits = raw[:, :8][:, order]
            va = np.clip(raw[:, 8:10], -1, 1)
            return np.concatenate([softmax(logits), va], 1).astype(np.float32)

        return _Encode(net.on_gpu, run)

    return build


_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# The crop as it is. Enlarging it to ImageNet's 224 pixels costs three to four times as
# much and gains nothing: a linear probe on FER2013 (1,029 test faces) gets .422 right at 112
# pixels, .431 at 160 and .425 at 224, with a standard error of .015.
_LITE0_CROP = AFFWILD2


def _emotiefflib_spec(
    name: str, size: int, scaling: tuple[Sequence[float], Sequence[float]]
) -> EncoderSpec:
    crop = replace(FACE_BOX, size=size)
    return EncoderSpec(
        name, crop, 10, "float32", (name,), _emotiefflib(name, *scaling), gives_va=True
    )


ENCODERS: dict[str, EncoderSpec] = {
    spec.name: spec
    for spec in (
        EncoderSpec(
            "efficientnet-lite0",
            _LITE0_CROP,
            1280,
            "float16",
            ("efficientnet-lite0",),
            _efficientnet_lite0,
            gives_expressions=False,
        ),
        EncoderSpec(
            "starter-1-face", FER2013_48, 8, "float32", ("starter-1-face",), _starter1_face
        ),
        # 8 expressions, valence, arousal, 12 units; the crop is that which `preprocess` keeps.
        EncoderSpec(
            "starter-2-face", AFFWILD2, 22, "float32", ("starter-2-face",), _starter2_face
        ),
        EncoderSpec("fer", FER2013, 8, "float32", ("fer",), _fer),
        _emotiefflib_spec("enet_b0_8_va_mtl", 224, _IMAGENET),
        _emotiefflib_spec("mobilevit_va_mtl", 224, _IMAGENET),
        _emotiefflib_spec("mbf_va_mtl", 112, _HALF),
    )
}
# What starter-1 can look through; the net of starter-2 is read by that alone.
FRAME_MODELS = tuple(
    name for name in ENCODERS if name not in ("efficientnet-lite0", "starter-2-face")
)
