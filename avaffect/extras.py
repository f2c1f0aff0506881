"""Packages that not everybody needs, and the extra of ``pip install 'avaffect[EXTRA]'`` with each.

Whoever uses one imports it within a function, or stands in a folder that is only imported where it
is used (``networks``, ``training``). Its absence becomes a `MissingPackageError` by
`errors.explained`, wherever it is met; `errors.need` tells it before any work is begun.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec


@dataclass(frozen=True, slots=True)
class Extra:
    """What one can leave out.

    Attributes:
        purpose: what needs it, as the subject of a sentence.
        modules: what it brings, as it is imported; what they bring themselves is left out.
    """

    purpose: str
    modules: tuple[str, ...]


EXTRAS: dict[str, Extra] = {
    "train": Extra(
        "training a network, or running one that was not exported,",
        ("torch", "torchaudio", "torchvision", "onnx", "librosa", "matplotlib", "scipy"),
    ),
    "features": Extra(
        "a backbone, an encoder by name, or a GPU,",
        (
            "torch",
            "torchaudio",
            "torchvision",
            "onnx",
            "librosa",
            "timm",
            "transformers",
            "huggingface_hub",
        ),
    ),
    "plot": Extra("a figure or a drawn video", ("matplotlib", "scipy")),
    "fan": Extra(
        "the detector s3fd or centerface, or the aligner fan,", ("face_alignment", "onnx", "torch")
    ),
    "remote": Extra("an address in an object store", ("fsspec", "s3fs")),
    "pandas": Extra("a table as a DataFrame", ("pandas",)),
    "view": Extra("a view of results in the browser", ("starlette", "uvicorn")),
    "ray": Extra("a cluster of machines", ("ray",)),
    "ffmpeg": Extra("an ffmpeg of your own", ("ffmpeg", "imageio_ffmpeg")),
}


def is_installed(module: str) -> bool:
    """Whether ``module`` can be found; it is not imported."""
    if sys.modules.get(module) is not None:
        return True
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # hidden, or half removed
        return False


def extra_of(module: str) -> str | None:
    """The first extra that brings ``module`` (``torch``, ``torch.nn``); None if none does."""
    top = module.partition(".")[0]
    return next((name for name, extra in EXTRAS.items() if top in extra.modules), None)


# The same module, with windows and without: either will do.
_TWINS = {
    "opencv-python": "opencv-python-headless",
    "opencv-python-headless": "opencv-python",
}


def version_of(package: str) -> str | None:
    """The version of an installed package, or of its twin; None if neither is installed."""
    for name in filter(None, (package, _TWINS.get(package))):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None
